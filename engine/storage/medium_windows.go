package storage

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isMedium reports whether an error says that a disk cannot read back what
// was written to it.
func isMedium(err error) bool {
	return errors.Is(err, windows.ERROR_CRC) || errors.Is(err, windows.ERROR_SECTOR_NOT_FOUND) || errors.Is(err, windows.ERROR_IO_DEVICE)
}
