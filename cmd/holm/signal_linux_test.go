package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"holm.example/engine"
	"holm.example/engine/seal"
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

// Files of an interruptible tree: their size in bytes, how many come before
// the directory in its middle, and how many of these have been read when that
// is opened, for directories are listed ahead.
const (
	interruptibleSize = 64 << 10
	beforeMiddle      = 240
	readByThen        = 40
)

// interruptibleTree is a tree with a directory in its middle: when that is opened,
// a program that backs it up is at work, and far from its end.
func interruptibleTree(t *testing.T, dir string, files int) (tree, middle string) {
	t.Helper()
	tree = filepath.Join(dir, "my tree")
	middle = filepath.Join(tree, "m")
	if err := os.MkdirAll(middle, 0o755); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, interruptibleSize)
	for n := range files {
		name := fmt.Sprintf("a%04d", n)
		if n >= beforeMiddle {
			name = fmt.Sprintf("z%04d", n)
		}
		random.Read(content)
		if err := os.WriteFile(filepath.Join(tree, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree, middle
}

// interrupt backs up a tree, interrupts the program at the middle of it, and
// again when it says that it stops, if it is to be interrupted twice.
func interrupt(t *testing.T, data, tree, middle string, twice bool) (state *os.ProcessState, stderr string) {
	t.Helper()
	cmd := exec.Command("holm", "backup", "--data-dir", data, tree)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	// The first two events are of the walk that sets the watch up.
	w := newWatch(t, everything, 3, func() { <-started; cmd.Process.Signal(os.Interrupt) }, middle)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	var said strings.Builder
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if twice && strings.HasPrefix(lines.Text(), "holm: stopping") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	_ = cmd.Wait() // the state says how it ended
	w.stop(t, middle)
	return cmd.ProcessState, said.String()
}

// TestInterruptedBackupKeepsWhatItHasReadAndSaysHowToGoOn interrupts backups,
// once and twice, on larger and larger trees until one is still at work then.
func TestInterruptedBackupKeepsWhatItHasReadAndSaysHowToGoOn(t *testing.T) {
	for _, twice := range []bool{false, true} {
		for files := 800; ; files *= 2 {
			if files > 8000 {
				t.Fatal("no tree was large enough to be interrupted")
			}
			dir := fastDir(t)
			tree, middle := interruptibleTree(t, dir, files)
			data := filepath.Join(dir, "data")
			if _, err := engine.Init(t.Context(), engine.Options{Vault: filepath.Join(dir, "vault"), DataDir: data, Passphrase: []byte("secret"),
				Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}); err != nil {
				t.Fatal(err)
			}
			state, stderr := interrupt(t, data, tree, middle, twice)
			if state.ExitCode() == exitDone {
				continue // it was done before the signal came
			}
			afterInterrupt(t, data, tree, state, stderr, twice, files)
			break
		}
	}
}

// afterInterrupt checks what an interrupted backup said and left.
func afterInterrupt(t *testing.T, data, tree string, state *os.ProcessState, stderr string, twice bool, files int) {
	t.Helper()
	atOnce := twice && state.Sys().(syscall.WaitStatus).Signaled()
	command := "holm backup --data-dir " + data + " '" + tree + "'"
	if !strings.HasPrefix(stderr, "holm: stopping; what was read is being committed") {
		t.Errorf("it said %q", stderr)
	}
	if !atOnce && (state.ExitCode() != exitFailed || !strings.Contains(stderr, "\nholm: error: interrupted after ") ||
		!strings.HasSuffix(stderr, "\nholm: hint: earlier snapshots and what was read until now are safe; go on with: "+command+"\n")) {
		t.Errorf("exit code %d, it said %q", state.ExitCode(), stderr)
	}
	e, err := engine.Open(t.Context(), engine.OpenOptions{DataDir: data})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r, err := e.Backup(t.Context(), engine.BackupOptions{Paths: []string{tree}})
	if err != nil || r.Files != int64(files) {
		t.Fatalf("%+v, %v", r, err)
	}
	if most := int64(files-readByThen) * interruptibleSize; !atOnce && r.NewBytes > most {
		t.Errorf("%d bytes were new to the second run, at most %d of them were not read by the first", r.NewBytes, most)
	}
	check, err := e.Check(t.Context(), engine.CheckOptions{ReadData: true})
	if err != nil || len(check.Problems) > 0 {
		t.Errorf("%+v, %v", check, err)
	}
}
