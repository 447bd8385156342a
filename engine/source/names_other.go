//go:build !linux

package source

import (
	"io"
	"os"
)

// nameReader reads the names in directories, one after the other.
type nameReader struct{}

// some reads the next names in a directory, in no order; none: that was all.
func (*nameReader) some(f *os.File) (names []string, err error) {
	names, err = f.Readdirnames(512)
	if err == io.EOF {
		err = nil
	}
	return names, err
}
