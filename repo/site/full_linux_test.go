package site_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"holm.example/repo/site"
)

// A limit on the size of files stands in for a full disk: it also ends a write
// halfway, and needs neither a file system of its own nor the rights to make one.
func TestAFullDiskLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	d := site.OpenDir(dir)
	put(t, d, "a", "old")
	err := withFilesUpTo(t, 64<<10, func() error {
		return d.Put(context.Background(), "a", bytes.NewReader(make([]byte, 1<<20)))
	})
	if !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("a megabyte fits into 64 KiB: %v", err)
	}
	if got := read(t, d.Open, "a"); got != "old" {
		t.Errorf("holds %q", got)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("the failed write leaves something behind: %v, %v", all, err)
	}
	put(t, d, "a", string(make([]byte, 1<<20)))
}

// withFilesUpTo calls f while this process can write no file past a size.
func withFilesUpTo(t *testing.T, sizeBytes uint64, f func() error) error {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	// Unless it is ignored, the signal ends the process.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: sizeBytes, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}()
	return f()
}
