//go:build !linux && !windows

package source

import (
	"errors"

	"golang.org/x/sys/unix"
)

// makeSpecial has no call here that works relative to an open directory, and
// a path could be led astray.
func makeSpecial(int, string, Entry) error { return errors.ErrUnsupported }

// setModTime sets both times of an entry to its modification time, links not
// followed.
func setModTime(dirfd int, name string, t Time) error {
	ts, err := unix.TimeToTimespec(t.Time())
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dirfd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// chmodAt sets the mode of an entry that is no link.
func chmodAt(dirfd int, name string, mode uint32) error {
	return unix.Fchmodat(dirfd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
}
