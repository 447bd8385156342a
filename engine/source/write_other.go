//go:build !linux && !windows

package source

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// makeSpecial has no call here that works relative to an open directory, and
// a path could be led astray.
func makeSpecial(*os.File, string, Entry) error { return errors.ErrUnsupported }

// setModTime sets both times of an entry to its modification time, links not
// followed.
func setModTime(dir *os.File, _ *os.Root, name string, e Entry) error {
	t, err := unix.TimeToTimespec(e.ModTime.Time())
	if err != nil {
		return &os.PathError{Op: "utimensat", Path: name, Err: err}
	}
	if err := unix.UtimesNanoAt(int(dir.Fd()), name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return nil
}
