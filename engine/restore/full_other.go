//go:build !windows

package restore

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isFull reports whether an error says that a file system takes nothing more.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS)
}
