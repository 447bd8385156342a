//go:build !linux

package root

import (
	"errors"
	"os"
	"os/exec"
)

// terminateOnCancel leaves the command as it is: roots exist on Linux only.
func terminateOnCancel(*exec.Cmd) {}

// tryLock fails: roots exist on Linux only.
func tryLock(*os.File) error { return errors.ErrUnsupported }
