//go:build !windows

package source

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Dir is an open directory of the live file system.
type Dir struct {
	f    *os.File
	path string
}

// OpenDir opens the directory at a path of the system. Symbolic links in the
// path are followed: it is where the user said to start.
func OpenDir(path string) (*Dir, error) {
	f, err := openat(unix.AT_FDCWD, path, path, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return &Dir{f, path}, nil
}

// Path is where the directory was when it was opened.
func (d *Dir) Path() string { return d.path }

// Close closes the directory.
func (d *Dir) Close() error { return d.f.Close() }

// OpenDir opens a directory of the directory; a symbolic link in its place is
// an error.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	path := join(d.path, name)
	f, err := openat(int(d.f.Fd()), name, path, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	return &Dir{f, path}, nil
}

// open opens a file of the directory for reading. O_NONBLOCK keeps a FIFO
// that took the place of the file from holding us up.
func (d *Dir) open(name string) (*handle, error) {
	path := join(d.path, name)
	fd, err := openToRead(int(d.f.Fd()), name, path, unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return &handle{fd, path}, nil
}

// handle is an open file. An os.File would wait for one that has nothing to
// give now and never may, such as /proc/kmsg, which looks like a regular file.
type handle struct {
	fd   int
	path string
}

func (h *handle) Fd() uintptr  { return uintptr(h.fd) }
func (h *handle) Name() string { return h.path }
func (h *handle) Close() error { return failed("close", h.path, unix.Close(h.fd)) }

// Read is read(2) past signals.
func (h *handle) Read(p []byte) (int, error) {
	return h.read(p, func() (int, error) { return unix.Read(h.fd, p) })
}

// ReadAt reads until p is full or the file ends.
func (h *handle) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = h.read(p[n:], func() (int, error) { return unix.Pread(h.fd, p[n:], offset+int64(n)) })
		n += m
	}
	return n, err
}

func (h *handle) read(p []byte, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, failed("read", h.path, err)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// openat opens a directory.
func openat(dirfd int, name, path string, flags int) (*os.File, error) {
	fd, err := openToRead(dirfd, name, path, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openToRead opens for reading, leaving access times alone where that is
// allowed: the kernel permits it to the owner of the file and to root.
func openToRead(dirfd int, name, path string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_CLOEXEC
	fd, err := openatRetry(dirfd, name, flags|openNoAccessTime)
	if err == unix.EPERM && openNoAccessTime != 0 {
		fd, err = openatRetry(dirfd, name, flags)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// openatRetry is openat(2) past signals.
func openatRetry(dirfd int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Lstat examines one name of the directory. With an error the entry holds
// nothing but the name.
func (d *Dir) Lstat(name string) (Entry, error) {
	return lstatAt(int(d.f.Fd()), name, name, join(d.path, name))
}

// Lstat examines a path of the system; the entry has the last element of the
// path as its name. With an error the entry holds nothing but the name.
func Lstat(path string) (Entry, error) {
	return lstatAt(unix.AT_FDCWD, path, filepath.Base(path), path)
}

func lstatAt(dirfd int, at, name, path string) (Entry, error) {
	var st unix.Stat_t
	if err := fstatat(dirfd, at, &st); err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	e := entryOf(name, &st)
	if err := wideTimes(dirfd, at, &e); err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	if e.Kind == Symlink {
		target, err := readlinkat(dirfd, at, int(st.Size))
		if err != nil {
			return Entry{Name: name}, &fs.PathError{Op: "readlink", Path: path, Err: err}
		}
		e.Target = target
	}
	return e, nil
}

func fstatat(dirfd int, at string, st *unix.Stat_t) error {
	for {
		if err := unix.Fstatat(dirfd, at, st, unix.AT_SYMLINK_NOFOLLOW); err != unix.EINTR {
			return err
		}
	}
}

// minSparse is the size of a file from which on a hole is worth keeping. Some
// file systems keep small files without a block.
const minSparse = 64 << 10

// maxTargetBytes is the longest target of a symbolic link that is read.
const maxTargetBytes = 1 << 16

// readlinkat reads a link whose size is only a hint: it may have changed, and
// some file systems say 0.
func readlinkat(dirfd int, at string, size int) (string, error) {
	for n := max(size+1, 128); ; n *= 2 {
		buf := make([]byte, n)
		got, err := unix.Readlinkat(dirfd, at, buf)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return "", err
		case got < n:
			return string(buf[:got]), nil
		case n > maxTargetBytes:
			return "", unix.ENAMETOOLONG
		}
	}
}

// statFile examines an open file or directory.
func statFile(f interface {
	Fd() uintptr
	Name() string
}, name string) (Entry, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	e := entryOf(name, &st)
	if err := wideTimes(int(f.Fd()), "", &e); err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	return e, nil
}

// entryOf translates what stat says. The fields differ in width between
// systems, hence the conversions.
func entryOf(name string, st *unix.Stat_t) Entry {
	e := Entry{
		Name:       name,
		Mode:       uint32(st.Mode) & ModeMask,
		ModTime:    timeOf(int64(st.Mtim.Sec), int64(st.Mtim.Nsec)),
		ChangeTime: timeOf(int64(st.Ctim.Sec), int64(st.Ctim.Nsec)),
		ID:         FileID{uint64(st.Dev), uint64(st.Ino)},
		Links:      uint64(st.Nlink),
		UID:        st.Uid,
		GID:        st.Gid,
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind, e.Size = File, st.Size
		e.Sparse = st.Size >= minSparse && int64(st.Blocks) < st.Size/512
	case unix.S_IFDIR:
		e.Kind = Directory
	case unix.S_IFLNK:
		e.Kind = Symlink
	case unix.S_IFIFO:
		e.Kind, e.Special = Special, FIFO
	case unix.S_IFSOCK:
		e.Kind, e.Special = Special, Socket
	case unix.S_IFCHR:
		e.Kind, e.Special = Special, CharDevice
	case unix.S_IFBLK:
		e.Kind, e.Special = Special, BlockDevice
	}
	if e.Special == CharDevice || e.Special == BlockDevice {
		e.Major, e.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
	return e
}

// skipHere has nothing to add.
func (e Entry) skipHere() string { return "" }

// checkPlatformName has nothing to add: these systems take every other byte.
func checkPlatformName(string) error { return nil }
