package source

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// makeSpecial makes a FIFO, a socket or a device in an open directory.
func makeSpecial(dir *os.File, name string, e Entry) error {
	mode, dev := uint32(newFileMode), 0
	switch e.Special {
	case FIFO:
		mode |= unix.S_IFIFO
	case Socket:
		mode |= unix.S_IFSOCK
	case CharDevice:
		mode |= unix.S_IFCHR
		dev = int(unix.Mkdev(e.Major, e.Minor))
	case BlockDevice:
		mode |= unix.S_IFBLK
		dev = int(unix.Mkdev(e.Major, e.Minor))
	default:
		return errors.ErrUnsupported
	}
	return unix.Mknodat(int(dir.Fd()), name, mode, dev)
}

// setModTime sets the modification time of an entry, links not followed, and
// leaves the access time.
func setModTime(dir *os.File, _ *os.Root, name string, e Entry) error {
	if err := utimes(int(dir.Fd()), name, e.ModTime); err != nil {
		return &os.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return nil
}
