//go:build !windows

package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A place is an open directory of a Tree. Everything happens relative to its
// handle, one name at a time, links not followed: no path leads outside.
type place struct {
	fd   int
	held held // under Tree.mu

	mu       sync.Mutex
	given    given
	bequeath bequeath
}

// given is what the last new file that was looked at in a directory got of
// the umask, a default ACL, or the group of the directory. The next one that
// asks for the same mode gets the same.
type given struct {
	known    bool
	acl      bool // perhaps it inherited an ACL
	asked    uint32
	mode     uint32
	uid, gid uint32
}

// openPlace opens the directory at a path of the system.
func openPlace(path string) (*place, error) {
	fd, err := openatRetry(unix.AT_FDCWD, path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &place{fd: fd}, nil
}

func (p *place) close() error { return unix.Close(p.fd) }

// failed makes the error of a system call on a name.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// enter opens a directory that is one.
func (p *place) enter(name string) (*place, error) {
	fd, err := openatRetry(p.fd, name, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_RDONLY|unix.O_CLOEXEC)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, inTheWay(name)
	}
	if err != nil {
		return nil, failed("open", name, err)
	}
	return &place{fd: fd}, nil
}

func (p *place) mkdir(name string) error {
	return failed("mkdir", name, unix.Mkdirat(p.fd, name, newDirMode))
}

func (p *place) symlink(target, name string) error {
	return failed("symlink", name, unix.Symlinkat(target, p.fd, name))
}

// symlinkAs makes a link, of whatever system.
func (p *place) symlinkAs(e Entry, name string) error { return p.symlink(e.Target, name) }

func (p *place) link(old string, to *place, name string) error {
	return failed("link", name, unix.Linkat(p.fd, old, to.fd, name, 0))
}

func (p *place) special(name string, e Entry) error { return makeSpecial(p.fd, name, e) }

func (p *place) remove(name string) error {
	err := unix.Unlinkat(p.fd, name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		if rerr := unix.Unlinkat(p.fd, name, unix.AT_REMOVEDIR); rerr != unix.ENOTDIR {
			err = rerr
		}
	}
	return failed("remove", name, err)
}

func (p *place) rename(old, name string) error {
	return failed("rename", name, unix.Renameat(p.fd, old, p.fd, name))
}

func (p *place) lstat(name string) (Entry, error) { return lstatAt(p.fd, name, name, name) }

// list opens the directory once more, for reading its names.
func (p *place) list() (*os.File, error) {
	fd, err := openatRetry(p.fd, ".", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, failed("open", ".", err)
	}
	return os.NewFile(uintptr(fd), "."), nil
}

// asBorn reports whether a new file in the directory may have the permissions
// of e at once, as far as is known: nobody else is still to be its owner, and it
// inherits no ACL that lets others in.
func (p *place) asBorn(o *owning, e *Entry) bool {
	if p.bequeaths() && !e.has(accessACL) {
		return false
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	p.mu.Lock()
	if p.given.known {
		uid, gid = p.given.uid, p.given.gid
	}
	p.mu.Unlock()
	newUID, newGID := o.tries(uid, gid, e)
	return newUID < 0 && newGID < 0
}

// give gives what has an owner and a group those of e, with chown, as far as
// the process may. changed says that it tried, which can take SetUID and SetGID
// bits away.
func (o *owning) give(name string, uid, gid uint32, e *Entry, chown func(uid, gid int) error) (changed bool, err error) {
	newUID, newGID := o.tries(uid, gid, e)
	if changed = newUID >= 0 || newGID >= 0; changed {
		err = chown(newUID, newGID)
	}
	refused := err == unix.EPERM || err == unix.EINVAL // EINVAL: the number means nobody here
	switch {
	case o.anybody && refused:
		return changed, failed("chown", name, fmt.Errorf("%w: %w", ErrGiven, err))
	case o.anybody || err != nil && !refused:
		return changed, failed("chown", name, err)
	case refused || uid != e.UID || gid != e.GID && newGID < 0:
		o.kept.Add(1)
	}
	return changed, nil
}

// create makes a new file.
func (p *place) create(name string, mode uint32) (*NewFile, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(p.fd, name, flags, mode)
	for err == unix.EINTR {
		fd, err = unix.Openat(p.fd, name, flags, mode)
	}
	if err != nil {
		return nil, failed("open", name, err)
	}
	f := &NewFile{fd: fd, name: name}
	if f.is, err = p.gives(fd, mode); err != nil {
		return nil, errors.Join(failed("fstat", name, err), f.Close(), p.remove(name))
	}
	f.is.acl = p.bequeaths()
	return f, nil
}

// gives is what a new file got that asked for a mode. It looks at one file of
// a directory and mode, not at each.
func (p *place) gives(fd int, mode uint32) (given, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given.known && p.given.asked == mode {
		return p.given, nil
	}
	g, err := look(fd)
	g.asked = mode
	if err == nil {
		p.given = g
	}
	return g, err
}

// look asks for mode and owner of an open file.
func look(fd int) (given, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return given{}, err
	}
	return given{known: true, mode: uint32(st.Mode) & ModeMask, uid: st.Uid, gid: st.Gid}, nil
}

// openFile opens a regular file that is there.
func (p *place) openFile(name string) (*NewFile, error) {
	fd, err := openatRetry(p.fd, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err == unix.ELOOP || err == unix.EISDIR || err == unix.ENXIO {
		return nil, failed("open", name, ErrNotRegular)
	}
	if err != nil {
		return nil, failed("open", name, err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = ErrNotRegular
	}
	if err != nil {
		return nil, errors.Join(failed("open", name, err), unix.Close(fd))
	}
	return &NewFile{fd: fd, name: name, is: given{known: true, acl: p.bequeaths(), mode: uint32(st.Mode) & ModeMask, uid: st.Uid, gid: st.Gid}}, nil
}

// modeFor is the mode of e for what was made of it. SetUID and SetGID lend the
// rights of owner and group to everybody: what root lent, another who restores
// it has not. So these are left out, with ErrSetID, unless now, asked after the
// owner was set, says that owner and group are those of e.
func (e *Entry) modeFor(now func() (uid, gid uint32, err error)) (mode uint32, err error) {
	mode = e.Mode & ModeMask
	if mode&(SetUID|SetGID) == 0 || e.Kind == Symlink {
		return mode, nil
	}
	uid, gid, err := now()
	if err != nil {
		return mode &^ (SetUID | SetGID), err
	}
	if uid != e.UID {
		mode &^= SetUID
	}
	if gid != e.GID {
		mode &^= SetGID
	}
	if mode != e.Mode&ModeMask {
		err = ErrSetID
	}
	return mode, err
}

// setMetadata sets what SetMetadata promises.
func (p *place) setMetadata(name string, e Entry, o *owning) error {
	there, err := p.lstat(name)
	if err != nil {
		return err
	}
	if there.Kind != e.Kind || there.Special != e.Special {
		return failed("setting the metadata", name, ErrInTheWay)
	}
	var problems []error
	mode := there.Mode
	changed, err := o.give(name, there.UID, there.GID, &e, func(uid, gid int) error {
		return unix.Fchownat(p.fd, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if changed {
		mode &^= SetUID | SetGID // the kernel may have taken them away
	}
	problems = append(problems, err, p.setAttributes(name, &e, false), p.disinherit(name, &e))
	want, err := e.modeFor(func() (uint32, uint32, error) {
		now, err := p.lstat(name)
		return now.UID, now.GID, err
	})
	problems = append(problems, failed("chmod", name, err))
	if e.Kind != Symlink && (mode != want || mode != there.Mode) {
		problems = append(problems, failed("chmod", name, chmodAt(p.fd, name, want)))
	}
	problems = append(problems, p.setAttributes(name, &e, true))
	problems = append(problems, failed("utimensat", name, setModTime(p.fd, name, e.ModTime)))
	if e.ModTime.rare() {
		if there, err = p.lstat(name); err == nil {
			err = checkModTime(there, e)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// A NewFile is a file of a Tree that is being written.
type NewFile struct {
	fd   int
	name string
	is   given
}

// Write writes at the place where the last Write ended.
func (f *NewFile) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Write(f.fd, b[n:])
		if err != nil && err != unix.EINTR {
			return n, failed("write", f.name, err)
		}
		n += max(m, 0)
	}
	return n, nil
}

// WriteAt writes at an offset.
func (f *NewFile) WriteAt(b []byte, offset int64) (n int, err error) {
	for n < len(b) {
		m, err := unix.Pwrite(f.fd, b[n:], offset+int64(n))
		if err != nil && err != unix.EINTR {
			return n, failed("write", f.name, err)
		}
		n += max(m, 0)
	}
	return n, nil
}

// Truncate sets the size of the file; what it grows by is a hole.
func (f *NewFile) Truncate(size int64) error {
	return failed("truncate", f.name, unix.Ftruncate(f.fd, size))
}

// Sync brings the content to the disk.
func (f *NewFile) Sync() error { return failed("fsync", f.name, unix.Fsync(f.fd)) }

// Close closes the file.
func (f *NewFile) Close() error { return failed("close", f.name, unix.Close(f.fd)) }
