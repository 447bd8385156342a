package vault

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
)

// Head is how far a journal was read: its last segment and that one's object
// hash. A journal without segments has seq 0 and the hash of the card.
type Head struct {
	Device seal.ID
	Seq    uint64
	Hash   seal.Hash
}

// Segment is one transaction of a device's journal, or the Fence that stands
// in its place; docs/vault-format.md, sections 8 and 9.
type Segment struct {
	Head
	Incarnation seal.ID
	Previous    seal.Hash
	Committed   Time
	Claims      []Head // what it has folded of other devices, where that changed
	Fence       bool   // no operations: another device passed this slot
	count       int
	body        []byte // the operations
}

const (
	segmentPublicSize = headSize + idSize + 8 + idSize + hashSize
	fenceSize         = headSize + idSize + 8 + hashSize + idSize + 8 + hashSize + signature
)

// Each calls f with every operation in its order, and ends with the first
// error, of f or of the bytes.
func (s *Segment) Each(f func(index int, op Operation) error) error {
	d := decoder{b: s.body}
	for i := range s.count {
		op := d.operation()
		if d.err != nil {
			return damaged(SegmentName(s.Device, s.Seq), d.err)
		}
		if err := f(i, op); err != nil {
			return err
		}
	}
	return damaged(SegmentName(s.Device, s.Seq), d.end())
}

// Transaction collects the operations of a segment that is not made yet.
type Transaction struct {
	first, rest encoder
	count       int
}

// Add appends an operation; packs come before everything else.
func (t *Transaction) Add(op Operation) {
	t.count++
	if _, ok := op.(*PackAdd); ok {
		t.first.b = AppendOperation(t.first.b, op)
		return
	}
	t.rest.b = AppendOperation(t.rest.b, op)
}

// Count is the number of operations so far.
func (t *Transaction) Count() int { return t.count }

// SizeBytes is the size of the operations so far.
func (t *Transaction) SizeBytes() int { return len(t.first.b) + len(t.rest.b) }

// FormatSegment makes the object of a segment from its head and the
// operations of t, signs it, and sets s.Hash.
func (v *Vault) FormatSegment(s *Segment, t *Transaction, key ed25519.PrivateKey) ([]byte, error) {
	name := SegmentName(s.Device, s.Seq)
	epoch := v.Keys.Epoch()
	box, err := v.Keys.Box(seal.KindSegment, epoch, v.ID, name)
	if err != nil {
		return nil, err
	}
	var body encoder
	body.time(s.Committed)
	body.uv(uint64(len(s.Claims)))
	for _, h := range s.Claims {
		body.id(h.Device)
		body.uv(h.Seq)
		body.hash(h.Hash)
	}
	body.uv(uint64(t.count))
	body.raw(t.first.b)
	body.raw(t.rest.b)
	if t.count > MaxOperations || len(s.Claims) > MaxClaims || len(body.b) > MaxSegment/2 {
		return nil, fmt.Errorf("%s: %d operations, %d bytes: %w", name, t.count, len(body.b), ErrFull)
	}
	e := encoder{v.head(seal.KindSegment, epoch)}
	e.id(s.Device)
	e.u64(s.Seq)
	e.id(s.Incarnation)
	e.hash(s.Previous)
	plain := v.codec.compress(nil, body.b, 4)
	binary.LittleEndian.PutUint32(plain[1:], uint32(len(plain)-1-4))
	if err := v.checkBody(s, plain); err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	total := uint64(segmentPublicSize + seal.Overhead + len(plain) + signature)
	plain = append(plain, make([]byte, padme(total)-total)...)
	object := box.Seal(e.b, 0, e.b, plain)
	object = append(object, seal.Sign(key, seal.KindSegment, v.ID, name, object)...)
	s.Hash = seal.Sum(object)
	return object, nil
}

// checkBody reads a body that is about to be sealed as a reader will: a
// segment that no reader accepts would end the journal for ever.
func (v *Vault) checkBody(s *Segment, plain []byte) error {
	back := &Segment{Head: s.Head}
	if err := v.parseBody(back, plain); err != nil {
		return err
	}
	d := decoder{b: back.body}
	for range back.count {
		d.operation()
	}
	return d.end()
}

// ParseSegment verifies and reads the object in a slot of a device's journal.
// It does not know the chain: the caller compares Previous. Of a Fence it
// checks the form alone: ReadSegment has the card that verifies it.
func (v *Vault) ParseSegment(card *Card, seq uint64, b []byte) (*Segment, error) {
	if len(b) > headSize && b[4] == byte(seal.KindFence) {
		return v.parseFence(card, seq, b)
	}
	name := SegmentName(card.Device, seq)
	if len(b) > MaxSegment || len(b) < segmentPublicSize+seal.Overhead+signature {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	before, sig := b[:len(b)-signature], b[len(b)-signature:]
	if err := seal.CheckSignature(card.key(), seal.KindSegment, v.ID, name, before, sig); err != nil {
		return nil, err
	}
	epoch, err := parseHead(before[:headSize], seal.KindSegment, v.flags())
	if err != nil {
		return nil, err
	}
	d := decoder{b: before[headSize:segmentPublicSize]}
	s := &Segment{Head: Head{Device: d.id(), Seq: d.u64(), Hash: seal.Sum(b)}, Incarnation: d.id(), Previous: d.hash()}
	if s.Device != card.Device || s.Seq != seq {
		return nil, fmt.Errorf("device or seq is another: %w", ErrMalformed)
	}
	box, err := v.Keys.Box(seal.KindSegment, epoch, v.ID, name)
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, 0, before[:segmentPublicSize], before[segmentPublicSize:])
	if err != nil {
		return nil, err
	}
	return s, v.parseBody(s, plain)
}

// parseBody reads the sealed part up to the operations.
func (v *Vault) parseBody(s *Segment, plain []byte) error {
	d := decoder{b: plain}
	method := d.u8()
	payload := d.raw(int(min(d.u32(), MaxSegment+1)))
	if err := d.zeros(); err != nil {
		return err
	}
	body, err := v.codec.inflate(nil, method, payload, MaxSegment, false)
	if err != nil {
		return err
	}
	d = decoder{b: body}
	s.Committed = d.time()
	n := d.count(MaxClaims, idSize+1+hashSize, "claims")
	for range n {
		h := Head{d.id(), d.upTo(maxSeq, "seq"), d.hash()}
		if len(s.Claims) > 0 && !lessID(s.Claims[len(s.Claims)-1].Device, h.Device) {
			d.fail("claims out of order")
		}
		if h.Device == s.Device || h.Seq == 0 {
			d.fail("claim on oneself or on nothing")
		}
		s.Claims = append(s.Claims, h)
	}
	s.count = d.count(MaxOperations, 3, "operations")
	s.body = d.b
	return d.err
}

func lessID(a, b seal.ID) bool { return string(a[:]) < string(b[:]) }

// Fence is how another device passes a slot; docs/vault-format.md, section 9.
type Fence struct {
	Head               // the slot that is passed
	Previous seal.Hash // as a segment in that slot would name it
	By       Head      // the device that passes, and its own head
}

// FormatFence gives the object of a fence, signed by the device that passes.
// This version of holm passes nobody: it is here because fences are part of
// format 1, whose readers must understand those of a later version. The
// vectors of docs/vault-format.md, section 14, and the vaults in testdata/v1,
// which pin that down, are made with it.
func (v *Vault) FormatFence(f *Fence, key ed25519.PrivateKey) []byte {
	e := encoder{v.head(seal.KindFence, 0)}
	e.id(f.Device)
	e.u64(f.Seq)
	e.hash(f.Previous)
	e.id(f.By.Device)
	e.u64(f.By.Seq)
	e.hash(f.By.Hash)
	b := append(e.b, seal.Sign(key, seal.KindFence, v.ID, SegmentName(f.Device, f.Seq), e.b)...)
	f.Hash = seal.Sum(b)
	return b
}

// parseFence reads a fence. It is signed by another device, whose card
// checkFence reads to verify it.
func (v *Vault) parseFence(card *Card, seq uint64, b []byte) (*Segment, error) {
	if len(b) != fenceSize {
		return nil, fmt.Errorf("fence of %d bytes: %w", len(b), ErrMalformed)
	}
	if _, err := parseHead(b[:headSize], seal.KindFence, v.flags()); err != nil {
		return nil, err
	}
	d := decoder{b: b[headSize : len(b)-signature]}
	s := &Segment{Head: Head{Device: d.id(), Seq: d.u64(), Hash: seal.Sum(b)}, Previous: d.hash(), Fence: true}
	by := Head{Device: d.id(), Seq: d.u64(), Hash: d.hash()}
	if s.Device != card.Device || s.Seq != seq || by.Device == s.Device {
		return nil, fmt.Errorf("device or seq is another: %w", ErrMalformed)
	}
	s.Claims = []Head{by}
	return s, d.end()
}

// ReadSegment reads a slot of a device's journal: storage.ErrNotFound if
// nothing is there yet, ErrDamaged, naming the object, if it is not what the
// device (or for a Fence, another device) wrote.
func (v *Vault) ReadSegment(ctx context.Context, card *Card, seq uint64) (*Segment, error) {
	s, _, err := v.readSegment(ctx, card, seq)
	return s, err
}

// readSegment is ReadSegment, with the body of the object.
func (v *Vault) readSegment(ctx context.Context, card *Card, seq uint64) (s *Segment, body []byte, err error) {
	name := SegmentName(card.Device, seq)
	o, err := v.fetch(ctx, name, MaxSegment)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if err != nil {
		return nil, nil, objectError(name, err)
	}
	err = o.body(ctx, nextSegmentSize, func(b []byte) error {
		if s, err = v.ParseSegment(card, seq, b); err == nil && s.Fence {
			err = v.checkFence(ctx, s, b)
		}
		body = b
		return err
	})
	if err != nil {
		return nil, nil, objectError(name, err)
	}
	return s, body, nil
}

// nextSegmentSize is the least size above n that segments and fences have.
func nextSegmentSize(n int64) int64 { return int64(padme(uint64(max(n+1, fenceSize)))) }

// CheckHead reads the object in the slot of a head again and compares its
// hash: ErrDamaged if it is none, and with ErrOtherObject another one.
func (v *Vault) CheckHead(ctx context.Context, h Head) error {
	name := SegmentName(h.Device, h.Seq)
	o, err := v.fetch(ctx, name, MaxSegment)
	if err != nil {
		return objectError(name, err)
	}
	err = o.body(ctx, nextSegmentSize, func(b []byte) error {
		if seal.Sum(b) != h.Hash {
			return ErrOtherObject
		}
		return nil
	})
	if err != nil {
		return objectError(name, err)
	}
	return nil
}

// checkFence verifies the signature of a fence with the card of its signer.
func (v *Vault) checkFence(ctx context.Context, s *Segment, b []byte) error {
	by, err := v.ReadCard(ctx, s.Claims[0].Device)
	if err != nil {
		return err
	}
	before, sig := b[:len(b)-signature], b[len(b)-signature:]
	return seal.CheckSignature(by.key(), seal.KindFence, v.ID, SegmentName(s.Device, s.Seq), before, sig)
}
