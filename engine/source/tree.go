package source

import (
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

// A Tree writes entries back below one directory and never outside of it.
// Paths are relative to that directory, with slashes, raw bytes. A Tree is
// safe for use by several goroutines, as long as no two of them work on one
// entry.
//
// New files and directories are private to the user until SetMetadata or
// NewFile.Finish gives them the mode they had, but for CreateAs. Directories
// get their metadata after everything in them, the deepest first: a
// directory's time changes with its entries, and a mode can lock us out.
type Tree struct {
	top    *place
	owning *owning

	mu sync.Mutex
	// The directories that were used last, by path, so that the files of one
	// directory do not open the way to it again and again.
	open map[string]*place
	uses uint64 // counts up
}

// held is what a Tree notes of an open directory, under Tree.mu.
type held struct {
	users int    // goroutines that use it now
	used  uint64 // when it was used last
	gone  bool   // not in Tree.open any more: the last user closes it
}

// maxOpenPlaces is how many directories a Tree keeps open.
const maxOpenPlaces = 64

// The modes of what is being written.
const (
	newFileMode = 0o600
	newDirMode  = 0o700
)

// OpenTree opens the directory to write below. With own set, metadata also
// includes user and group, which takes the rights of root; without it, the
// group where the process is a member of it.
func OpenTree(dir string, own bool) (*Tree, error) {
	takeRights()
	top, err := openPlace(dir)
	if err != nil {
		return nil, err
	}
	return &Tree{top: top, owning: newOwning(own), open: map[string]*place{}}, nil
}

// Close closes the directory handles. Nobody may use the Tree any more.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for path, p := range t.open {
		p.close()
		delete(t.open, path)
	}
	return t.top.close()
}

// Mkdir makes a directory. The error is fs.ErrExist when something has that
// name; Lstat tells what.
func (t *Tree) Mkdir(path string) error {
	return t.in(path, func(p *place, name string) error { return p.mkdir(name) })
}

// Create makes a new file for writing. The error is fs.ErrExist when
// something has that name.
func (t *Tree) Create(path string) (f *NewFile, err error) {
	err = t.in(path, func(p *place, name string) error {
		f, err = p.create(name, newFileMode)
		return err
	})
	return f, err
}

// CreateAs is Create for a file that is written and finished at once: it has
// the permissions of e from the start, unless its owner is still to be set.
func (t *Tree) CreateAs(path string, e Entry) (f *NewFile, err error) {
	err = t.in(path, func(p *place, name string) error {
		mode := e.Mode & 0o777
		if !p.asBorn(t.owning, &e) || len(e.Attributes) > 0 { // these take the right to write
			mode = newFileMode
		}
		f, err = p.create(name, mode)
		return err
	})
	return f, err
}

// Open opens a regular file that is there for reading and writing; its
// content stays. Anything else is ErrNotRegular.
func (t *Tree) Open(path string) (f *NewFile, err error) {
	err = t.in(path, func(p *place, name string) error {
		f, err = p.openFile(name)
		return err
	})
	return f, err
}

// Symlink makes a symbolic link. The target is any bytes: it is not followed
// and may lead outside.
func (t *Tree) Symlink(target, path string) error {
	return t.in(path, func(p *place, name string) error { return p.symlink(target, name) })
}

// SymlinkAs makes a symbolic link as e was: on Windows one to a directory, or
// a junction.
func (t *Tree) SymlinkAs(path string, e Entry) error {
	return t.in(path, func(p *place, name string) error { return p.symlinkAs(e, name) })
}

// Link makes path another name of the file at old.
func (t *Tree) Link(old, path string) error {
	return t.in(old, func(from *place, oldName string) error {
		return t.in(path, func(to *place, name string) error { return from.link(oldName, to, name) })
	})
}

// Special makes a FIFO, a socket or a device. The error is
// errors.ErrUnsupported where the system has no such thing, and
// fs.ErrPermission where only root may.
func (t *Tree) Special(path string, e Entry) error {
	return t.in(path, func(p *place, name string) error {
		if err := p.special(name, e); err != nil {
			return &fs.PathError{Op: "mknod", Path: path, Err: err}
		}
		return nil
	})
}

// Remove removes a file or an empty directory that the caller made.
func (t *Tree) Remove(path string) error {
	t.forget(path)
	return t.in(path, func(p *place, name string) error { return p.remove(name) })
}

// Lstat examines an entry of the tree. The empty path is the directory of the
// Tree itself.
func (t *Tree) Lstat(path string) (e Entry, err error) {
	e.Name = path
	err = t.at(path, func(p *place, name string) error {
		e, err = p.lstat(name)
		return err
	})
	return e, err
}

// Names returns the names in a directory of the tree in the order of their
// bytes. The empty path is the directory of the Tree itself.
func (t *Tree) Names(path string) (names []string, err error) {
	err = t.SomeNames(path, func(some []string) error {
		names = append(names, some...)
		return nil
	})
	slices.Sort(names)
	return names, err
}

// someNames is how many names of a directory are read at a time.
const someNames = 1024

// SomeNames calls f with the names in a directory of the tree, some at a time
// and in no order, and ends with f's first error. What f makes or removes in
// the directory may be among what follows, or not.
func (t *Tree) SomeNames(path string, f func(names []string) error) error {
	p, err := t.place(path)
	if err != nil {
		return err
	}
	defer t.release(p)
	d, err := p.list()
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(someNames)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(names); err != nil {
			return err
		}
	}
}

// Replace gives what the caller made under a temporary path the name of
// another entry of the same directory, which is gone in the same step. A
// directory is not replaced.
func (t *Tree) Replace(temporary, path string) error {
	i := strings.LastIndexByte(path, '/') + 1
	old, ok := strings.CutPrefix(temporary, path[:i])
	if !ok || CheckName(old) != nil {
		return &fs.PathError{Op: "replacing", Path: path, Err: ErrName}
	}
	return t.in(path, func(p *place, name string) error { return p.rename(old, name) })
}

// SetMetadata gives an entry the owner (see OpenTree and Kept), mode and
// modification time of e; of a symbolic link the time, and the owner. The
// empty path is the directory of the Tree itself. When a part is refused the
// others are still set. A SetUID or SetGID bit is set only if owner or group are
// those that it is for, or else the error is ErrSetID.
func (t *Tree) SetMetadata(path string, e Entry) error {
	return t.at(path, func(p *place, name string) error { return p.setMetadata(name, e, t.owning) })
}

// Every file system holds the times from 1970 to 2038.
const everywhere = 1 << 31

// rare reports whether few file systems hold a time: the kernel says nothing
// of one that became another, so somebody must look.
func (t Time) rare() bool { return t.Seconds < 0 || t.Seconds >= everywhere }

// checkModTime returns ErrTime if there is another time than that of e.
func checkModTime(there, e Entry) error {
	if there.ModTime.Seconds == e.ModTime.Seconds {
		return nil
	}
	return &fs.PathError{Op: "setting the time", Path: e.Name, Err: ErrTime}
}

// at is in, but knows the directory of the Tree itself too.
func (t *Tree) at(path string, do func(p *place, name string) error) error {
	if path == "" {
		return do(t.top, ".")
	}
	return t.in(path, do)
}

// in runs do with the directory that has the last name of a path. Every name
// on the way must be a directory itself, and not a link to one.
func (t *Tree) in(path string, do func(p *place, name string) error) error {
	way, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		if way, name = path[:i], path[i+1:]; way == "" {
			return &fs.PathError{Op: "opening", Path: path, Err: ErrName}
		}
	}
	if err := CheckName(name); err != nil {
		return err
	}
	p, err := t.place(way)
	if err != nil {
		return err
	}
	defer t.release(p)
	return do(p, name)
}

// place is an open directory of the tree, for use until release.
func (t *Tree) place(way string) (*place, error) {
	if way == "" {
		return t.top, nil
	}
	t.mu.Lock()
	p := t.open[way]
	if p != nil {
		t.use(p)
	}
	t.mu.Unlock()
	if p != nil {
		return p, nil
	}
	err := t.in(way, func(parent *place, name string) (err error) {
		p, err = parent.enter(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return t.keep(way, p), nil
}

// use notes, under mu, that somebody uses a directory.
func (t *Tree) use(p *place) {
	t.uses++
	p.held.users++
	p.held.used = t.uses
}

// keep makes a directory that was just opened one of those that stay open, in
// place of the one that was used least of late.
func (t *Tree) keep(way string, p *place) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.open[way]; other != nil { // somebody was faster
		p.close()
		t.use(other)
		return other
	}
	t.use(p)
	if len(t.open) >= maxOpenPlaces {
		oldest, used := "", t.uses+1
		for path, q := range t.open {
			if q.held.used < used {
				oldest, used = path, q.held.used
			}
		}
		t.drop(oldest)
	}
	t.open[way] = p
	return p
}

// drop ends, under mu, the keeping of a directory.
func (t *Tree) drop(way string) {
	p := t.open[way]
	delete(t.open, way)
	if p.held.gone = true; p.held.users == 0 {
		p.close()
	}
}

func (t *Tree) release(p *place) {
	if p == t.top {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.held.users--; p.held.gone && p.held.users == 0 {
		p.close()
	}
}

// forget closes the directories at and below a path.
func (t *Tree) forget(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for way := range t.open {
		if strings.HasPrefix(way+"/", path+"/") {
			t.drop(way)
		}
	}
}

func inTheWay(path string) error {
	return &fs.PathError{Op: "opening", Path: path, Err: ErrInTheWay}
}
