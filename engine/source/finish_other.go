//go:build !linux

package source

// Finish gives the file at a path, which is open, the metadata of e, as
// SetMetadata does, and closes it. refused is about metadata, err about
// content.
func (t *Tree) Finish(f *NewFile, path string, e Entry) (refused, err error) {
	err = f.Close()
	return t.SetMetadata(path, e), err
}
