package source

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

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
	if err := plain(path, fs.ModeDir); err != nil {
		return nil, err
	}
	return OpenDir(path)
}

// open opens a file of the directory for reading.
func (d *Dir) open(name string) (*os.File, error) {
	path := join(d.path, name)
	if err := plain(path, 0); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// plain returns an error unless path has the wanted type, links not followed.
func plain(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().Type() != want {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	return err
}

// Lstat examines one name of the directory. With an error the entry holds
// nothing but the name.
func (d *Dir) Lstat(name string) (Entry, error) {
	e, err := Lstat(join(d.path, name))
	e.Name = name
	return e, err
}

// Lstat examines a path of the system; the entry has the last element of the
// path as its name. With an error the entry holds nothing but the name.
func Lstat(path string) (Entry, error) {
	name := filepath.Base(path)
	handle, err := openToExamine(path)
	if err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	defer windows.CloseHandle(handle)
	e, err := examine(handle, name)
	if err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{Name: name}, err
	}
	setKind(&e, info)
	if e.Kind == Symlink {
		if e.Target, err = os.Readlink(path); err != nil {
			return Entry{Name: name}, err
		}
	}
	return e, nil
}

// openToExamine opens anything, also a directory or a link itself, with the
// right to read attributes alone.
func openToExamine(path string) (windows.Handle, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return windows.InvalidHandle, err
	}
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	const flags = windows.FILE_FLAG_BACKUP_SEMANTICS | windows.FILE_FLAG_OPEN_REPARSE_POINT
	return windows.CreateFile(p, windows.FILE_READ_ATTRIBUTES, share, nil, windows.OPEN_EXISTING, flags, 0)
}

// basicInfo is FILE_BASIC_INFO of GetFileInformationByHandleEx.
type basicInfo struct {
	creation, access, write, change windows.Filetime
	attributes                      uint32
	_                               uint32
}

// examine reads the times, the size and the numbers of an open file.
func examine(handle windows.Handle, name string) (Entry, error) {
	e := Entry{Name: name}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return e, err
	}
	e.ModTime = timeOfFiletime(info.LastWriteTime)
	e.Size = int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow)
	e.ID = FileID{uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}
	e.Links = uint64(info.NumberOfLinks)
	var basic basicInfo
	// File systems without a change time leave it at 0.
	err := windows.GetFileInformationByHandleEx(handle, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic)))
	if err == nil && basic.change != (windows.Filetime{}) {
		e.ChangeTime = timeOfFiletime(basic.change)
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

// setKind fills in what Go makes of the attributes.
func setKind(e *Entry, info fs.FileInfo) {
	e.Mode = uint32(info.Mode().Perm())
	switch {
	case info.Mode().IsRegular():
		e.Kind = File
		return
	case info.IsDir():
		e.Kind = Directory
	case info.Mode()&fs.ModeSymlink != 0:
		e.Kind = Symlink
	default:
		e.Kind = Special
	}
	e.Size = 0
}

// statFile examines an open file.
func statFile(f *os.File, name string) (Entry, error) {
	e, err := examine(windows.Handle(f.Fd()), name)
	if err != nil {
		return Entry{Name: name}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	info, err := f.Stat()
	if err != nil {
		return Entry{Name: name}, err
	}
	setKind(&e, info)
	return e, nil
}

// checkPlatformName refuses what Windows takes for something else: another
// separator, a stream, a device, a trailing dot or space that it drops.
func checkPlatformName(name string) error {
	if strings.ContainsAny(name, `\:*?"<>|`) || !filepath.IsLocal(name) || strings.TrimRight(name, ". ") != name {
		return ErrName
	}
	return nil
}
