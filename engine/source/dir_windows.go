package source

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// A Dir is an open directory of the live file system.
type Dir struct {
	f    *os.File
	path string
}

// OpenDir opens the directory at a path of the system. Symbolic links in the
// path are followed: it is where the user said to start.
func OpenDir(path string) (*Dir, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: windows.ERROR_DIRECTORY}
	}
	if err != nil {
		f.Close()
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
	f, err := openToRead(d.f, name, path, Directory)
	if err != nil {
		return nil, err
	}
	return &Dir{f, path}, nil
}

// handle is an open file.
type handle = os.File

// open opens a file of the directory for reading.
func (d *Dir) open(name string) (*handle, error) {
	return openToRead(d.f, name, join(d.path, name), File)
}

// Lstat examines one name of the directory. With an error the entry holds
// nothing but the name.
func (d *Dir) Lstat(name string) (Entry, error) { return lstatAt(d.f, name, join(d.path, name)) }

// lstatAt examines a name of an open directory.
func lstatAt(dir *os.File, name, path string) (Entry, error) {
	h, err := openAt(windows.Handle(dir.Fd()), name, windows.FILE_READ_ATTRIBUTES, windows.FILE_OPEN, 0)
	return examined(h, err, name, path)
}

// Lstat examines a path of the system; the entry has the last element of the
// path as its name. With an error the entry holds nothing but the name.
func Lstat(path string) (Entry, error) {
	h, err := openPath(path)
	return examined(h, err, filepath.Base(path), path)
}

// examined examines what was just opened, and closes it.
func examined(h windows.Handle, err error, name, path string) (e Entry, _ error) {
	if err == nil {
		e, err = examine(h, name)
		err = errors.Join(err, windows.CloseHandle(h))
	}
	if err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return e, nil
}

// A windows.Filetime counts ticks of 100 ns since 1601.
const (
	ticksPerSecond = 10_000_000
	ticksTo1970    = 11_644_473_600 * ticksPerSecond
)

// timeOfFiletime converts without the overflow of Filetime.Nanoseconds, which
// ends in 2262.
func timeOfFiletime(f windows.Filetime) Time {
	ticks := int64(f.HighDateTime)<<32 + int64(f.LowDateTime) - ticksTo1970
	return timeOf(ticks/ticksPerSecond, ticks%ticksPerSecond*100)
}

// filetimeOf is the inverse of timeOfFiletime; ok is false for a time that
// Windows has no number for.
func filetimeOf(t Time) (f windows.Filetime, ok bool) {
	const first, last = -ticksTo1970 / ticksPerSecond, (math.MaxInt64-ticksTo1970)/ticksPerSecond - 1
	if t.Seconds < first || t.Seconds > last {
		return f, false
	}
	ticks := t.Seconds*ticksPerSecond + int64(t.Nanoseconds/100) + ticksTo1970
	// 0 means to leave the time as it is.
	return windows.Filetime{HighDateTime: uint32(ticks >> 32), LowDateTime: uint32(ticks)}, ticks > 0
}

// statFile examines an open file.
func statFile(f *os.File, name string) (Entry, error) {
	e, err := examine(windows.Handle(f.Fd()), name)
	if err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return e, nil
}

// checkPlatformName refuses what Windows takes for something else: another
// separator, a stream, a device, a trailing dot or space that it drops, and
// bytes that are no text, which it would replace.
func checkPlatformName(name string) error {
	if strings.ContainsAny(name, `\:*?"<>|`) || !filepath.IsLocal(name) || strings.TrimRight(name, ". ") != name {
		return ErrName
	}
	for _, c := range name {
		if c < ' ' {
			return ErrName
		}
	}
	u, err := windows.UTF16FromString(name)
	if err != nil || windows.UTF16ToString(u) != name {
		return ErrName
	}
	return nil
}
