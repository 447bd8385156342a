package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holm.example/internal/filelock"
)

// dataLock is the lock of a data directory. The kernel frees it when the
// process ends, however it ends.
type dataLock struct{ f *os.File }

// acquire locks a data directory, or returns ErrAlreadyRunning saying who has
// it and since when.
func acquire(dir string, now time.Time) (*dataLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if err := filelock.Try(f); err != nil {
		who, _ := io.ReadAll(io.LimitReader(f, 200)) // only for the message
		closeErr := f.Close()
		if errors.Is(err, filelock.ErrHeld) {
			text := strings.TrimSpace(string(who))
			if text == "" {
				text = "it has just begun" // and not said yet who it is
			}
			return nil, fmt.Errorf("%w: %s", ErrAlreadyRunning, text)
		}
		return nil, errors.Join(fmt.Errorf("locking the data directory: %w", err), closeErr)
	}
	text := fmt.Sprintf("process %d since %s\n", os.Getpid(), now.Local().Format("2006-01-02 15:04:05"))
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the data directory: %w", err), f.Close())
	}
	return &dataLock{f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// release frees the lock. The file stays: removing it would let two engines
// lock two files of the same name.
func (l *dataLock) release() error { return filelock.Release(l.f) }
