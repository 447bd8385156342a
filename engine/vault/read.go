package vault

import (
	"context"
	"fmt"

	"holm.example/engine/seal"
)

// readBatch is how many sealed bytes one range read asks for at most.
const readBatch = 2 * maxSealedFrame

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
	return r.sealed(ctx, p, first, last, func(i int) (err error) {
		if len(r.opened) < 1 {
			return damaged(p.ID.Name(), fmt.Errorf("frame %d: %w", i, ErrMalformed))
		}
		size := int(min(FrameSize, p.Stream-uint64(i)*FrameSize))
		r.plain, err = r.v.codec.inflate(r.plain[:0], r.opened[0], r.opened[1:], size, true)
		if err != nil {
			return damaged(p.ID.Name(), fmt.Errorf("frame %d: %w", i, err))
		}
		return f(i, r.plain)
	})
}

// CheckSeals opens the seal of every frame of a pack and inflates none: what
// it accepts is as its device wrote it. f is called after each frame.
func (r *FrameReader) CheckSeals(ctx context.Context, p *Pack, f func(index int)) error {
	return r.sealed(ctx, p, 0, len(p.Frames)-1, func(i int) error {
		f(i)
		return nil
	})
}

// sealed reads the frames from first to last and calls f when r.opened is what
// was sealed in each.
func (r *FrameReader) sealed(ctx context.Context, p *Pack, first, last int, f func(i int) error) error {
	name := p.ID.Name()
	if first < 0 || last >= len(p.Frames) || first > last {
		return damaged(name, fmt.Errorf("frames %d to %d of %d: %w", first, last, len(p.Frames), ErrMalformed))
	}
	box, err := r.v.Keys.Box(seal.KindPack, p.Epoch, r.v.ID, name)
	if err != nil {
		return damaged(name, err)
	}
	head := r.v.head(seal.KindPack, p.Epoch)
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
			sealed, err = r.v.repairedRange(ctx, name, int64(p.SizeBytes), offset, length, err)
		}
		if err != nil {
			return packError(name, err)
		}
		for ; i < end; i++ {
			n := int64(p.Frames[i])
			r.opened, err = box.Open(r.opened[:0], uint32(i), head, sealed[:n])
			if err != nil {
				var again []byte
				if again, err = r.v.repairedRange(ctx, name, int64(p.SizeBytes), offset, n, err); err == nil {
					r.opened, err = box.Open(nil, uint32(i), head, again)
				}
			}
			if err != nil {
				return packError(name, fmt.Errorf("frame %d: %w", i, err))
			}
			sealed, offset = sealed[n:], offset+n
			if err := f(i); err != nil {
				return err
			}
		}
	}
	return nil
}
