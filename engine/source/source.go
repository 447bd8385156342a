// Package source is the live file system as a backup sees it and as a restore
// writes it back.
//
// Reading (Dir, Reader, Walk). A name is a raw byte string, kept as it is,
// whatever its encoding; names are in the order of their bytes. What is seen
// is what lstat says through the handle of the open directory, so that a
// directory that is renamed meanwhile is still the one that is read. No
// symbolic link below the starting point is followed, no FIFO or device is
// ever waited for, and where the system lets us, reading leaves no trace in
// access times. A directory that cannot be read whole says so, so that nobody
// takes the missing entries for deleted ones. A file that changes while it is
// read is reported as such by Reader.Changed.
//
// Writing back (Tree). Everything happens below one directory. Names are
// checked and every directory on the way is opened by its one name, relative
// to the handle of the one above and without following links (on Windows under
// os.Root), so that a hostile tree cannot reach outside of it. Nothing that
// exists is replaced, but by Replace. Metadata comes last: ownership, mode,
// times, in that order, because each can undo the next.
//
// The limits: on Windows permission bits are those that Go makes of the
// read-only attribute.
package source

import (
	"io/fs"
	"strings"
	"time"
)

// A Kind says what an entry is.
type Kind uint8

// The kinds of entries.
const (
	File Kind = iota + 1
	Directory
	Symlink
	Special // FIFO, socket or device, told apart by Entry.Special
)

// String returns the word for a kind.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Directory:
		return "directory"
	case Symlink:
		return "symlink"
	case Special:
		return "special"
	}
	return "unknown"
}

// A SpecialKind says what an entry of kind Special is.
type SpecialKind uint8

// The kinds of special files.
const (
	FIFO SpecialKind = iota + 1
	Socket
	CharDevice
	BlockDevice
)

// The bits of Entry.Mode beyond the nine of rwxrwxrwx, as POSIX numbers them.
const (
	SetUID   = 0o4000
	SetGID   = 0o2000
	Sticky   = 0o1000
	ModeMask = 0o7777
)

// A FileID tells one file from all others that exist at the same time. It is
// zero where the file system has no such numbers.
type FileID struct {
	Device, Inode uint64
}

// A Time is a time stamp of a file, every one that a file system can hold.
type Time struct {
	Seconds     int64  // since 1970, UTC; negative before
	Nanoseconds uint32 // after that second, below 1e9
}

// TimeOf converts a time.
func TimeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// timeOf makes a Time of what a system says, whose nanoseconds may be out of
// range on file systems in user space.
func timeOf(sec, nsec int64) Time { return TimeOf(time.Unix(sec, nsec)) }

// Time converts to a time.
func (t Time) Time() time.Time { return time.Unix(t.Seconds, int64(t.Nanoseconds)).UTC() }

// Before reports whether t is earlier than u.
func (t Time) Before(u Time) bool {
	return t.Seconds < u.Seconds || t.Seconds == u.Seconds && t.Nanoseconds < u.Nanoseconds
}

// An Entry is one name of a directory and what the file system says of it.
type Entry struct {
	Name       string // raw bytes, without a directory
	Kind       Kind
	Mode       uint32 // permission bits with SetUID, SetGID and Sticky
	ModTime    Time
	ChangeTime Time  // of the last change of data or metadata; zero if unknown
	Size       int64 // bytes, of a file; 0 for other kinds
	ID         FileID
	Links      uint64 // names that the file has; 1 if unknown
	UID, GID   uint32 // owner, 0 where there is no such number
	Target     string // raw bytes, of a symlink
	Special    SpecialKind
	Major      uint32 // of a device
	Minor      uint32
	Sparse     bool        // of a file: it takes less room than its size
	Elsewhere  bool        // of a file: reading it would fetch its content from somewhere
	WinAttrs   uint32      // file attributes of Windows, those that are kept; elsewhere 0
	Attributes []Attribute // to be written back; reading does not fill them in
}

// Same reports whether two observations of one name show the same state: kind,
// size, both times and file id. It is how an unchanged file is known without
// reading it.
func (e Entry) Same(o Entry) bool {
	return e.Kind == o.Kind && e.Size == o.Size && e.ModTime == o.ModTime &&
		e.ChangeTime == o.ChangeTime && e.ID == o.ID
}

// Skip says why an entry cannot be backed up at all; empty: it can.
func (e Entry) Skip() string {
	if e.Kind == Special && e.Special == Socket {
		return "a socket, which is nothing without the program that listens on it"
	}
	return e.skipHere()
}

// FileMode is the mode of an entry as package fs writes it.
func (e Entry) FileMode() fs.FileMode {
	m := fs.FileMode(e.Mode & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{SetUID: fs.ModeSetuid, SetGID: fs.ModeSetgid, Sticky: fs.ModeSticky} {
		if e.Mode&bit != 0 {
			m |= flag
		}
	}
	switch e.Kind {
	case Directory:
		m |= fs.ModeDir
	case Symlink:
		m |= fs.ModeSymlink
	case Special:
		switch e.Special {
		case FIFO:
			m |= fs.ModeNamedPipe
		case Socket:
			m |= fs.ModeSocket
		case CharDevice:
			m |= fs.ModeDevice | fs.ModeCharDevice
		case BlockDevice:
			m |= fs.ModeDevice
		}
	}
	return m
}

// MaxNameBytes is the longest name that is accepted when writing back; no
// file system in use has longer ones.
const MaxNameBytes = 1024

// CheckName returns ErrName unless name can be the name of one entry of a
// directory: not empty, not "." or "..", without a separator or a NUL.
func CheckName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > MaxNameBytes ||
		strings.ContainsAny(name, "/\x00") {
		return &fs.PathError{Op: "checking the name", Path: name, Err: ErrName}
	}
	if err := checkPlatformName(name); err != nil {
		return &fs.PathError{Op: "checking the name", Path: name, Err: err}
	}
	return nil
}
