package source

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// makeSpecial makes nothing: Windows has no such files.
func makeSpecial(*os.File, string, Entry) error { return errors.ErrUnsupported }

// setModTime sets both times of a file or a directory to its modification
// time. Links keep the time of their making: the system call would follow.
func setModTime(_ *os.File, root *os.Root, name string, e Entry) error {
	if e.Kind == Symlink {
		return nil
	}
	t := time.Unix(0, e.ModTime)
	return root.Chtimes(name, t, t)
}

// lstatIn examines a name of an open directory.
func lstatIn(dir *os.File, name string) (Entry, error) {
	e, err := Lstat(filepath.Join(dir.Name(), name))
	e.Name = name
	return e, err
}
