package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A tree lists the objects of a store that keeps them as files in
// directories.
type tree struct {
	ctx     context.Context
	prefix  string
	readDir func(dir string) ([]fs.DirEntry, error) // no entries if it is not there
	yield   func(Object, error) bool
}

// list walks the objects below dir; it reports whether to go on.
func (t tree) list(dir string) bool {
	entries, err := t.readDir(dir)
	if err == nil {
		err = t.ctx.Err()
	}
	if err != nil {
		t.yield(Object{}, fmt.Errorf("listing %s: %w", dir, err))
		return false
	}
	// A directory sorts as its name and a slash, as its objects do.
	key := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(key(a), key(b)) })
	for _, e := range entries {
		// Temporary files of ours, and what file managers, NAS boxes and file
		// systems leave behind (.DS_Store, lost+found), are not objects.
		if CheckName(e.Name()) != nil {
			continue
		}
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			full := name + "/"
			if strings.HasPrefix(full, t.prefix) || strings.HasPrefix(t.prefix, full) {
				if !t.list(name) {
					return false
				}
			}
			continue
		}
		if !strings.HasPrefix(name, t.prefix) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			t.yield(Object{}, fmt.Errorf("listing %s: %w", name, err))
			return false
		}
		if info.Mode().IsRegular() && !t.yield(Object{name, info.Size()}, nil) {
			return false
		}
	}
	return true
}
