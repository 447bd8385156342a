package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"holm.example/engine"
	"holm.example/internal/testseed"
)

// refusals are what the kernel may answer to each call that writes.
var refusals = []struct{ call, err string }{
	{"write", "ENOSPC"}, {"pwrite64", "ENOSPC"}, {"pwrite64", "EDQUOT"}, {"fsync", "EIO"}, {"fdatasync", "EIO"},
	{"ftruncate", "ENOSPC"}, {"mkdirat", "ENOSPC"}, {"linkat", "EDQUOT"}, {"renameat", "ENOSPC"}, {"renameat2", "EDQUOT"},
}

// TestDiskFullOrFailingAtAnyWriteOfTheProgram has the kernel refuse each write
// and sync of a backup in turn, to the vault and to the data directory alike.
// The run says so or comes to its end; the next one needs no help.
func TestDiskFullOrFailingAtAnyWriteOfTheProgram(t *testing.T) {
	need(t, "strace")
	t.Setenv(overlayEnv, strconv.Itoa(tinyOverlay))
	k := newKilling(t, testseed.Rand(t))
	k.mutate(t)
	device := k.devices[0]
	ran, failed := 0, 0
	for _, r := range refusals {
		// strace counts the calls of each thread for itself: the n-th of all
		// threads are refused, until none has so many.
		for n := 1; ; n++ {
			k.mutate(t)
			log := filepath.Join(k.dir, "strace")
			cmd := exec.Command("strace", "-f", "-o", log, "-e", "trace="+r.call, "-e", "signal=none",
				"-e", fmt.Sprintf("inject=%s:error=%s:when=%d", r.call, r.err, n), "holm", "backup", "--data-dir", device, k.tree)
			out, err := cmd.CombinedOutput()
			if text := string(out); strings.Contains(text, "panic:") || strings.Contains(text, "goroutine ") && !strings.Contains(text, "runtime: ") {
				t.Fatalf("%s %d refused with %s: %s", r.call, n, r.err, text)
			}
			k.afterRefusal(t, device, fmt.Sprintf("%s %d refused with %s, which said %s", r.call, n, r.err, out))
			seen, readErr := os.ReadFile(log)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if !strings.Contains(string(seen), "(INJECTED)") {
				break
			}
			ran++
			if err != nil {
				failed++
			}
		}
	}
	if ran < 30 || failed < ran*3/4 {
		t.Errorf("%d runs had a call refused, and only %d of them noticed", ran, failed)
	}
	k.compare(t, k.order)
	madeTables(t, device)
	t.Logf("%d runs with a call refused, %d said so, %d snapshots restored", ran, failed, len(k.order))
}

// afterRefusal backs up without help and restores that.
func (k *killing) afterRefusal(t *testing.T, device, what string) {
	t.Helper()
	var notes []string
	e, err := engine.Open(t.Context(), engine.OpenOptions{DataDir: device, OverlayBytes: tinyOverlay,
		Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	r, err := e.Backup(t.Context(), engine.BackupOptions{Paths: []string{k.tree}})
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("%s: the next backup: %v, %v", what, err, r.Problems)
	}
	to := filepath.Join(k.dir, "after-refusal")
	_, err = e.Restore(t.Context(), engine.RestoreOptions{At: r.Snapshot, To: to})
	want := treeImage(t, k.tree)
	if got := treeImage(t, filepath.Join(to, "tree")); err != nil || !maps.Equal(got, want) {
		t.Fatalf("%s: restored is %v, %v", what, got, err)
	}
	k.reported[r.Snapshot], k.order = want, append(k.order, r.Snapshot)
	c, err := e.Check(t.Context(), engine.CheckOptions{ReadData: true})
	if err = errors.Join(err, e.Close(), os.RemoveAll(to)); err != nil || len(c.Problems) > 0 || c.Devices != 2 {
		t.Fatalf("%s: check: %+v, %v", what, c, err)
	}
	for _, n := range notes {
		if strings.Contains(n, "new device") {
			t.Fatalf("%s: %s", what, n)
		}
	}
}
