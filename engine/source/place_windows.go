package source

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A place is an open directory of a Tree: a root, under which os keeps every
// name inside, and a handle for what it does not do.
type place struct {
	root *os.Root
	file *os.File
	held held // under Tree.mu
}

// openPlace opens the directory at a path of the system.
func openPlace(path string) (*place, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return newPlace(root)
}

func newPlace(root *os.Root) (*place, error) {
	file, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &place{root: root, file: file}, nil
}

func (p *place) close() error { return errors.Join(p.file.Close(), p.root.Close()) }

// enter opens a directory that is one. Should somebody put a link in its
// place between the look and the opening, os.Root still keeps us inside.
func (p *place) enter(name string) (*place, error) {
	info, err := p.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, inTheWay(name)
	}
	root, err := p.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return newPlace(root)
}

func (p *place) mkdir(name string) error           { return p.root.Mkdir(name, newDirMode) }
func (p *place) symlink(target, name string) error { return p.root.Symlink(target, name) }
func (p *place) remove(name string) error          { return p.root.Remove(name) }

// rename puts one entry in the place of another. Windows replaces nothing that
// is read-only.
func (p *place) rename(old, name string) error {
	err := p.root.Rename(old, name)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	was, cerr := p.change(name, func(a uint32) uint32 { return a &^ windows.FILE_ATTRIBUTE_READONLY })
	if cerr != nil || was&windows.FILE_ATTRIBUTE_READONLY == 0 {
		return err
	}
	if err = p.root.Rename(old, name); err != nil {
		_, cerr = p.change(name, func(uint32) uint32 { return was })
	}
	return errors.Join(err, cerr)
}

// change changes the file attributes of an entry and returns those it had.
func (p *place) change(name string, f func(uint32) uint32) (was uint32, err error) {
	h, err := openAt(windows.Handle(p.file.Fd()), name, windows.FILE_READ_ATTRIBUTES|windows.FILE_WRITE_ATTRIBUTES, windows.FILE_OPEN, 0)
	if err != nil {
		return 0, failed("open", name, err)
	}
	var info basicInfo
	if err = about(h, windows.FileBasicInfo, &info); err == nil {
		err = setBasicInfo(h, basicInfo{attributes: cmp.Or(f(info.attributes), windows.FILE_ATTRIBUTE_NORMAL)})
	}
	return info.attributes, failed("changing the attributes", name, errors.Join(err, windows.CloseHandle(h)))
}

// link makes another name of a file, which may be one of another directory.
func (p *place) link(old string, to *place, name string) error {
	h, err := openAt(windows.Handle(p.file.Fd()), old, windows.FILE_WRITE_ATTRIBUTES, windows.FILE_OPEN, windows.FILE_NON_DIRECTORY_FILE)
	if err == nil {
		err = errors.Join(linkTo(h, windows.Handle(to.file.Fd()), name), windows.CloseHandle(h))
	}
	return failed("link", name, err)
}

// linkTo gives an open file a name in an open directory. It is
// FILE_LINK_INFORMATION: whether to replace (1, with room up to the size of a
// pointer), the directory, the length of the name in bytes (4), and the name.
func linkTo(h, dir windows.Handle, name string) error {
	u, err := windows.UTF16FromString(name)
	if err != nil {
		return err
	}
	u = u[:len(u)-1]
	type head struct {
		replace bool
		dir     windows.Handle
		length  uint32
		name    [1]uint16
	}
	const before = unsafe.Offsetof(head{}.name)
	buf := make([]uint64, (int(unsafe.Sizeof(head{}))+2*len(u)+7)/8) // aligned
	info := (*head)(unsafe.Pointer(&buf[0]))
	info.dir, info.length = dir, uint32(2*len(u))
	b := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), 8*len(buf))
	for i, c := range u {
		b[int(before)+2*i], b[int(before)+2*i+1] = byte(c), byte(c>>8)
	}
	var status windows.IO_STATUS_BLOCK
	const fileLinkInformation = 11
	err = windows.NtSetInformationFile(h, &status, &b[0], uint32(len(b)), fileLinkInformation)
	if nt, ok := err.(windows.NTStatus); ok {
		return nt.Errno()
	}
	return err
}

// special makes nothing: Windows has no such files.
func (p *place) special(string, Entry) error { return errors.ErrUnsupported }

func (p *place) lstat(name string) (Entry, error) { return lstatAt(p.file, name, name) }

// symlinkAs makes a link as it was on Windows; one from elsewhere says not
// whether it leads to a directory, which os looks up.
func (p *place) symlinkAs(e Entry, name string) error {
	if e.WinAttrs == 0 {
		return p.symlink(e.Target, name)
	}
	return failed("symlink", name, makeLink(windows.Handle(p.file.Fd()), name, e))
}

// list opens the directory once more, for reading its names.
func (p *place) list() (*os.File, error) { return p.root.Open(".") }

// asBorn is true: who owns a file is not set here by number, and a new file has
// what it inherits until its security descriptor is set.
func (p *place) asBorn(*owning, *Entry) bool { return true }

// create makes a new file.
func (p *place) create(name string, mode uint32) (*NewFile, error) {
	// Without the right to write, Windows makes a file that is read-only.
	f, err := p.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fs.FileMode(mode|newFileMode))
	if err != nil {
		return nil, err
	}
	return &NewFile{f}, nil
}

// openFile opens a regular file that is there.
func (p *place) openFile(name string) (*NewFile, error) {
	if info, err := p.root.Lstat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	f, err := p.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &NewFile{f}, nil
}

// A NewFile is a file of a Tree that is being written.
type NewFile struct{ *os.File }
