package catalog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// checkBatch is from how many chunks on a PackCheck is full. They are looked up
// in the order of their ids, so that each page of a table is read once for all
// of them. Each takes 64 bytes of memory.
const checkBatch = 16 << 10

// A PackCheck compares what is folded of packs with their PackAdds, read anew
// from the segments. It is not for several goroutines.
type PackCheck struct {
	c     *Catalog
	batch []expected
}

// expected is where a pack has a chunk.
type expected struct {
	placedChunk
	pack uint64
}

// PackCheck begins one.
func (c *Catalog) PackCheck() *PackCheck { return &PackCheck{c: c} }

func differs(p *vault.Pack) error {
	return fmt.Errorf("%s: not as its segment has it: %w", p.ID.Name(), ErrDamaged)
}

// Full reports whether it is time for a Flush.
func (k *PackCheck) Full() bool { return len(k.batch) >= checkBatch }

// Add compares a pack: ErrDamaged if it is folded otherwise. Its chunks are
// compared by Flush.
func (k *PackCheck) Add(device seal.ID, seq uint64, add *vault.PackAdd) error {
	p := vault.NewPack(device, seq, add)
	var number uint64
	err := k.c.view(func(t *tx) error {
		f, known := get(t, bucketPackIDs, packKey(p.ID))
		key := f.raw(8)
		if !known || f.end("") != nil {
			return differs(p)
		}
		if stored, _ := get(t, bucketPacks, key); !bytes.Equal(stored.b, formatPack(p)) {
			return differs(p)
		}
		number = binary.BigEndian.Uint64(key)
		return nil
	})
	if err != nil {
		return err
	}
	list := addressed(add.Chunks)
	for i, chunk := range list {
		if i > 0 && list[i-1].id == chunk.id {
			continue // of its chunks with that id the first counts
		}
		k.batch = append(k.batch, expected{chunk, number})
	}
	return nil
}

// Flush compares the chunks of the packs that were added: ErrDamaged if one is
// folded otherwise.
func (k *PackCheck) Flush() error {
	slices.SortFunc(k.batch, func(a, b expected) int {
		return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.pack, b.pack))
	})
	err := k.c.view(func(t *tx) error {
		for _, e := range k.batch {
			key := binary.BigEndian.AppendUint64(nil, e.pack)
			a, known, err := firstAddress(t, e.id)
			if known && err == nil && a.Pack != e.pack {
				a, known, err = addressIn(t, e.id, key)
			}
			if err == nil && known && a == (Address{e.pack, e.offset, e.sizeBytes}) {
				continue
			}
			p, err := packAt(t, key)
			if err != nil {
				return err
			}
			return differs(p)
		}
		return nil
	})
	k.batch = k.batch[:0]
	return err
}
