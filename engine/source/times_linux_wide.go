//go:build linux && !386 && !arm

package source

import "golang.org/x/sys/unix"

// utimes sets the modification time, links not followed.
func utimes(dirfd int, name string, t Time) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: t.Seconds, Nsec: int64(t.Nanoseconds)}}
	return unix.UtimesNanoAt(dirfd, name, times, unix.AT_SYMLINK_NOFOLLOW)
}
