package upkeep

import (
	"context"
	"errors"
	"fmt"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// Loss is what only bad packs have of a bad pack. Chunks are counted once, how
// often it has them.
type Loss struct {
	BadPack
	Chunks  int64 // that its segment says are in it
	Lacking int64 // of these, that no pack has that is not avoided
	// Counted are those of Lacking that no bad pack with an earlier address has
	// too: of several packs together, their sum counts every chunk once.
	Counted int64
	Err     error // why nobody knows: its segment cannot be read
}

// Lost reports whether anything of the pack is lost, as far as is known: has
// no other copy, nor does parity make it good.
func (l *Loss) Lost() bool { return !l.Repairable && (l.Lacking > 0 || l.Err != nil) }

// Losses tells of each bad pack what else is lost with it. The catalog avoids
// these packs.
func Losses(ctx context.Context, v *vault.Vault, c *catalog.Catalog, bad []BadPack) (list []Loss, err error) {
	o := owners{c: c, bad: map[vault.PackID]bool{}, packs: map[uint64]vault.PackID{}}
	for _, b := range bad {
		o.bad[b.ID] = true
	}
	err = EachAdd(ctx, v, c, bad, func(b BadPack, add *vault.PackAdd, err error) error {
		l := Loss{BadPack: b, Err: err}
		if add != nil {
			if err := l.count(add.Chunks, &o); err != nil {
				return err
			}
		}
		list = append(list, l)
		return ctx.Err()
	})
	return list, err
}

// count counts the chunks of the pack.
func (l *Loss) count(chunks []vault.ChunkInfo, o *owners) error {
	counted := make(map[seal.Hash]bool, len(chunks))
	for _, chunk := range chunks {
		if counted[chunk.ID] {
			continue
		}
		counted[chunk.ID] = true
		l.Chunks++
		held, err := o.c.Holds(chunk.ID)
		if err != nil {
			return err
		}
		if held {
			continue
		}
		l.Lacking++
		first, known, err := o.first(chunk.ID)
		if err != nil {
			return err
		}
		if !known || first == l.ID {
			l.Counted++
		}
	}
	return nil
}

// owners says which of several bad packs counts a chunk that is in more than
// one of them.
type owners struct {
	c     *catalog.Catalog
	bad   map[vault.PackID]bool
	packs map[uint64]vault.PackID // by their numbers in the catalog, as far as met
}

// first is the bad pack that the catalog names first of those that have a
// chunk.
func (o *owners) first(chunk seal.Hash) (id vault.PackID, known bool, err error) {
	addresses, err := o.c.Addresses(chunk)
	if err != nil {
		return id, false, err
	}
	for _, a := range addresses {
		id, known = o.packs[a.Pack]
		if !known {
			p, err := o.c.Pack(a.Pack)
			if err != nil {
				return id, false, err
			}
			id = p.ID
			o.packs[a.Pack] = id
		}
		if o.bad[id] {
			return id, true, nil
		}
	}
	return id, false, nil
}

// EachAdd calls f with what the segments of packs, in the order of their
// names, say of them, and ends with f's first error. The error that f gets, in
// place of an operation, is damage of the segment.
func EachAdd(ctx context.Context, v *vault.Vault, c *catalog.Catalog, packs []BadPack,
	f func(BadPack, *vault.PackAdd, error) error) error {
	for len(packs) > 0 {
		id := packs[0].ID
		n := 1
		for n < len(packs) && packs[n].ID.Device == id.Device && packs[n].ID.Seq == id.Seq {
			n++
		}
		adds, err := packAdds(ctx, v, c, id.Device, id.Seq)
		if err != nil && !errors.Is(err, vault.ErrDamaged) {
			return err
		}
		for _, p := range packs[:n] {
			add, why := adds[p.ID.Random], err
			if add == nil && why == nil {
				why = fmt.Errorf("%s: not in its segment: %w", p.ID.Name(), vault.ErrDamaged)
			}
			if err := f(p, add, why); err != nil {
				return err
			}
		}
		packs = packs[n:]
	}
	return nil
}

// packAdds are the packs of a segment by their random numbers.
func packAdds(ctx context.Context, v *vault.Vault, c *catalog.Catalog, device seal.ID, seq uint64) (map[seal.ID]*vault.PackAdd, error) {
	d, known, err := c.Device(device)
	if err != nil || !known {
		return nil, err
	}
	s, err := v.ReadSegment(ctx, &d.Card, seq)
	if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
		err = fmt.Errorf("%s: %w: %w", vault.SegmentName(device, seq), ErrMissing, vault.ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	adds := map[seal.ID]*vault.PackAdd{}
	err = s.Each(func(_ int, op vault.Operation) error {
		if add, ok := op.(*vault.PackAdd); ok && adds[add.Random] == nil {
			adds[add.Random] = add
		}
		return nil
	})
	return adds, err
}

// Salvage reads a damaged pack frame by frame and calls f with the content of
// each wanted chunk that can be read whole, until f returns an error. What is
// damaged is passed over; the error is one of the store, of want or of f.
func Salvage(ctx context.Context, v *vault.Vault, id vault.PackID, add *vault.PackAdd,
	want func(seal.Hash) (bool, error), f func(content []byte) error) error {
	p := vault.NewPack(id.Device, id.Seq, add)
	s := &salvage{key: v.Keys.ChunkKey(), chunks: add.Chunks, want: want, give: f}
	r := v.NewFrameReader()
	for i := range p.Frames {
		start := uint64(i) * vault.FrameSize
		var ended error // not by damage of the pack, whatever it says
		err := r.Read(ctx, p, i, i, func(_ int, data []byte) error {
			ended = s.frame(start, data)
			return ended
		})
		switch {
		case ended != nil:
			return ended
		case errors.Is(err, storage.ErrNotFound):
			return nil
		case errors.Is(err, vault.ErrDamaged):
			s.skip(start + min(vault.FrameSize, p.Stream-start))
		case err != nil:
			return err
		}
	}
	return nil
}

// salvage takes chunks out of the frames of a pack, one after the other.
type salvage struct {
	key    seal.ChunkKey
	chunks []vault.ChunkInfo // from the one on that is not behind us
	offset uint64            // of its first byte in the stream
	begun  bool              // wanted is known
	wanted bool
	piece  []byte // what earlier frames had of it
	want   func(seal.Hash) (bool, error)
	give   func([]byte) error
}

// frame takes the chunks out of the stream from start on.
func (s *salvage) frame(start uint64, data []byte) error {
	for len(s.chunks) > 0 && s.offset < start+uint64(len(data)) {
		if err := s.begin(); err != nil {
			return err
		}
		end := s.offset + uint64(s.chunks[0].SizeBytes)
		part := data[max(s.offset, start)-start : min(end-start, uint64(len(data)))]
		if s.wanted {
			s.piece = append(s.piece, part...)
		}
		if end > start+uint64(len(data)) {
			return nil // the rest is in the next frame
		}
		if s.wanted && s.key.ID(s.piece) == s.chunks[0].ID {
			if err := s.give(s.piece); err != nil {
				return err
			}
		}
		s.next()
	}
	return nil
}

// skip passes over a frame that cannot be read, which ends there, and over
// what it has a part of.
func (s *salvage) skip(end uint64) {
	for len(s.chunks) > 0 && s.offset < end {
		if s.offset+uint64(s.chunks[0].SizeBytes) > end {
			s.begun, s.wanted = true, false
			return
		}
		s.next()
	}
}

func (s *salvage) begin() (err error) {
	if !s.begun {
		s.begun = true
		s.wanted, err = s.want(s.chunks[0].ID)
	}
	return err
}

func (s *salvage) next() {
	s.offset += uint64(s.chunks[0].SizeBytes)
	s.chunks, s.begun, s.piece = s.chunks[1:], false, s.piece[:0]
}
