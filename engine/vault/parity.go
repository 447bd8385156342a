package vault

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/reedsolomon"
	"github.com/zeebo/blake3"
)

const (
	parityData    = 64   // most data shards
	parityShards  = 2    // damaged shards that a tail makes good
	parityLeast   = 1024 // a shard is not smaller, unless the body is
	paritySumSize = 16   // bytes of a shard's hash in the table
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
func (p parityShape) table() int64 { return int64(p.shards()) * paritySumSize }
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

// AppendParity writes the parity tail behind the first body bytes of the spool, in one pass over them. It holds three shards in memory, a twentieth of
// the body.
func AppendParity(spool ReadWriterAt, body int64) error {
	if body < 1 || body > MaxPack {
		return fmt.Errorf("making parity for %d bytes: outside 1 to %d", body, int64(MaxPack))
	}
	p := shapeOf(body)
	code, err := p.code()
	if err != nil {
		return err
	}
	table := make([]byte, 0, p.table())
	buffer, parity := make([]byte, p.shard), p.blank()
	for i := range p.data {
		b, err := p.read(spool, i, buffer)
		if err != nil {
			return err
		}
		table = append(table, paritySum(b)...)
		if err := code.EncodeIdx(p.fill(b), i, parity); err != nil {
			return fmt.Errorf("making parity: %w", err)
		}
	}
	for j, b := range parity {
		table = append(table, paritySum(b)...)
		start, _ := p.at(p.data + j)
		if _, err := spool.WriteAt(b, start); err != nil {
			return fmt.Errorf("writing parity: %w", err)
		}
	}
	for _, at := range p.tables() {
		if _, err := spool.WriteAt(table, at); err != nil {
			return fmt.Errorf("writing the table of parity: %w", err)
		}
	}
	return nil
}

// RepairParity finds the damaged shards of an object of size bytes and writes the bytes of the body that they held, made good, into to, at their
// offsets; to may be a copy of the object. It returns how many shards were damaged, parity shards included; one that cannot be read is damaged. The
// tail is not authenticated: what was repaired must be verified like anything else that was read. ErrBeyondParity says that too much is damaged; to is
// untouched then. It holds five shards in memory.
func RepairParity(object io.ReaderAt, size int64, to io.WriterAt) (damaged int, err error) {
	body, err := ParityBody(size)
	if err != nil {
		return 0, err
	}
	return shapeOf(body).repair(object, to)
}

// repair is RepairParity of an object whose body has that shape, whatever became of its size.
func (p parityShape) repair(object io.ReaderAt, to io.WriterAt) (damaged int, err error) {
	code, err := p.code()
	if err != nil {
		return 0, err
	}
	known, err := p.readTables(object)
	if err != nil {
		return 0, err
	}
	good, rest, err := p.remainder(object, known, code)
	if err != nil {
		return 0, err
	}
	bad := 0 // data shards
	for i, ok := range good {
		if !ok {
			damaged++
			if i < p.data {
				bad++
			}
		}
	}
	if damaged > parityShards {
		return damaged, fmt.Errorf("%w: %d of %d shards", ErrBeyondParity, damaged, p.shards())
	}
	if bad == 0 {
		return damaged, nil
	}
	// The code is linear: the parity of the body without its good shards is that of the damaged ones among zeros.
	shards, zeros := rest, make([]byte, p.shard)
	for i := range p.data {
		if good[i] {
			shards[i] = zeros
		}
	}
	if err := code.ReconstructData(shards); err != nil {
		return damaged, fmt.Errorf("repairing from parity: %w", err)
	}
	for i := range p.data {
		if start, length := p.at(i); !good[i] {
			if !known.has(i, shards[i][:length]) {
				return damaged, fmt.Errorf("%w: shard %d comes out as another", ErrBeyondParity, i)
			}
			if _, err := to.WriteAt(shards[i][:length], start); err != nil {
				return damaged, fmt.Errorf("writing what parity repaired: %w", err)
			}
		}
	}
	return damaged, nil
}

// remainder reads every shard once and says which are good. shards has what the good data shards leave of each good parity shard, and else nothing.
func (p parityShape) remainder(object io.ReaderAt, known parityTables, code reedsolomon.Encoder) (good []bool, shards [][]byte, err error) {
	good, shards = make([]bool, p.shards()), make([][]byte, p.shards())
	buffer, sums := make([]byte, p.shard), p.blank()
	for i := range good {
		b, err := p.read(object, i, buffer)
		if storeGone(err) {
			return nil, nil, err
		}
		if good[i] = err == nil && known.has(i, b); !good[i] {
			continue
		}
		if i < p.data {
			if err := code.EncodeIdx(p.fill(b), i, sums); err != nil {
				return nil, nil, fmt.Errorf("repairing from parity: %w", err)
			}
			continue
		}
		shards[i] = sums[i-p.data]
		subtle.XORBytes(shards[i], shards[i], b)
	}
	return good, shards, nil
}

// tailWhole reports whether the tail of an object is undamaged, as far as it says itself: whether its tables agree with each other and with the parity
// shards. With a body that is verified this finds every changed bit of the object.
func (p parityShape) tailWhole(object io.ReaderAt) (bool, error) {
	known, err := p.readTables(object)
	if err != nil || !bytes.Equal(known[0], known[1]) || known[0] == nil {
		return false, err
	}
	buffer := make([]byte, p.shard)
	for i := p.data; i < p.shards(); i++ {
		b, err := p.read(object, i, buffer)
		if storeGone(err) {
			return false, err
		}
		if err != nil || !known.has(i, b) {
			return false, nil
		}
	}
	return true, nil
}

func (p parityShape) code() (reedsolomon.Encoder, error) {
	code, err := reedsolomon.New(p.data, parityShards, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("making a parity code of %d shards: %w", p.data, err)
	}
	return code, nil
}

// blank is parity of nothing.
func (p parityShape) blank() [][]byte {
	b := make([]byte, parityShards*p.shard)
	return [][]byte{b[:p.shard:p.shard], b[p.shard:]}
}

// read reads the bytes of shard i that stand in the object into a buffer that has room for a whole one.
func (p parityShape) read(from io.ReaderAt, i int, buffer []byte) ([]byte, error) {
	start, length := p.at(i)
	return buffer[:length], readFull(from, buffer[:length], start)
}

// fill appends the zeros that a shard has for the computation.
func (p parityShape) fill(b []byte) []byte {
	whole := b[:p.shard]
	clear(whole[len(b):])
	return whole
}

// parityTables are both copies of the table, nil if one cannot be read.
type parityTables [2][]byte

func (p parityShape) readTables(object io.ReaderAt) (known parityTables, err error) {
	for c, at := range p.tables() {
		table := make([]byte, p.table())
		err := readFull(object, table, at)
		if storeGone(err) {
			return known, err
		}
		if err == nil {
			known[c] = table
		}
	}
	return known, nil
}

// has reports whether one of the copies says that shard i has these bytes.
func (t parityTables) has(i int, shard []byte) bool {
	sum := paritySum(shard)
	for _, table := range t {
		if table != nil && bytes.Equal(sum, table[i*paritySumSize:][:paritySumSize]) {
			return true
		}
	}
	return false
}

// paritySum is the first half of H of a shard, without the zeros that fill it.
func paritySum(shard []byte) []byte {
	sum := blake3.Sum256(shard)
	return sum[:paritySumSize]
}

func readFull(from io.ReaderAt, b []byte, at int64) error {
	n, err := from.ReadAt(b, at)
	if n == len(b) {
		return nil // at the end of the object a reader may say io.EOF as well
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), at, err)
}
