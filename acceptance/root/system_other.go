//go:build !linux

package root

import "os/exec"

// terminateOnCancel leaves the command as it is: roots exist on Linux only.
func terminateOnCancel(*exec.Cmd) {}
