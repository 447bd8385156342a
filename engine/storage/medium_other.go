//go:build !windows

package storage

import (
	"errors"
	"syscall"
)

// isMedium reports whether an error says that a disk cannot read back what
// was written to it.
func isMedium(err error) bool { return errors.Is(err, syscall.EIO) }
