//go:build !linux && !windows && !darwin

package source

// Attributes are not kept here.
func (d *Dir) Attributes(string) ([]Attribute, error) { return nil, nil }

// OwnAttributes are not kept here.
func (d *Dir) OwnAttributes() ([]Attribute, error) { return nil, nil }

// Attributes are not kept here.
func (r *Reader) Attributes() ([]Attribute, error) { return nil, nil }

// SetFlags sets nothing: flags are not kept here.
func (t *Tree) SetFlags(string, Entry) error { return nil }

// Unbarred runs do: there are no flags here that forbid anything.
func (t *Tree) Unbarred(_ string, do func() error) error { return do() }

// Hole finds no holes.
func (r *Reader) Hole(int64) int64 { return 0 }

// setAttributes sets nothing: attributes are not kept here.
func (p *place) setAttributes(string, *Entry, bool) error { return nil }
