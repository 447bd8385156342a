package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// replaceName gives a file its name and drops what had the name before.
func replaceName(temporary, name string) error {
	return move(temporary, name, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
}

// createName gives a file its name unless something has it.
func createName(temporary, name string) error {
	return move(temporary, name, windows.MOVEFILE_WRITE_THROUGH)
}

// linkName is not for Windows, where the first name of an open file cannot be
// removed.
func linkName(string, string) error { return errors.ErrUnsupported }

// move is MoveFileEx; it returns when the move is on the disk.
func move(old, new string, flags uint32) error {
	from, err := windows.UTF16PtrFromString(old)
	if err != nil {
		return &os.LinkError{Op: "move", Old: old, New: new, Err: err}
	}
	to, err := windows.UTF16PtrFromString(new)
	if err != nil {
		return &os.LinkError{Op: "move", Old: old, New: new, Err: err}
	}
	if err := windows.MoveFileEx(from, to, flags); err != nil {
		return &os.LinkError{Op: "move", Old: old, New: new, Err: err}
	}
	return nil
}

// syncDir has nothing to call on Windows: move writes through.
func syncDir(dir string) error {
	_, err := os.Stat(dir)
	return err
}
