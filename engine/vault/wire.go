package vault

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"holm.example/engine/seal"
)

// Time is a point in time as the format stores it.
type Time struct {
	Seconds     int64  // since 1970-01-01 UTC
	Nanoseconds uint32 // below 10⁹
}

// TimeOf converts from the time package.
func TimeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// Time converts to the time package, in UTC.
func (t Time) Time() time.Time { return time.Unix(t.Seconds, int64(t.Nanoseconds)).UTC() }

// Before reports whether t is earlier than o.
func (t Time) Before(o Time) bool {
	return t.Seconds < o.Seconds || t.Seconds == o.Seconds && t.Nanoseconds < o.Nanoseconds
}

// encoder appends what section 1 of the specification defines.
type encoder struct{ b []byte }

func (e *encoder) raw(p []byte)     { e.b = append(e.b, p...) }
func (e *encoder) u8(v byte)        { e.b = append(e.b, v) }
func (e *encoder) u16(v uint16)     { e.b = binary.LittleEndian.AppendUint16(e.b, v) }
func (e *encoder) u32(v uint32)     { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64)     { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) uv(v uint64)      { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) zv(v int64)       { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) id(v seal.ID)     { e.raw(v[:]) }
func (e *encoder) hash(v seal.Hash) { e.raw(v[:]) }
func (e *encoder) bytes(p []byte)   { e.uv(uint64(len(p))); e.raw(p) }
func (e *encoder) text(s string)    { e.uv(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) time(t Time)      { e.zv(t.Seconds); e.uv(uint64(t.Nanoseconds)) }

// decoder cuts values off the front of bytes. After the first error every
// value is zero; the error is asked for once, at the end.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	d.b = nil
}

// raw cuts n bytes off; they are not copied.
func (d *decoder) raw(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail("ends too early")
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() byte {
	if p := d.raw(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if p := d.raw(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.raw(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.raw(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *decoder) uv() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail("integer")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) zv() int64 {
	u := d.uv()
	return int64(u>>1) ^ -int64(u&1)
}

// upTo is a uv that is at most limit.
func (d *decoder) upTo(limit uint64, what string) uint64 {
	v := d.uv()
	if v > limit {
		d.fail(fmt.Sprintf("%s %d above %d", what, v, limit))
		return 0
	}
	return v
}

// count is the length of a list whose elements take at least size bytes each,
// so that no list is made that the bytes at hand cannot fill.
func (d *decoder) count(limit uint64, size int, what string) int {
	n := d.upTo(limit, what)
	if n > uint64(len(d.b)/size) {
		d.fail(what)
		return 0
	}
	return int(n)
}

func (d *decoder) id() (v seal.ID)     { copy(v[:], d.raw(len(v))); return v }
func (d *decoder) hash() (v seal.Hash) { copy(v[:], d.raw(len(v))); return v }

func (d *decoder) text(limit uint64, what string) string {
	return string(d.raw(int(d.upTo(limit, what))))
}

func (d *decoder) time() Time {
	return Time{d.zv(), uint32(d.upTo(999_999_999, "nanoseconds"))}
}

// oneOf is a u8 that must be one of those.
func (d *decoder) oneOf(what string, allowed ...byte) byte {
	v := d.u8()
	if d.err == nil && !slices.Contains(allowed, v) {
		d.fail(fmt.Sprintf("%s %d", what, v))
	}
	return v
}

// end returns the first error, or one for bytes left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail(fmt.Sprintf("%d bytes left over", len(d.b)))
	}
	return d.err
}

// zeros checks that nothing but zeros is left.
func (d *decoder) zeros() error {
	if d.err == nil {
		for _, v := range d.b {
			if v != 0 {
				d.fail("padding")
				break
			}
		}
	}
	return d.err
}
