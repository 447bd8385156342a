package catalog

import (
	"context"
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// missing is the error for a chunk that no pack has.
func missing(id seal.Hash) error {
	return fmt.Errorf("chunk %x: no pack has it: %w", id[:8], vault.ErrDamaged)
}

// ReadChunk reads one chunk from the vault and verifies its id. If it is
// damaged or missing where it is looked for first, its other addresses serve.
func (c *Catalog) ReadChunk(ctx context.Context, v *vault.Vault, id seal.Hash) ([]byte, error) {
	list, err := c.Addresses(id)
	if err != nil {
		return nil, err
	}
	first := missing(id)
	for i, a := range list {
		content, err := c.readAt(ctx, v, id, a)
		if err == nil || !errors.Is(err, vault.ErrDamaged) {
			return content, err
		}
		if i == 0 {
			first = err
		}
	}
	return nil, first
}

// readAt reads one chunk at one of its addresses.
func (c *Catalog) readAt(ctx context.Context, v *vault.Vault, id seal.Hash, a Address) ([]byte, error) {
	p, err := c.Pack(a.Pack)
	if err != nil {
		return nil, err
	}
	content := make([]byte, 0, a.SizeBytes)
	end := a.Offset + uint64(a.SizeBytes)
	first, last := int(a.Offset/vault.FrameSize), int((end-1)/vault.FrameSize)
	err = v.ReadFrames(ctx, p, first, last, func(i int, data []byte) error {
		start := uint64(i) * vault.FrameSize
		from, to := max(a.Offset, start)-start, min(end, start+uint64(len(data)))-start
		content = append(content, data[from:to]...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if v.Keys.ChunkKey().ID(content) != id {
		return nil, fmt.Errorf("%s: chunk %x has other content: %w", p.ID.Name(), id[:8], vault.ErrDamaged)
	}
	return content, nil
}

// ErrSize is returned when the chunks of a file do not add up to its size.
var ErrSize = errors.New("chunks do not add up to the size of the file")

// EachChunk calls f with the id, the address and the offset in the file of a
// file's chunks, in the order of the file, reading the list chunks of a long
// list. It returns vault.ErrDamaged when no pack has a chunk, when a list
// chunk is none, and, with ErrSize, when the lengths do not add up to the size:
// no list is followed beyond it. f's first error ends it.
func (c *Catalog) EachChunk(ctx context.Context, v *vault.Vault, n *vault.Node, f func(id seal.Hash, a Address, offset uint64) error) error {
	var offset uint64
	err := c.eachID(ctx, v, n.Chunks, func(id seal.Hash) error {
		a, known, err := c.Chunk(id)
		if err != nil {
			return err
		}
		if !known {
			return missing(id)
		}
		if uint64(a.SizeBytes) > n.SizeBytes-offset {
			return fmt.Errorf("more than %d bytes: %w: %w", n.SizeBytes, ErrSize, vault.ErrDamaged)
		}
		at := offset
		offset += uint64(a.SizeBytes)
		return f(id, a, at)
	})
	if err == nil && offset != n.SizeBytes {
		err = fmt.Errorf("%d of %d bytes: %w: %w", offset, n.SizeBytes, ErrSize, vault.ErrDamaged)
	}
	return err
}

// eachID calls f with the ids of a chunk list.
func (c *Catalog) eachID(ctx context.Context, v *vault.Vault, list vault.Chunks, f func(seal.Hash) error) error {
	for _, id := range list.IDs {
		if list.Level == 0 {
			if err := f(id); err != nil {
				return err
			}
			continue
		}
		below, err := c.listBelow(ctx, v, list, id)
		if err != nil {
			return err
		}
		if err := c.eachID(ctx, v, below, f); err != nil {
			return err
		}
	}
	return nil
}

// listBelow reads a list chunk of a list.
func (c *Catalog) listBelow(ctx context.Context, v *vault.Vault, list vault.Chunks, id seal.Hash) (vault.Chunks, error) {
	below := vault.Chunks{Level: list.Level - 1}
	piece, err := c.ReadChunk(ctx, v, id)
	if err != nil {
		return below, err
	}
	if len(piece) > vault.ListPiece*len(id) || len(piece)%len(id) != 0 {
		return below, fmt.Errorf("list chunk %x of %d bytes: %w", id[:8], len(piece), vault.ErrDamaged)
	}
	for ; len(piece) > 0; piece = piece[len(id):] {
		below.IDs = append(below.IDs, seal.Hash(piece[:len(id)]))
	}
	return below, nil
}

// Lacks reports whether a chunk of a file, or a list chunk on the way to it,
// is not held, or a list chunk is damaged.
func (c *Catalog) Lacks(ctx context.Context, v *vault.Vault, list vault.Chunks, held func(seal.Hash) (bool, error)) (bool, error) {
	for _, id := range list.IDs {
		if ok, err := held(id); err != nil || !ok {
			return err == nil, err
		}
		if list.Level == 0 {
			continue
		}
		below, err := c.listBelow(ctx, v, list, id)
		if errors.Is(err, vault.ErrDamaged) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if lacks, err := c.Lacks(ctx, v, below, held); err != nil || lacks {
			return lacks, err
		}
	}
	return false, nil
}
