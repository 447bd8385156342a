//go:build linux && (386 || arm)

package source

import (
	"errors"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wideTimes sets the times of an entry that stat cut to 32 bits: it ends in
// 2038. Kernels before 4.11 have no other.
func wideTimes(dirfd int, at string, e *Entry) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if at == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	for {
		err := unix.Statx(dirfd, at, flags, unix.STATX_MTIME|unix.STATX_CTIME, &st)
		switch {
		case err == nil:
			e.ModTime = timeOf(st.Mtime.Sec, int64(st.Mtime.Nsec))
			e.ChangeTime = timeOf(st.Ctime.Sec, int64(st.Ctime.Nsec))
			return nil
		case errors.Is(err, unix.ENOSYS):
			return nil
		case err != unix.EINTR:
			return err
		}
	}
}

// timespec64 is struct __kernel_timespec, of 64 bits on every system.
type timespec64 struct{ sec, nsec int64 }

// utimes sets the modification time, links not followed; without a name that
// of the open file itself. Kernels before 5.1 know 32 bits only: unix.ERANGE
// is for what does not fit.
func utimes(dirfd int, name string, t Time) error {
	if t.Nanoseconds >= 1e9 { // some of these mean "now" and "as it is"
		return unix.EINVAL
	}
	var p *byte
	flags := uintptr(0)
	if name != "" {
		var err error
		if p, err = unix.BytePtrFromString(name); err != nil {
			return err
		}
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	times := [2]timespec64{{nsec: unix.UTIME_OMIT}, {t.Seconds, int64(t.Nanoseconds)}}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT_TIME64, uintptr(dirfd), uintptr(unsafe.Pointer(p)),
		uintptr(unsafe.Pointer(&times)), flags, 0, 0)
	switch errno {
	case 0:
		return nil
	case unix.ENOSYS:
		ts, err := unix.TimeToTimespec(t.Time())
		if err != nil {
			return err
		}
		if name == "" { // the file is open, so its name in /proc is not a link to elsewhere
			return unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(dirfd), []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}, 0)
		}
		return unix.UtimesNanoAt(dirfd, name, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	return errno
}
