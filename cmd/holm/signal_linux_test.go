package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInterruptEndsTheProgramCleanly interrupts a program that waits for the
// rest of its passphrase. That it waits is known from the pipe: it has room
// for one page, so the writing of more returns once the program has read.
func TestInterruptEndsTheProgramCleanly(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	page, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil || page+1 > maxPassphraseBytes+2 {
		t.Skipf("pipes hold %d bytes here, %v", page, err)
	}
	dir := t.TempDir()
	var stderr bytes.Buffer
	cmd := exec.Command("holm", "init", filepath.Join(dir, "vault"), "--data-dir", filepath.Join(dir, "data"), "--passphrase-fd", "0")
	cmd.Stdin, cmd.Stderr = r, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := io.WriteString(w, strings.Repeat("x", page+1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("the program ended with %v", err)
	}
	if got := stderr.String(); !strings.HasPrefix(got, "holm: error: interrupted\nholm: hint: ") {
		t.Errorf("it said %q", got)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("it left %v behind", names)
	}
}
