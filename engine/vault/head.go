package vault

import (
	"fmt"
	"math/bits"

	"holm.example/engine/seal"
)

const (
	headSize  = 16
	version   = 1
	magic     = "holm"
	hashSize  = 32
	idSize    = 16
	signature = 64
)

// appendHead appends the 16 bytes that every binary object starts with.
func appendHead(dst []byte, kind seal.Kind, flags uint16, epoch uint32) []byte {
	e := encoder{dst}
	e.raw([]byte(magic))
	e.u8(byte(kind))
	e.u8(version)
	e.u16(flags)
	e.u32(epoch)
	e.u32(0) // recipients: every holder of the epoch secret
	return e.b
}

// head is that of an object of this vault.
func (v *Vault) head(kind seal.Kind, epoch uint32) []byte {
	return appendHead(nil, kind, v.flags(), epoch)
}

// flags are those that every head in this vault has.
func (v *Vault) flags() uint16 {
	if v.parity {
		return flagParity
	}
	return 0
}

// parseHead reads a head of that kind, with those flags, and returns the key epoch.
func parseHead(b []byte, kind seal.Kind, want uint16) (epoch uint32, err error) {
	d := decoder{b: b}
	m, k, v, flags := d.raw(4), d.u8(), d.u8(), d.u16()
	epoch = d.u32()
	recipients := d.u32()
	if d.err != nil || string(m) != magic || k != byte(kind) {
		return 0, fmt.Errorf("head of a %q object: %w", rune(kind), ErrMalformed)
	}
	if v != version || flags&^want != 0 || recipients != 0 {
		return 0, fmt.Errorf("object version %d, flags %#x, recipients %d: %w", v, flags, recipients, ErrNewer)
	}
	if flags != want {
		return 0, fmt.Errorf("flags %#x, not %#x: %w", flags, want, ErrMalformed)
	}
	if (epoch == 0) != (kind == seal.KindFence) {
		return 0, fmt.Errorf("epoch %d: %w", epoch, ErrMalformed)
	}
	return epoch, nil
}

// padme is the size to which an object of n bytes is padded, so that its size
// tells little: at most 12 % more (Nikitin et al., PETS 2019).
func padme(n uint64) uint64 {
	if n < 2 {
		return n
	}
	e := uint64(bits.Len64(n)) - 1
	s := uint64(bits.Len64(e))
	mask := uint64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}
