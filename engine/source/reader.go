package source

import "io/fs"

// A Reader is a regular file open for reading.
type Reader struct {
	f     *handle
	entry Entry
}

// OpenFile opens a regular file of the directory. It follows no symbolic link
// and waits for nothing; what is no regular file gives ErrNotRegular.
func (d *Dir) OpenFile(name string) (*Reader, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	e, err := statFile(f, name)
	if err == nil && e.Kind != File {
		err = &fs.PathError{Op: "open", Path: join(d.path, name), Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Reader{f, e}, nil
}

// Entry is what the file was when it was opened. It describes what is read,
// which an earlier Lstat of the name need not.
func (r *Reader) Entry() Entry { return r.entry }

// Read reads on. It waits for no file that has nothing to give now: that is an
// error.
func (r *Reader) Read(p []byte) (int, error) { return r.f.Read(p) }

// ReadAt reads at an offset.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) { return r.f.ReadAt(p, offset) }

// Changed reports whether the file is another one than when it was opened:
// size, times or identity differ. Asked after the last byte was read, it
// tells whether those bytes were ever the content of the file. A change
// within the granularity of the clock (some milliseconds) is not seen, which
// is why what was touched just now is to be read again next time.
func (r *Reader) Changed() (bool, error) {
	now, err := statFile(r.f, r.entry.Name)
	if err != nil {
		return false, err
	}
	return !now.Same(r.entry), nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }
