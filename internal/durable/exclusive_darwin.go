package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameCreateOnly renames a file unless something has the new name.
func renameCreateOnly(old, new string) error {
	if err := unix.RenamexNp(old, new, unix.RENAME_EXCL); err != nil {
		return &os.LinkError{Op: "renamex_np", Old: old, New: new, Err: err}
	}
	return nil
}
