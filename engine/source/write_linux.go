package source

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// makeSpecial makes a FIFO, a socket or a device in an open directory.
func makeSpecial(dirfd int, name string, e Entry) error {
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
	return unix.Mknodat(dirfd, name, mode, dev)
}

// setModTime sets the modification time of an entry, links not followed, and
// leaves the access time.
func setModTime(dirfd int, name string, t Time) error { return utimes(dirfd, name, t) }

// chmodAt sets the mode of an entry that is no link. Kernels before 6.6 have
// no such call: there, a handle that only names the entry does.
func chmodAt(dirfd int, name string, mode uint32) error {
	err := unix.Fchmodat(dirfd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
	if err != unix.EOPNOTSUPP && err != unix.ENOSYS {
		return err
	}
	fd, err := openatRetry(dirfd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return ErrInTheWay
	}
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
}

// setAttributes sets the ACLs, or all other attributes of an entry.
func (p *place) setAttributes(name string, e *Entry, acls bool) error {
	if len(e.Attributes) == 0 {
		return nil
	}
	path := procPath(p.fd, name)
	return setAttributes(e, acls, func(a string, value []byte) error { return unix.Lsetxattr(path, a, value, 0) })
}
