package restore

import (
	"bytes"

	"holm.example/engine/source"
)

// block is the unit in which a hole is left.
const block = 4096

var zeros [block]byte

// sparse reports whether the file had holes.
func (f *file) sparse() bool {
	for _, a := range f.entry.Meta.Attributes {
		if a.Name == source.AttributeSparse {
			return true
		}
	}
	return false
}

// writeAt writes a piece of a file of size bytes; of one that had holes,
// blocks of zeros are left out, and the file made as long as it is to be.
func writeAt(h *source.NewFile, content []byte, offset int64, sparse bool, size int64) error {
	if !sparse {
		_, err := h.WriteAt(content, offset)
		return err
	}
	end := offset + int64(len(content))
	for len(content) > 0 {
		n := dataBlocks(content, offset)
		if n > 0 {
			if _, err := h.WriteAt(content[:n], offset); err != nil {
				return err
			}
		} else {
			n = min(len(content), block-int(offset%block))
		}
		content, offset = content[n:], offset+int64(n)
	}
	if end == size {
		return h.Truncate(size)
	}
	return nil
}

// dataBlocks is how many bytes of content come before the next block of
// zeros.
func dataBlocks(content []byte, offset int64) (n int) {
	for n < len(content) {
		m := min(len(content)-n, block-int((offset+int64(n))%block))
		if bytes.Equal(content[n:n+m], zeros[:m]) {
			break
		}
		n += m
	}
	return n
}
