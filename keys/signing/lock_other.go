//go:build !windows

package signing

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile locks a file against other openings of it, until it is closed.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
