package catalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// Address is where a chunk is.
type Address struct {
	Pack      uint64 // number in this catalog
	Offset    uint64 // in the pack's stream, bytes
	SizeBytes uint32
}

// packAdd numbers a pack and indexes its chunks. A chunk that has an address
// keeps it, and gets a further one. Of the chunks of one id in a pack the
// first counts.
func (f *fold) packAdd(o *vault.PackAdd) error {
	p := vault.NewPack(f.device, f.seq, o)
	idKey := packKey(p.ID)
	if _, known := get(f.t, bucketPackIDs, idKey); known {
		return nil
	}
	number, err := count(f.t, byte(bucketPacks), 1)
	if err != nil {
		return err
	}
	key := binary.BigEndian.AppendUint64(nil, number)
	if err := put(f.t, bucketPacks, key, formatPack(p)); err != nil {
		return err
	}
	if err := put(f.t, bucketPackIDs, idKey, key); err != nil {
		return err
	}
	var added uint64
	list := addressed(o.Chunks)
	for i, c := range list {
		if i > 0 && list[i-1].id == c.id {
			continue
		}
		value := binary.AppendUvarint(binary.AppendUvarint(nil, c.offset), uint64(c.sizeBytes))
		if _, known := get(f.t, bucketChunks, c.id[:]); known {
			err = put(f.t, bucketOthers, join(c.id[:], key), value)
		} else {
			added++
			err = put(f.t, bucketChunks, c.id[:], append(binary.AppendUvarint(nil, number), value...))
		}
		if err != nil {
			return err
		}
	}
	_, err = count(f.t, byte(bucketChunks), added)
	return err
}

func packKey(id vault.PackID) []byte {
	return join(id.Device[:], binary.BigEndian.AppendUint64(nil, id.Seq), id.Random[:])
}

func formatPack(p *vault.Pack) []byte {
	b := packKey(p.ID)
	b = binary.AppendUvarint(b, uint64(p.Epoch))
	b = binary.AppendUvarint(b, p.SizeBytes)
	b = binary.AppendUvarint(b, p.Stream)
	b = append(b, p.Lists[:]...)
	for _, n := range p.Frames {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func parsePack(f fields) (*vault.Pack, error) {
	p := &vault.Pack{}
	p.ID.Device = f.id()
	if b := f.raw(8); b != nil {
		p.ID.Seq = binary.BigEndian.Uint64(b)
	}
	p.ID.Random = f.id()
	p.Epoch, p.SizeBytes, p.Stream = uint32(f.uv()), f.uv(), f.uv()
	p.Lists = f.hash()
	for len(f.b) > 0 {
		p.Frames = append(p.Frames, uint32(f.uv()))
	}
	return p, f.end("pack")
}

// packAt returns the pack with that number, as it stands in a key.
func packAt(t *tx, number []byte) (*vault.Pack, error) {
	f, known := get(t, bucketPacks, number)
	if !known {
		return nil, fmt.Errorf("pack number %x: %w", number, ErrDamaged)
	}
	return parsePack(f)
}

// Pack returns the pack with that number.
func (c *Catalog) Pack(number uint64) (p *vault.Pack, err error) {
	if c.beside != nil && number&besideBit != 0 {
		return c.beside.Pack(number &^ besideBit)
	}
	err = c.view(func(t *tx) error {
		p, err = packAt(t, binary.BigEndian.AppendUint64(nil, number))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pack number %d: %w", number, err)
	}
	return p, nil
}

// A placedChunk is one of a pack's list with where they are in it.
type placedChunk struct {
	id        seal.Hash
	offset    uint64
	sizeBytes uint32
}

// addressed sorts the chunks of a pack by their ids, for looking them up: those
// that are near each other in a table then come one after the other. Chunks of
// one id stay in the order of the pack.
func addressed(chunks []vault.ChunkInfo) []placedChunk {
	list := make([]placedChunk, len(chunks))
	offset := uint64(0)
	for i, c := range chunks {
		list[i] = placedChunk{c.ID, offset, c.SizeBytes}
		offset += uint64(c.SizeBytes)
	}
	slices.SortStableFunc(list, func(a, b placedChunk) int { return bytes.Compare(a.id[:], b.id[:]) })
	return list
}

// packBatch is how many packs Packs reads at a time.
const packBatch = 256

var errFull = errors.New("enough")

// Packs yields every pack in the order of (device, seq, random), until f
// returns an error. f may use the catalog.
func (c *Catalog) Packs(f func(*vault.Pack) error) error {
	var last []byte // where the next batch begins
	for {
		var batch []*vault.Pack
		err := c.view(func(t *tx) error {
			batch = nil
			err := eachFrom(t, bucketPackIDs, nil, last, func(k []byte, f fields) error {
				if len(batch) == packBatch {
					return errFull
				}
				number := f.raw(8)
				if err := f.end("pack id"); err != nil {
					return err
				}
				p, err := packAt(t, number)
				if err == nil && !bytes.Equal(packKey(p.ID), k) { // the next batch would begin anywhere
					err = fmt.Errorf("pack number %x has another id: %w", number, ErrDamaged)
				}
				batch = append(batch, p)
				return err
			})
			if errors.Is(err, errFull) {
				err = nil
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		for _, p := range batch {
			if err := f(p); err != nil {
				return err
			}
		}
		last = append(packKey(batch[len(batch)-1].ID), 0)
	}
}

// Count tells how many chunks have an address.
func (c *Catalog) Count() (chunks int64, err error) {
	err = c.view(func(t *tx) error {
		n, err := count(t, byte(bucketChunks), 0)
		chunks = int64(n)
		return err
	})
	return chunks, err
}
