package site

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"holm.example/internal/durable"
)

// write is durable.WriteFrom, but the file has its mode whatever the umask,
// and before it has its name: a web server reads as another user.
func write(to string, body io.Reader) error {
	temporary := filepath.Join(filepath.Dir(to), temporaryName())
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return err
	}
	err = fill(f, body)
	if err == nil {
		err = durable.Rename(temporary, to)
	}
	if err != nil {
		os.Remove(temporary) // gone already if it was the sync after the rename that failed
	}
	return err
}

// fill writes, syncs and closes a new file.
func fill(f *os.File, body io.Reader) error {
	_, err := io.Copy(f, body)
	if err == nil {
		err = f.Chmod(filePerm)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// temporaryName returns a new name that durable.IsTemporary knows.
func temporaryName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails, crypto/rand says
	return ".holm-" + hex.EncodeToString(b[:]) + ".tmp"
}

// widen lets everybody read a directory.
func widen(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&folderPerm == folderPerm {
		return err
	}
	if err := os.Chmod(dir, info.Mode()|folderPerm); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// swap exchanges two names in three steps.
func swap(a, b string) error {
	aside := a + ".aside"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return err
	}
	return os.Rename(aside, a)
}
