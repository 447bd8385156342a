package storage

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

func TestSectorThatCannotBeReadIsTheFaultOfTheDisk(t *testing.T) {
	for err, want := range map[error]bool{syscall.EIO: true, syscall.EACCES: false, io.ErrUnexpectedEOF: false} {
		d := &Dir{root: t.TempDir()}
		got := d.readError("packs/x", &fs.PathError{Op: "read", Path: "x", Err: err})
		if errors.Is(got, ErrMedium) != want || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestDiskOfWhichNothingCanBeReadIsOutOfReachAndNoObjectBad(t *testing.T) {
	d := &Dir{root: filepath.Join(t.TempDir(), "gone")}
	got := d.readError("packs/x", &fs.PathError{Op: "read", Path: "x", Err: syscall.EIO})
	if !errors.Is(got, ErrUnreachable) || errors.Is(got, ErrMedium) {
		t.Errorf("got %v, want ErrUnreachable", got)
	}
}
