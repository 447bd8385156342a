package source

import (
	"errors"
	"io/fs"
	"os"
	"slices"

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
func (p *place) rename(old, name string) error     { return p.root.Rename(old, name) }

// link is made within one directory only: os.Root knows no other.
func (p *place) link(old string, to *place, name string) error {
	if p != to {
		return &fs.PathError{Op: "link", Path: name, Err: errors.ErrUnsupported}
	}
	return p.root.Link(old, name)
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

func (p *place) names() ([]string, error) {
	f, err := p.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// ours is true: who owns a file is not set here.
func (p *place) ours(Entry) bool { return true }

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
