package source

import (
	"errors"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// Names returns the names in the directory in the order of their bytes,
// without "." and "..". With an error come the names that could be read.
func (d *Dir) Names() ([]string, error) {
	names, err := d.f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// Entry is what the directory itself is; its name is the path it was opened
// by.
func (d *Dir) Entry() (Entry, error) { return statFile(d.f, d.path) }

// All lists the directory in the order of the bytes of the names, one entry
// at a time: of a huge directory only the names are held. An entry that
// vanished since its name was read is left out. An entry that cannot be
// examined comes with an error and nothing but its name; if the list itself
// breaks off, the last pair is an entry without a name and the error.
func (d *Dir) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		names, err := d.Names()
		for _, name := range names {
			e, lerr := d.Lstat(name)
			if IsGone(lerr) {
				continue
			}
			if !yield(e, lerr) {
				return
			}
		}
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// join puts a name behind a directory's path, for messages and for Windows.
func join(dir, name string) string {
	if strings.HasSuffix(dir, string(filepath.Separator)) {
		return dir + name
	}
	return dir + string(filepath.Separator) + name
}

// IsGone reports whether an error says that an entry is not there. That its
// file system cannot be reached now is no such error.
func IsGone(err error) bool { return errors.Is(err, fs.ErrNotExist) && !isUnreachable(err) }
