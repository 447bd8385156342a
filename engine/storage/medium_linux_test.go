package storage

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"
)

func TestSectorThatCannotBeReadIsTheFaultOfTheDisk(t *testing.T) {
	for err, want := range map[error]bool{syscall.EIO: true, syscall.EACCES: false, io.ErrUnexpectedEOF: false} {
		got := readError("packs/x", &fs.PathError{Op: "read", Path: "x", Err: err})
		if errors.Is(got, ErrMedium) != want || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
