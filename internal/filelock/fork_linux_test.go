package filelock_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"holm.example/internal/filelock"
)

func TestReleasedLockIsFreeAlthoughAForkedProcessHasTheFileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := unix.Dup(int(f.Fd())) // what a process has between fork and exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(copied)
	if err := filelock.Try(f); err != nil {
		t.Fatal(err)
	}
	if err := filelock.Release(f); err != nil {
		t.Fatal(err)
	}
	second, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := filelock.Try(second); err != nil {
		t.Errorf("after the release: %v", err)
	}
}
