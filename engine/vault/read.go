package vault

import (
	"context"
	"fmt"

	"holm.example/engine/seal"
)

// readBatch is how many sealed bytes one range read asks for at most.
const readBatch = 4 << 20

// FrameReader reads frames with buffers of its own, which it uses again: it is
// for one goroutine, and the plaintext it gives is valid during the call.
type FrameReader struct {
	v      *Vault
	opened []byte
	plain  []byte
}

// NewFrameReader makes a reader of frames.
func (v *Vault) NewFrameReader() *FrameReader { return &FrameReader{v: v} }

// ReadFrames reads the frames from first to last, the last one included, and
// calls f with the plaintext of each, which is valid during the call. Each
// byte is read from the store once. Damage is ErrDamaged, naming the pack.
func (v *Vault) ReadFrames(ctx context.Context, p *Pack, first, last int, f func(index int, data []byte) error) error {
	return v.NewFrameReader().Read(ctx, p, first, last, f)
}

// Read is Vault.ReadFrames with the buffers of the reader.
func (r *FrameReader) Read(ctx context.Context, p *Pack, first, last int, f func(index int, data []byte) error) error {
	name := p.ID.Name()
	if first < 0 || last >= len(p.Frames) || first > last {
		return damaged(name, fmt.Errorf("frames %d to %d of %d: %w", first, last, len(p.Frames), ErrMalformed))
	}
	box, err := r.v.Keys.Box(seal.KindPack, p.Epoch, r.v.ID, name)
	if err != nil {
		return damaged(name, err)
	}
	head := appendHead(nil, seal.KindPack, p.Epoch)
	offset := int64(headSize)
	for _, n := range p.Frames[:first] {
		offset += int64(n)
	}
	for i := first; i <= last; {
		end, length := i, int64(0)
		for end <= last && (end == i || length+int64(p.Frames[end]) <= readBatch) {
			length += int64(p.Frames[end])
			end++
		}
		sealed, err := r.v.readRange(ctx, name, offset, length)
		if err != nil {
			return objectError(name, err)
		}
		offset += length
		for ; i < end; i++ {
			size := int(min(FrameSize, p.Stream-uint64(i)*FrameSize))
			if err := r.open(box, uint32(i), head, sealed[:p.Frames[i]], size); err != nil {
				return damaged(name, fmt.Errorf("frame %d: %w", i, err))
			}
			sealed = sealed[p.Frames[i]:]
			if err := f(i, r.plain); err != nil {
				return err
			}
		}
	}
	return nil
}

// open makes r.plain the content of one frame, of size bytes.
func (r *FrameReader) open(box *seal.Box, part uint32, head, sealed []byte, size int) (err error) {
	if r.opened, err = box.Open(r.opened[:0], part, head, sealed); err != nil {
		return err
	}
	if len(r.opened) < 1 {
		return ErrMalformed
	}
	r.plain, err = r.v.codec.inflate(r.plain[:0], r.opened[0], r.opened[1:], size, true)
	return err
}
