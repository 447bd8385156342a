package upkeep

import (
	"bytes"
	"cmp"
	"slices"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// smallFile is a file of one chunk that a segment puts.
type smallFile struct {
	chunk     seal.Hash
	sizeBytes uint64
	name      string
	segment   string
}

// named is what journals name and what is looked up at once: few large batches,
// so that each page of the catalog is read once for many.
type named struct {
	small []smallFile
	packs *catalog.PackCheck
	err   error // of its look-up
}

// smallBatch is how many files of one chunk are checked at once. Each takes 72
// bytes of memory, and its name.
const smallBatch = 16 << 10

func (c *check) newNamed() *named {
	return &named{packs: c.Catalog.PackCheck()}
}

// lookUp has what was named since the last time looked up in the background,
// once what was named before that is. The error is of that.
func (c *check) lookUp() error {
	last := <-c.spare
	if last.err != nil {
		c.spare <- last
		return last.err
	}
	n := c.named
	c.named = last
	go func() {
		n.err = cmp.Or(n.packs.Flush(), c.smallFiles(n.small))
		clear(n.small)
		n.small = n.small[:0]
		c.spare <- n
	}()
	return nil
}

// smallFiles checks files of one chunk, in the order of their chunks, so that
// each page of the catalog is read once.
func (c *check) smallFiles(list []smallFile) error {
	slices.SortFunc(list, func(a, b smallFile) int { return bytes.Compare(a.chunk[:], b.chunk[:]) })
	for _, f := range list {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n := vault.Node{Kind: vault.KindFile, SizeBytes: f.sizeBytes, Chunks: vault.Chunks{IDs: []seal.Hash{f.chunk}}}
		if err := c.content(f.segment, f.name, &n); err != nil {
			return err
		}
	}
	return nil
}
