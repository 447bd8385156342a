package source

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// A Tree writes entries back below one directory and never outside of it.
// Paths are relative to that directory, with slashes, raw bytes. A Tree is
// for one goroutine; several Trees may write below one directory.
//
// New files and directories are private to the user until SetMetadata gives
// them the mode they had. Directories get their metadata after everything in
// them, the deepest first: a directory's time changes with its entries, and
// a mode can lock us out.
type Tree struct {
	top *place
	// The directory that was used last, so that the files of one
	// directory do not open the way to it again and again.
	dir  string
	last *place
	own  bool // SetMetadata also sets the owner
}

// A place is an open directory of a Tree: a root for what os does, and a
// handle, opened when it is needed first, for what only the system does.
type place struct {
	*os.Root
	file *os.File
}

func (p *place) handle() (*os.File, error) {
	if p.file == nil {
		f, err := p.Open(".")
		if err != nil {
			return nil, err
		}
		p.file = f
	}
	return p.file, nil
}

func (p *place) Close() error {
	if p.file != nil {
		p.file.Close()
	}
	return p.Root.Close()
}

// The modes of what is being written.
const (
	newFileMode = 0o600
	newDirMode  = 0o700
)

// OpenTree opens the directory to write below. With own set, SetMetadata also
// restores user and group, which takes the rights of root.
func OpenTree(dir string, own bool) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Tree{top: &place{Root: root}, own: own}, nil
}

// Close closes the directory handles.
func (t *Tree) Close() error {
	t.forget()
	return t.top.Close()
}

// Mkdir makes a directory. The error is fs.ErrExist when something has that
// name; Lstat tells what.
func (t *Tree) Mkdir(path string) error {
	dir, name, err := t.parent(path)
	if err != nil {
		return err
	}
	return dir.Mkdir(name, newDirMode)
}

// Create makes a new file for writing. The error is fs.ErrExist when
// something has that name.
func (t *Tree) Create(path string) (*os.File, error) {
	dir, name, err := t.parent(path)
	if err != nil {
		return nil, err
	}
	return dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, newFileMode)
}

// Open opens a regular file that is there for reading and writing; its
// content stays. Anything else is ErrNotRegular.
func (t *Tree) Open(path string) (*os.File, error) {
	dir, name, err := t.parent(path)
	if err != nil {
		return nil, err
	}
	if info, err := dir.Lstat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	return dir.OpenFile(name, os.O_RDWR, 0)
}

// Symlink makes a symbolic link. The target is any bytes: it is not followed
// and may lead outside.
func (t *Tree) Symlink(target, path string) error {
	dir, name, err := t.parent(path)
	if err != nil {
		return err
	}
	return dir.Symlink(target, name)
}

// Special makes a FIFO, a socket or a device. The error is
// errors.ErrUnsupported where the system has no such thing, and
// fs.ErrPermission where only root may.
func (t *Tree) Special(path string, e Entry) error {
	dir, name, err := t.parent(path)
	if err != nil {
		return err
	}
	d, err := dir.handle()
	if err != nil {
		return err
	}
	if err := makeSpecial(d, name, e); err != nil {
		return &fs.PathError{Op: "mknod", Path: path, Err: err}
	}
	return nil
}

// Remove removes a file or an empty directory that the caller made.
func (t *Tree) Remove(path string) error {
	dir, name, err := t.parent(path)
	if err != nil {
		return err
	}
	if strings.HasPrefix(t.dir+"/", path+"/") {
		t.forget()
	}
	return dir.Remove(name)
}

// Lstat examines an entry of the tree. The empty path is the directory of the
// Tree itself.
func (t *Tree) Lstat(path string) (Entry, error) {
	dir, name, err := t.entry(path)
	if err != nil {
		return Entry{Name: path}, err
	}
	d, err := dir.handle()
	if err != nil {
		return Entry{Name: path}, err
	}
	return lstatIn(d, name)
}

// SetMetadata gives an entry the owner (if the Tree was opened to), mode and
// modification time of e; of a symbolic link the time, and the owner. The
// empty path is the directory of the Tree itself. When a part is refused the
// others are still set.
func (t *Tree) SetMetadata(path string, e Entry) error {
	dir, name, err := t.entry(path)
	if err != nil {
		return err
	}
	d, err := dir.handle()
	if err != nil {
		return err
	}
	info, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	if info.Mode().Type() != e.FileMode().Type() {
		return &fs.PathError{Op: "setting the metadata", Path: path, Err: ErrInTheWay}
	}
	var problems []error
	if t.own {
		problems = append(problems, dir.Lchown(name, int(e.UID), int(e.GID)))
	}
	if e.Kind != Symlink {
		problems = append(problems, dir.Chmod(name, e.FileMode()&^fs.ModeType))
	}
	problems = append(problems, setModTime(d, dir.Root, name, e), checkModTime(d, name, e))
	return errors.Join(problems...)
}

// Every file system holds the times from 1970 to 2038.
const everywhere = 1 << 31

// checkModTime returns ErrTime if a time that few file systems hold became
// another: the kernel says nothing of it.
func checkModTime(dir *os.File, name string, e Entry) error {
	if e.ModTime.Seconds >= 0 && e.ModTime.Seconds < everywhere {
		return nil
	}
	there, err := lstatIn(dir, name)
	if err == nil && there.ModTime.Seconds != e.ModTime.Seconds {
		err = &fs.PathError{Op: "setting the time", Path: name, Err: ErrTime}
	}
	return err
}

// entry is parent, but knows the directory of the Tree itself too.
func (t *Tree) entry(path string) (dir *place, name string, err error) {
	if path == "" {
		return t.top, ".", nil
	}
	return t.parent(path)
}

// parent opens the directory that has the last name of a path. Every name on
// the way must be a directory itself, and not a link to one.
func (t *Tree) parent(path string) (dir *place, name string, err error) {
	var way string
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		way, name = path[:i], path[i+1:]
		if way == "" {
			return nil, "", &fs.PathError{Op: "opening", Path: path, Err: ErrName}
		}
	} else {
		name = path
	}
	if err := CheckName(name); err != nil {
		return nil, "", err
	}
	if way == "" {
		return t.top, name, nil
	}
	if way == t.dir {
		return t.last, name, nil
	}
	root, err := t.descend(way)
	if err != nil {
		return nil, "", err
	}
	t.forget()
	t.dir, t.last = way, &place{Root: root}
	return t.last, name, nil
}

// descend opens a directory of the tree one name at a time.
func (t *Tree) descend(way string) (*os.Root, error) {
	dir := t.top.Root
	rest := way
	for rest != "" {
		name, after, more := strings.Cut(rest, "/")
		next, err := openPlain(dir, name)
		if dir != t.top.Root {
			dir.Close()
		}
		if err != nil {
			return nil, err
		}
		dir, rest = next, after
		if more && after == "" {
			dir.Close()
			return nil, &fs.PathError{Op: "opening", Path: way, Err: ErrName}
		}
	}
	return dir, nil
}

// openPlain opens a directory that is one. Should somebody put a link in its
// place between the look and the opening, os.Root still keeps us inside.
func openPlain(dir *os.Root, name string) (*os.Root, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	info, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, inTheWay(name)
	}
	return dir.OpenRoot(name)
}

// forget closes the directory that was used last.
func (t *Tree) forget() {
	if t.last != nil {
		t.last.Close()
	}
	t.dir, t.last = "", nil
}

func inTheWay(path string) error {
	return &fs.PathError{Op: "opening", Path: path, Err: ErrInTheWay}
}
