package root

import (
	"os/exec"
	"syscall"
	"time"
)

// terminateOnCancel ends the command politely, so that sudo can pass the
// signal on, and ends it too when the test process dies.
func terminateOnCancel(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
}
