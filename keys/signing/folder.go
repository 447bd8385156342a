package signing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"holm.example/internal/durable"
	"holm.example/internal/filelock"
)

// lockName is the file whose lock lets one process at a time change the store.
const lockName = "lock"

// change runs work as the only one that changes the store, on the list as it
// is now. The error is ErrLocked if somebody else is at it.
func (s *Store) change(work func() error) error {
	unlock, err := lockFolder(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := OpenStore(s.dir)
	if err != nil {
		return err
	}
	s.entries = now.entries
	return work()
}

// lockFolder locks a key folder until unlock, or the end of the process, and
// removes what a killed process left half written: it may hold a secret.
func lockFolder(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the key folder: %w", err)
	}
	if err := filelock.Try(f); err != nil {
		f.Close()
		if errors.Is(err, filelock.ErrHeld) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	// Whoever writes here holds the lock, so that every temporary file is
	// abandoned, even one that a wrong clock has dated into the future.
	always := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, d := range folders(dir) {
		if err := durable.RemoveTemporary(d, always); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.Close()
			return nil, fmt.Errorf("clearing the key folder: %w", err)
		}
	}
	return f.Close, nil
}

// folders are a key folder and those in it.
func folders(dir string) []string {
	return []string{dir, filepath.Join(dir, publicFolder), filepath.Join(dir, offlineFolder)}
}

// strayKeys returns the secret keys in a folder, whether they are listed or not.
func strayKeys(dir string) ([]string, error) {
	var found []string
	for _, d := range []string{dir, filepath.Join(dir, offlineFolder)} {
		entries, err := os.ReadDir(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrStore, err)
		}
		for _, e := range entries {
			if filepath.Ext(e.Name()) == keySuffix {
				found = append(found, filepath.Join(d, e.Name()))
			}
		}
	}
	return found, nil
}

// save replaces the key list.
func (s *Store) save(entries []Entry) error {
	data, err := json.MarshalIndent(list{listFormat, entries}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the key list: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(s.dir, listName), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the key list: %w", err)
	}
	s.entries = entries
	return nil
}

// writeSecret writes a new secret key and never replaces one. A file of its
// name that no list names was left by an interrupted run, or is a key whose
// entry was lost: it is kept under another name.
func (s *Store) writeSecret(name string, secret []byte) error {
	err := durable.CreateFile(name, secret, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, statErr := os.Lstat(name); statErr != nil || !info.Mode().IsRegular() {
		return err
	}
	aside, err := freeName(name + ".unlisted")
	if err != nil {
		return err
	}
	if err := durable.Rename(name, aside); err != nil {
		return err
	}
	s.aside = append(s.aside, aside)
	return durable.CreateFile(name, secret, 0o600)
}

// freeName returns the first of base-1, base-2 … that is free. The caller
// holds the lock.
func freeName(base string) (string, error) {
	for i := 1; i <= maxListed; i++ {
		name := fmt.Sprintf("%s-%d", base, i)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: %d files %s-N", ErrStore, maxListed, base)
}

// private refuses files and folders that others than their owner can reach.
// It looks at what a link leads to. Windows says nothing of others in a mode:
// there the folder's own access list decides.
func private(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %#o", ErrExposed, name, info.Mode().Perm())
	}
	return nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%w: %s is no file of at most %d bytes", ErrStore, name, limit)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return data, nil
}
