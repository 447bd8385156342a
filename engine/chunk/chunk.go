// Package chunk cuts files into chunks where their content says so.
//
// It promises that the cuts depend on nothing but the content, the key and
// the parameters, so that an insertion moves only the cuts near it, and that
// a chunk is from Minimum to Maximum bytes long, the last one excepted. The
// algorithm is FastCDC with a keyed gear table and normalization level 2
// (Xia et al., USENIX ATC 2016); docs/vault-format.md, section 6, is its
// specification. The package is pure.
package chunk

import (
	"io"
	"math/bits"
)

// Sizes are the parameters of the cutter, in bytes. Average is a power of
// two; 64 ≤ Minimum ≤ Average ≤ Maximum.
type Sizes struct {
	Minimum, Average, Maximum int
}

// window is how many bytes the rolling hash remembers: one for each bit.
const window = 64

// maxSilent is how often in a row a reader may give nothing and no error.
const maxSilent = 100

// slack is how many bytes the buffer of a Cutter is longer than a chunk: what
// is left of it is moved once for so many bytes that are read.
const slack = 1 << 20

// Cutter cuts one file after the other. It holds Maximum bytes and 1 MiB.
type Cutter struct {
	gear  *[256]uint64
	sizes Sizes
	early uint // a cut before Average needs this many zero bits on top
	late  uint

	src        io.Reader
	buf        []byte
	start, end int // of what is read and not yet cut
	err        error
}

// NewCutter makes a cutter; gear is the secret table of the vault.
func NewCutter(gear *[256]uint64, sizes Sizes) *Cutter {
	n := uint(bits.TrailingZeros(uint(sizes.Average)))
	return &Cutter{gear: gear, sizes: sizes, early: 64 - (n + 2), late: 64 - (n - 2), buf: make([]byte, sizes.Maximum+slack)}
}

// Reset starts on a new file.
func (c *Cutter) Reset(src io.Reader) {
	c.src, c.start, c.end, c.err = src, 0, 0, nil
}

// Next returns the next chunk, io.EOF after the last one, or the error of the
// file. The bytes are valid until the next call.
func (c *Cutter) Next() ([]byte, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	data := c.buf[c.start:c.end]
	if len(data) == 0 {
		return nil, io.EOF
	}
	n := c.cut(data)
	c.start += n
	return data[:n], nil
}

// fill reads until there is a chunk of Maximum bytes or the file ends.
func (c *Cutter) fill() error {
	if c.err != nil && c.err != io.EOF {
		return c.err
	}
	if c.err == io.EOF || c.end-c.start >= c.sizes.Maximum {
		return nil
	}
	copy(c.buf, c.buf[c.start:c.end])
	c.end -= c.start
	c.start = 0
	// Not io.ReadFull: it says io.ErrUnexpectedEOF for the end of a file and
	// for a reader that says so of itself, which is no end but an error.
	for silent := 0; c.err == nil && c.end < len(c.buf); silent++ {
		n, err := c.src.Read(c.buf[c.end:])
		c.end += n
		c.err = err
		if n > 0 {
			silent = 0
		}
		if silent == maxSilent && err == nil {
			c.err = io.ErrNoProgress
		}
	}
	if c.err != io.EOF {
		return c.err
	}
	return nil
}

// cut returns the length of the first chunk of data, which holds a whole
// chunk or the rest of the file, and perhaps more.
func (c *Cutter) cut(data []byte) int {
	if len(data) <= c.sizes.Minimum {
		return len(data)
	}
	end := min(len(data), c.sizes.Maximum)
	normal := min(end, c.sizes.Average-1)
	var h uint64
	i := max(0, c.sizes.Minimum-window)
	for ; i < c.sizes.Minimum-1; i++ {
		h = h<<1 + c.gear[data[i]]
	}
	for ; i < normal; i++ {
		h = h<<1 + c.gear[data[i]]
		if h>>c.early == 0 {
			return i + 1
		}
	}
	for ; i < end; i++ {
		h = h<<1 + c.gear[data[i]]
		if h>>c.late == 0 {
			return i + 1
		}
	}
	return end
}
