package vault

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"holm.example/engine/seal"
)

const (
	footerSize     = 8
	footerMagic    = "pend"
	minSealedFrame = seal.Overhead + 2
	maxSealedFrame = seal.Overhead + 1 + FrameSize
	// fullFrames is from when on a pack takes no more: one chunk of MaxChunk
	// and a trailer of 5 MiB must still fit both MaxFrames and MaxPack.
	fullFrames = MaxFrames - MaxChunk/FrameSize - 8
)

// Pack is what one must know to read from a pack.
type Pack struct {
	ID        PackID
	Epoch     uint32
	SizeBytes uint64
	Frames    []uint32 // sealed lengths
	Stream    uint64   // bytes of plaintext
	// Lists is the hash of both lists of the PackAdd, which the pack's trailer
	// repeats.
	Lists seal.Hash
}

// NewPack is the pack that a PackAdd of that segment names.
func NewPack(device seal.ID, seq uint64, add *PackAdd) *Pack {
	p := &Pack{ID: PackID{device, seq, add.Random}, Epoch: add.Epoch, SizeBytes: add.SizeBytes, Frames: add.Frames}
	for _, c := range add.Chunks {
		p.Stream += uint64(c.SizeBytes)
	}
	var e encoder
	e.framesAndChunks(add.Frames, add.Chunks)
	p.Lists = seal.Sum(e.b)
	return p
}

// PackWriter makes a pack. What it makes goes to a spool, not to the store.
// After an error it refuses further work.
type PackWriter struct {
	v      *Vault
	id     PackID
	box    *seal.Box
	epoch  uint32
	head   []byte
	w      io.Writer
	frames frames
	parts  uint32 // frames that were filled

	add PackAdd // what is spooled
	err error
	// glitch sees each part before and after it is sealed: tests play bad
	// memory there.
	glitch func([]byte)
}

// NewPackWriter starts a pack in an empty spool. Frames are sealed in the
// goroutine that adds.
func (v *Vault) NewPackWriter(id PackID, spool io.Writer) (*PackWriter, error) {
	epoch := v.Keys.Epoch()
	box, err := v.Keys.Box(seal.KindPack, epoch, v.ID, id.Name())
	if err != nil {
		return nil, err
	}
	p := &PackWriter{v: v, id: id, box: box, epoch: epoch, head: v.head(seal.KindPack, epoch), w: spool,
		add: PackAdd{Random: id.Random, Epoch: epoch}, glitch: func([]byte) {}}
	p.write(p.head)
	return p, p.err
}

// NewPackWriter starts a pack in an empty spool. The errors of a frame that
// the sealers work at come with a later call, with Finish at the latest.
func (s *Sealers) NewPackWriter(id PackID, spool io.Writer) (*PackWriter, error) {
	p, err := s.v.NewPackWriter(id, spool)
	if err == nil {
		p.frames.sealers = s
	}
	return p, err
}

func (p *PackWriter) write(b []byte) {
	if p.err != nil {
		return
	}
	if _, err := p.w.Write(b); err != nil {
		p.err = fmt.Errorf("spooling pack %s: %w", p.id.Name(), err)
		return
	}
	p.add.SizeBytes += uint64(len(b))
}

// SizeBytes is about how large the pack is so far: frames that are not sealed
// yet count as they are.
func (p *PackWriter) SizeBytes() uint64 {
	size := p.add.SizeBytes
	size += FrameSize * uint64(len(p.frames.pending))
	if p.frames.open != nil {
		size += uint64(len(p.frames.open.data))
	}
	return size
}

// Chunks is how many chunks the pack has so far.
func (p *PackWriter) Chunks() int { return len(p.add.Chunks) }

// Full reports whether the pack cannot take another chunk within the limits
// of the format.
func (p *PackWriter) Full() bool {
	return len(p.add.Chunks) >= MaxPackChunks || max(len(p.add.Frames), int(p.parts)) >= fullFrames
}

// Add appends a chunk of at least one byte to the stream.
func (p *PackWriter) Add(id seal.Hash, content []byte) error {
	if p.err == nil && (len(content) == 0 || len(content) > MaxChunk || p.Full()) {
		p.err = fmt.Errorf("chunk of %d bytes: %w", len(content), ErrFull)
	}
	if p.err != nil {
		return p.err
	}
	p.add.Chunks = append(p.add.Chunks, ChunkInfo{id, uint32(len(content))})
	for len(content) > 0 && p.err == nil {
		j := p.frame()
		n := min(len(content), FrameSize-len(j.data))
		j.data = append(j.data, content[:n]...)
		content = content[n:]
		if len(j.data) == FrameSize {
			p.flush()
		}
	}
	return p.err
}

// Finish seals the trailer and returns the operation that names the pack.
func (p *PackWriter) Finish() (*PackAdd, error) {
	p.flush()
	p.collect(0)
	if p.err != nil {
		return nil, p.err
	}
	var e encoder
	e.uv(p.id.Seq)
	e.framesAndChunks(p.add.Frames, p.add.Chunks)
	others := p.add.SizeBytes + footerSize
	total := others + uint64(seal.Overhead+len(e.b))
	e.raw(make([]byte, padme(total)-total))
	size := p.sealTrailer(e.b, func(opened []byte) bool {
		var back PackAdd
		err := parseTrailer(opened, p.id.Seq, &back, others)
		return err == nil && slices.Equal(back.Frames, p.add.Frames) && slices.Equal(back.Chunks, p.add.Chunks)
	})
	p.write(append(binary.LittleEndian.AppendUint32(nil, uint32(size)), footerMagic...))
	if p.err != nil {
		return nil, p.err
	}
	p.err = fmt.Errorf("pack %s is finished: %w", p.id.Name(), ErrFull)
	return &p.add, nil
}

// readRange reads exactly length bytes, also from a store that gives fewer
// and says nothing.
func (v *Vault) readRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	b, err := v.Store.GetRange(ctx, name, offset, length)
	if err == nil && int64(len(b)) != length {
		err = fmt.Errorf("object %s: %d bytes, wanted %d: %w", name, len(b), length, io.ErrUnexpectedEOF)
	}
	return b, unread(err)
}

// packError is the error of reading a pack that must be there. What cannot be
// read of one is as good as damaged for who wants its content, and all others
// can be had: ErrDamaged, and ErrUnread tells that nobody has seen the damage.
func packError(name string, err error) error {
	if storeGone(err) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return damaged(name, err)
}

// ReadTrailer reads what a pack says of itself, without its segment. size is
// the size of the object as the store lists it.
func (v *Vault) ReadTrailer(ctx context.Context, id PackID, size int64) (*PackAdd, error) {
	name := id.Name()
	body, err := v.bodySize(size)
	if err == nil && (body < headSize+seal.Overhead+footerSize || body > MaxPack) {
		err = fmt.Errorf("%d bytes: %w", size, ErrMalformed)
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	add, why := v.readTrailer(id, body, func(offset, length int64) ([]byte, error) {
		return v.readRange(ctx, name, offset, length)
	})
	if why == nil {
		return add, nil
	}
	add, err = v.readTrailer(id, body, func(offset, length int64) ([]byte, error) {
		return v.repairedRange(ctx, name, body, offset, length, why)
	})
	if err != nil {
		return nil, packError(name, err)
	}
	return add, nil
}

// readTrailer is ReadTrailer of a body, whose ranges it is given.
func (v *Vault) readTrailer(id PackID, body int64, read func(offset, length int64) ([]byte, error)) (*PackAdd, error) {
	head, err := read(0, headSize)
	if err != nil {
		return nil, err
	}
	epoch, err := parseHead(head, seal.KindPack, v.flags())
	if err != nil {
		return nil, err
	}
	foot, err := read(body-footerSize, footerSize)
	if err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(foot))
	if string(foot[4:]) != footerMagic || length > MaxTrailer || length > body-headSize-footerSize {
		return nil, fmt.Errorf("footer: %w", ErrMalformed)
	}
	sealed, err := read(body-footerSize-length, length)
	if err != nil {
		return nil, err
	}
	box, err := v.Keys.Box(seal.KindPack, epoch, v.ID, id.Name())
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, seal.PartTrailer, head, sealed)
	if err != nil {
		return nil, fmt.Errorf("trailer: %w", err)
	}
	add := &PackAdd{Random: id.Random, Epoch: epoch, SizeBytes: uint64(body)}
	return add, parseTrailer(plain, id.Seq, add, uint64(body-length))
}

// parseTrailer fills the lists of add. others is how many bytes of the object
// are not in the trailer.
func parseTrailer(plain []byte, seq uint64, add *PackAdd, others uint64) error {
	d := decoder{b: plain}
	if got := d.uv(); d.err == nil && got != seq {
		return fmt.Errorf("pack of seq %d: %w", got, ErrMalformed)
	}
	add.Frames, add.Chunks = d.framesAndChunks()
	if err := d.zeros(); err != nil {
		return err
	}
	total := uint64(headSize + footerSize)
	for _, f := range add.Frames {
		total += uint64(f)
	}
	if total != others {
		return fmt.Errorf("frames and size disagree: %w", ErrMalformed)
	}
	return nil
}
