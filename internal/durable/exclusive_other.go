//go:build !linux && !darwin && !windows

package durable

import (
	"errors"
	"os"
)

// renameCreateOnly has no system call here.
func renameCreateOnly(old, new string) error {
	return &os.LinkError{Op: "rename", Old: old, New: new, Err: errors.ErrUnsupported}
}
