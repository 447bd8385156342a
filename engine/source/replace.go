package source

import (
	"io/fs"
	"slices"
	"strings"
)

// Names returns the names in a directory of the tree in the order of their
// bytes. The empty path is the directory of the Tree itself.
func (t *Tree) Names(path string) ([]string, error) {
	dir, name, err := t.entry(path)
	if err != nil {
		return nil, err
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// Replace gives what the caller made under a temporary path the name of
// another entry of the same directory, which is gone in the same step. A
// directory is not replaced.
func (t *Tree) Replace(temporary, path string) error {
	dir, name, err := t.parent(path)
	if err != nil {
		return err
	}
	i := strings.LastIndexByte(path, '/') + 1
	old, ok := strings.CutPrefix(temporary, path[:i])
	if !ok || CheckName(old) != nil {
		return &fs.PathError{Op: "replacing", Path: path, Err: ErrName}
	}
	return dir.Rename(old, name)
}
