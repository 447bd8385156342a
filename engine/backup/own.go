package backup

import (
	"errors"
	"fmt"
	"path/filepath"

	"holm.example/engine/source"
)

// ErrOwn is the problem of a source that lies in a directory of holm's own.
var ErrOwn = errors.New("is part of the vault or of the data directory, which are not backed up into themselves")

// own are the directories of holm itself, whose contents would grow by being
// backed up. A directory has many spellings, through links and mounts, and one
// identity; names are for file systems that have no identities. The directories
// in them, such as packs/, are known by their identities too: each can be
// mounted at a second place without the others.
type own struct {
	ids   map[source.FileID]bool
	names map[string]bool // with slashes
}

// examineOwn finds out what directories of holm are.
func examineOwn(dirs []string) (own, error) {
	o := own{map[source.FileID]bool{}, map[string]bool{}}
	for _, name := range dirs {
		d, err := source.OpenDir(name)
		if err != nil {
			return o, fmt.Errorf("examining a directory of our own: %w", err)
		}
		e, err := d.Entry()
		for child, childErr := range d.All() {
			if childErr == nil && child.Kind == source.Directory && child.ID != (source.FileID{}) {
				o.ids[child.ID] = true
			}
		}
		if err = errors.Join(err, d.Close()); err != nil {
			return o, fmt.Errorf("examining a directory of our own: %w", err)
		}
		o.names[filepath.ToSlash(name)] = true
		if e.ID != (source.FileID{}) {
			o.ids[e.ID] = true
		}
	}
	return o, nil
}

// is reports whether an entry is one of the directories.
func (o own) is(path string, e source.Entry) bool {
	return e.Kind == source.Directory && (o.ids[e.ID] || o.names[filepath.ToSlash(path)])
}

// hold reports whether a path leads to one of the directories, or into one.
// What cannot be examined is for the scan to report.
func (o own) hold(path string) bool {
	if e, err := source.Lstat(path); err != nil || o.is(path, e) {
		return err == nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	for err == nil {
		if e, lerr := source.Lstat(dir); lerr == nil && o.is(dir, e) {
			return true
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return false
}
