package vault

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/reedsolomon"
	"github.com/zeebo/blake3"
)

const (
	parityData   = 64       // most data shards
	parityShards = 2        // damaged shards that a tail makes good
	parityLeast  = 1024     // a shard is not smaller, unless the body is
	paritySum    = 16       // bytes of a shard's hash in the table
	parityStripe = 16 << 10 // bytes of each shard in memory at a time
)

// ErrBeyondParity says that more is damaged than the parity tail makes good.
var ErrBeyondParity = errors.New("damaged beyond what its parity can repair")

// parityShape says how an object of one body size is cut. All of it follows from the size, so that no damage can change it.
type parityShape struct {
	body  int64 // bytes before the tail
	shard int64 // bytes of a shard
	data  int   // data shards
}

func shapeOf(body int64) parityShape {
	shard := max(min(body, parityLeast), (body+parityData-1)/parityData)
	return parityShape{body: body, shard: shard, data: int((body + shard - 1) / shard)}
}

func (p parityShape) shards() int  { return p.data + parityShards }
func (p parityShape) table() int64 { return int64(p.shards()) * paritySum }
func (p parityShape) size() int64  { return p.body + 2*p.table() + parityShards*p.shard }

// tables are the offsets of the two copies of the table: before and after the parity shards, so that no run of damage that is short enough to be
// repaired meets both.
func (p parityShape) tables() [2]int64 {
	return [2]int64{p.body, p.body + p.table() + parityShards*p.shard}
}

// at is where shard i stands in the object, and how many bytes of it do. The first data shard may be short: were it the last, a run of damage as long
// as a shard could meet the shards on both sides of it.
func (p parityShape) at(i int) (offset, length int64) {
	if i >= p.data {
		return p.body + p.table() + int64(i-p.data)*p.shard, p.shard
	}
	first := p.body - int64(p.data-1)*p.shard
	if i == 0 {
		return 0, first
	}
	return first + int64(i-1)*p.shard, p.shard
}

// ParitySize is the size of an object, tail included, whose body has that many bytes, from 1 to MaxPack.
func ParitySize(body int64) int64 { return shapeOf(body).size() }

// ParityBody is the size of the body of an object that has size bytes with its parity tail. No two bodies give one size, and some sizes have no body.
func ParityBody(size int64) (int64, error) {
	body := 1 + int64(sort.Search(MaxPack, func(i int) bool { return ParitySize(int64(i)+1) >= size }))
	if body > MaxPack || ParitySize(body) != size {
		return 0, fmt.Errorf("%w: no object with parity has %d bytes", ErrBeyondParity, size)
	}
	return body, nil
}

// ReadWriterAt is a spool: what is written can be read again.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// AppendParity writes the parity tail behind the first body bytes of the spool. It holds about 1 MiB in memory, whatever the size.
func AppendParity(spool ReadWriterAt, body int64) error {
	if body < 1 || body > MaxPack {
		return fmt.Errorf("making parity for %d bytes: outside 1 to %d", body, int64(MaxPack))
	}
	p := shapeOf(body)
	code, err := p.code()
	if err != nil {
		return err
	}
	err = p.stripes(spool, func(i int) bool { return i < p.data }, func(offset int64, shards [][]byte) error {
		for i := p.data; i < p.shards(); i++ {
			shards[i] = shards[i][:len(shards[0])]
		}
		if err := code.Encode(shards); err != nil {
			return fmt.Errorf("making parity: %w", err)
		}
		for i := p.data; i < p.shards(); i++ {
			start, _ := p.at(i)
			if _, err := spool.WriteAt(shards[i], start+offset); err != nil {
				return fmt.Errorf("writing parity: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	table := make([]byte, 0, p.table())
	for i := range p.shards() {
		sum, err := p.sum(spool, i)
		if err != nil {
			return err
		}
		table = append(table, sum...)
	}
	for _, at := range p.tables() {
		if _, err := spool.WriteAt(table, at); err != nil {
			return fmt.Errorf("writing the table of parity: %w", err)
		}
	}
	return nil
}

// RepairParity finds the damaged shards of an object of size bytes and writes the bytes of the body that they held, made good, into to, at their
// offsets; to may be a copy of the object. It returns how many shards were damaged, parity shards included. The tail is not authenticated: what was
// repaired must be verified like anything else that was read. ErrBeyondParity says that too much is damaged; to is untouched then.
func RepairParity(object io.ReaderAt, size int64, to io.WriterAt) (damaged int, err error) {
	body, err := ParityBody(size)
	if err != nil {
		return 0, err
	}
	p := shapeOf(body)
	good, damaged, err := p.verify(object)
	if err != nil || damaged == 0 {
		return 0, err
	}
	if damaged > parityShards {
		return damaged, fmt.Errorf("%w: %d of %d shards", ErrBeyondParity, damaged, p.shards())
	}
	code, err := p.code()
	if err != nil {
		return damaged, err
	}
	return damaged, p.stripes(object, func(i int) bool { return good[i] }, func(offset int64, shards [][]byte) error {
		if err := code.ReconstructData(shards); err != nil {
			return fmt.Errorf("repairing from parity: %w", err)
		}
		for i := range p.data {
			start, length := p.at(i)
			if n := min(int64(len(shards[i])), length-offset); !good[i] && n > 0 {
				if _, err := to.WriteAt(shards[i][:n], start+offset); err != nil {
					return fmt.Errorf("writing what parity repaired: %w", err)
				}
			}
		}
		return nil
	})
}

func (p parityShape) code() (reedsolomon.Encoder, error) {
	code, err := reedsolomon.New(p.data, parityShards, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("making a parity code of %d shards: %w", p.data, err)
	}
	return code, nil
}

// stripes reads the shards that have is true of, a stripe at a time, zero-filled to one length, and calls do; the others have length 0.
func (p parityShape) stripes(from io.ReaderAt, have func(int) bool, do func(offset int64, shards [][]byte) error) error {
	width := min(p.shard, parityStripe)
	memory := make([]byte, width*int64(p.shards()))
	shards := make([][]byte, p.shards())
	for offset := int64(0); offset < p.shard; offset += width {
		n := min(width, p.shard-offset)
		for i := range shards {
			whole := memory[int64(i)*width:][:n:width]
			shards[i] = whole[:0]
			if !have(i) {
				continue
			}
			start, length := p.at(i)
			there := max(0, min(n, length-offset))
			if err := readFull(from, whole[:there], start+offset); err != nil {
				return err
			}
			clear(whole[there:])
			shards[i] = whole
		}
		if err := do(offset, shards); err != nil {
			return err
		}
	}
	return nil
}

// verify compares every shard with both copies of the table; one that agrees is enough.
func (p parityShape) verify(object io.ReaderAt) (good []bool, damaged int, err error) {
	var tables [2][]byte
	for c, at := range p.tables() {
		tables[c] = make([]byte, p.table())
		if err := readFull(object, tables[c], at); err != nil {
			return nil, 0, err
		}
	}
	good = make([]bool, p.shards())
	for i := range good {
		sum, err := p.sum(object, i)
		if err != nil {
			return nil, 0, err
		}
		for _, table := range tables {
			good[i] = good[i] || subtle.ConstantTimeCompare(sum, table[i*paritySum:][:paritySum]) == 1
		}
		if !good[i] {
			damaged++
		}
	}
	return good, damaged, nil
}

// sum is the first half of H of the bytes of shard i that stand in the object, without the zeros that fill it.
func (p parityShape) sum(from io.ReaderAt, i int) ([]byte, error) {
	offset, length := p.at(i)
	h := blake3.New()
	if n, err := io.Copy(h, io.NewSectionReader(from, offset, length)); err != nil || n != length {
		return nil, fmt.Errorf("reading shard %d: %w", i, errors.Join(err, short(n, length)))
	}
	return h.Sum(nil)[:paritySum], nil
}

func readFull(from io.ReaderAt, b []byte, at int64) error {
	n, err := from.ReadAt(b, at)
	if n == len(b) {
		return nil // at the end of the object a reader may say io.EOF as well
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), at, errors.Join(err, short(int64(n), int64(len(b)))))
}

func short(n, want int64) error {
	if n == want {
		return nil
	}
	return io.ErrUnexpectedEOF
}
