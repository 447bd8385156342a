package source

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"
)

// Entry is what the directory itself is; its name is the path it was opened
// by.
func (d *Dir) Entry() (Entry, error) { return statFile(d.f, d.path) }

// All lists the directory in the order of the bytes of the names, one entry
// at a time. An entry that vanished since its name was read is left out. An
// entry that cannot be examined comes with an error and nothing but its name;
// if the list itself breaks off, the last pair is an entry without a name and
// the error.
func (d *Dir) All() iter.Seq2[Entry, error] { return d.all(&lot{}) }

// all is All, with the names of a huge directory where the lot says.
func (d *Dir) all(l *lot) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		names := d.listNames(l)
		defer names.close()
		for {
			name, err := names.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			e, err := d.Lstat(name)
			if IsGone(err) {
				continue
			}
			if !yield(e, err) {
				return
			}
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
