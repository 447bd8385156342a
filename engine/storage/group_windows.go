package storage

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt that is typed at the terminal from the program:
// what is being put is finished first.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
