//go:build !linux

package source

// Attributes are kept on Linux only.
func (d *Dir) Attributes(string) ([]Attribute, error) { return nil, nil }

// OwnAttributes are kept on Linux only.
func (d *Dir) OwnAttributes() ([]Attribute, error) { return nil, nil }

// Attributes are kept on Linux only.
func (r *Reader) Attributes() ([]Attribute, error) { return nil, nil }

// SetFlags sets nothing: only Linux says what the flags mean.
func (t *Tree) SetFlags(string, Entry) error { return nil }

// Hole finds no holes.
func (r *Reader) Hole(int64) int64 { return 0 }
