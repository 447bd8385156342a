//go:build linux && !386 && !arm

package source

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// utimes sets the modification time, links not followed; without a name that
// of the open file itself.
func utimes(dirfd int, name string, t Time) error {
	if t.Nanoseconds >= 1e9 { // some of these mean "now" and "as it is"
		return unix.EINVAL
	}
	times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: t.Seconds, Nsec: int64(t.Nanoseconds)}}
	if name != "" {
		return unix.UtimesNanoAt(dirfd, name, times[:], unix.AT_SYMLINK_NOFOLLOW)
	}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(dirfd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
