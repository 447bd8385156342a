package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameCreateOnly renames a file unless something has the new name.
func renameCreateOnly(old, new string) error {
	err := unix.Renameat2(unix.AT_FDCWD, old, unix.AT_FDCWD, new, unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: old, New: new, Err: err}
	}
	return nil
}
