package catalog

import (
	"encoding/binary"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// positionBits are the bits of a position that count operations.
const positionBits = 17

// Position is a point in a journal; docs/vault-format.md, section 9.
type Position uint64

// position is where an operation stands.
func position(seq uint64, index int) Position {
	return Position(seq<<positionBits | uint64(index))
}

// EndOf is the position after the last operation of a segment.
func EndOf(seq uint64) Position { return Position((seq+1)<<positionBits - 1) }

// Device is what the catalog knows of a device.
type Device struct {
	Card vault.Card
	Head vault.Head
	// Committed is the commit time of the head; it never runs backwards.
	Committed vault.Time
}

func (d *Device) format() []byte {
	b := join(d.Card.Signing[:], d.Card.HPKE[:], d.Card.Hash[:], d.Head.Hash[:])
	b = binary.AppendUvarint(b, d.Head.Seq)
	b = binary.AppendVarint(b, d.Card.Created.Seconds)
	b = binary.AppendUvarint(b, uint64(d.Card.Created.Nanoseconds))
	b = binary.AppendVarint(b, d.Committed.Seconds)
	b = binary.AppendUvarint(b, uint64(d.Committed.Nanoseconds))
	return appendBytes(b, []byte(d.Card.Name))
}

func parseDevice(id []byte, f fields) (Device, error) {
	var d Device
	copy(d.Card.Device[:], id)
	d.Head.Device = d.Card.Device
	d.Card.Signing, d.Card.HPKE = f.hash(), f.hash()
	d.Card.Hash, d.Head.Hash = f.hash(), f.hash()
	d.Head.Seq = f.uv()
	d.Card.Created, d.Committed = f.time(), f.time()
	d.Card.Name = string(f.bytes())
	return d, f.end("device")
}

// AddDevice makes a device known, with nothing folded. One that is known
// already stays as it is.
func (c *Catalog) AddDevice(card *vault.Card) error {
	return c.update(func(t *tx) error {
		if _, known := get(t, bucketDevices, card.Device[:]); known {
			return nil
		}
		d := Device{Card: *card, Head: vault.Head{Device: card.Device, Hash: card.Hash}}
		return put(t, bucketDevices, card.Device[:], d.format())
	})
}

// Devices lists the known devices in the order of their ids.
func (c *Catalog) Devices() (list []Device, err error) {
	err = c.view(func(t *tx) error {
		list = nil
		return each(t, bucketDevices, nil, func(k []byte, f fields) error {
			d, err := parseDevice(k, f)
			list = append(list, d)
			return err
		})
	})
	return list, err
}

// Device returns a known device.
func (c *Catalog) Device(id seal.ID) (d Device, known bool, err error) {
	err = c.view(func(t *tx) error {
		var f fields
		if f, known = get(t, bucketDevices, id[:]); !known {
			return nil
		}
		d, err = parseDevice(id[:], f)
		return err
	})
	return d, known, err
}

// deviceAt is a device that is known.
func deviceAt(t *tx, id seal.ID) (Device, error) {
	f, known := get(t, bucketDevices, id[:])
	if !known {
		return Device{}, fmt.Errorf("device %x: %w", id, ErrDamaged)
	}
	return parseDevice(id[:], f)
}

// Claims are the heads of other journals that a device has said to have
// folded, in the order of the devices.
func (c *Catalog) Claims(by seal.ID) (list []vault.Head, err error) {
	err = c.view(func(t *tx) error {
		list = nil
		return each(t, bucketClaims, by[:], func(k []byte, f fields) error {
			list = append(list, vault.Head{Device: seal.ID(k), Seq: f.uv(), Hash: f.hash()})
			return f.end("claim")
		})
	})
	return list, err
}

// Fold folds the next segment of a device's journal, wholly or not at all. It
// returns ErrChain if the segment is not the next one, vault.ErrNewer if it
// holds an operation that this version does not know, and ErrWaiting if it
// adopts what is not folded yet. The device is known.
func (c *Catalog) Fold(s *vault.Segment) error {
	return c.update(func(t *tx) error {
		d, err := deviceAt(t, s.Device)
		if err != nil {
			return err
		}
		if s.Seq != d.Head.Seq+1 || s.Previous != d.Head.Hash {
			return fmt.Errorf("%s: %w: %w", vault.SegmentName(s.Device, s.Seq), vault.ErrDamaged, ErrChain)
		}
		f := &fold{t: t, device: s.Device, seq: s.Seq, pages: pages{t: t, device: s.Device}}
		if err := s.Each(f.operation); err != nil {
			return err
		}
		if err := f.pages.flush(); err != nil {
			return err
		}
		if err := f.claims(s); err != nil {
			return err
		}
		if err := put(t, bucketSegments, segmentKey(s.Device, s.Seq), s.Hash[:]); err != nil {
			return err
		}
		d.Head = s.Head
		if d.Committed.Before(s.Committed) {
			d.Committed = s.Committed
		}
		return put(t, bucketDevices, s.Device[:], d.format())
	})
}

func segmentKey(device seal.ID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(device[:], seq)
}

// fold is one segment being folded.
type fold struct {
	t      *tx
	device seal.ID
	seq    uint64
	pos    Position
	begun  bool // an operation that is no PackAdd was folded
	pages  pages
}

// claims records the heads that a segment claims; the highest counts.
func (f *fold) claims(s *vault.Segment) error {
	if s.Fence {
		return nil
	}
	for _, h := range s.Claims {
		key := join(f.device[:], h.Device[:])
		if old, known := get(f.t, bucketClaims, key); known {
			seq := old.uv()
			old.hash()
			if err := old.end("claim"); err != nil {
				return err
			}
			if seq >= h.Seq {
				continue
			}
		}
		if err := put(f.t, bucketClaims, key, append(binary.AppendUvarint(nil, h.Seq), h.Hash[:]...)); err != nil {
			return err
		}
	}
	return nil
}

// operation folds one operation by the rules of the specification.
func (f *fold) operation(index int, op vault.Operation) error {
	f.pos = position(f.seq, index)
	if err := vault.CheckLevel(op); err != nil {
		return fmt.Errorf("%s: %w", vault.SegmentName(f.device, f.seq), err)
	}
	if o, ok := op.(*vault.PackAdd); ok {
		return f.packAdd(o)
	}
	first := f.seq == 1 && !f.begun
	f.begun = true
	switch o := op.(type) {
	case *vault.Source:
		return f.source(o)
	case *vault.Put:
		return f.put(o)
	case *vault.MoveDir:
		return f.moveDir(o)
	case *vault.Delete:
		return f.delete(o)
	case *vault.Mark:
		return f.mark(o)
	case *vault.Part:
		return nil // nothing is collected, so nothing needs keeping alive
	case *vault.Adopt:
		if !first || o.Device == f.device || o.Seq == 0 {
			return nil
		}
		return f.adopt(o)
	}
	return fmt.Errorf("%s: %T: %w", vault.SegmentName(f.device, f.seq), op, vault.ErrNewer)
}

// source is rule 6.
func (f *fold) source(o *vault.Source) error {
	w, err := f.whereIs(o.ID)
	if err != nil || w.state != unplaced {
		return err
	}
	value := binary.AppendUvarint(nil, uint64(f.pos))
	value = appendBytes(value, []byte(o.Path))
	value = appendBytes(value, []byte(o.System))
	if err := put(f.t, bucketSources, join(f.device[:], o.ID[:]), value); err != nil {
		return err
	}
	return f.setWhere(o.ID, where{state: top})
}

// mark is rule 7: what is no source here, or is named again, counts for
// nothing.
func (f *fold) mark(o *vault.Mark) error {
	key := join(f.device[:], o.ID[:])
	if _, known := get(f.t, bucketMarks, key); known {
		return nil
	}
	var sources []seal.ID
	seen := map[seal.ID]bool{}
	for _, id := range o.Sources {
		if _, known := get(f.t, bucketSources, join(f.device[:], id[:])); known && !seen[id] {
			seen[id] = true
			sources = append(sources, id)
		}
	}
	value := binary.AppendUvarint(nil, uint64(f.pos))
	value = vault.AppendOperation(value, &vault.Mark{ID: o.ID, Time: o.Time, Label: o.Label, Sources: sources})
	return put(f.t, bucketMarks, key, value)
}

// adopt copies the sources of another device, and what could be reached from
// them at that seq, in the one update of the segment.
func (f *fold) adopt(o *vault.Adopt) error {
	name := vault.SegmentName(o.Device, o.Seq)
	segment, known := get(f.t, bucketSegments, segmentKey(o.Device, o.Seq))
	if !known {
		return fmt.Errorf("%s: %w: %w", name, ErrWaiting, vault.ErrDamaged)
	}
	hash := segment.hash()
	if err := segment.end("hash of a segment"); err != nil {
		return err
	}
	if hash != o.Hash {
		return fmt.Errorf("%s: not the segment that is adopted: %w", name, vault.ErrDamaged)
	}
	at := EndOf(o.Seq)
	var tops []vault.Source
	err := each(f.t, bucketSources, o.Device[:], func(k []byte, v fields) error {
		from, path, system, err := parseSource(v)
		if err == nil && from <= at {
			tops = append(tops, vault.Source{ID: seal.ID(k), Path: path, System: system})
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := range tops {
		if err := f.source(&tops[i]); err != nil {
			return err
		}
	}
	for _, top := range append(tops, vault.Source{ID: lostAndFound}) {
		if err := f.adoptBelow(o.Device, top.ID, at, 0); err != nil {
			return err
		}
	}
	return nil
}

// adoptBelow copies what a directory of another device held, as deep as a tree
// can be.
func (f *fold) adoptBelow(from, dir seal.ID, at Position, depth int) error {
	if depth >= vault.MaxDepth {
		return nil
	}
	return eachAt(f.t, from, dir, at, func(s *stored) error {
		n, err := vault.ParseNode(s.node)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err := f.put(&vault.Put{EntryName: vault.EntryName{Parent: dir, Name: s.name}, Node: n}); err != nil {
			return err
		}
		if n.Kind == vault.KindDirectory {
			return f.adoptBelow(from, n.Directory, at, depth+1)
		}
		return nil
	})
}
