package vault

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/klauspost/reedsolomon"
	"github.com/zeebo/blake3"

	"holm.example/engine/storage"
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

// losses are how much of an object is not as it was.
type losses struct {
	shards int   // that are damaged or were not read, parity shards included
	unread error // why something was not read, where that proves no damage
}

// repair finds the damaged shards of an object whose body has that shape, whatever became of its size, and writes the bytes of the body that they held,
// made good, into to, at their offsets; to may be a copy of the object. A shard that was not read is made good too, but proves nothing. The tail is not
// authenticated: what was repaired must be verified like anything else that was read. ErrBeyondParity says that too much is damaged; if that is not
// known, because too much was not read, the error is that of the reading. to is untouched then. It holds five shards in memory.
func (p parityShape) repair(object io.ReaderAt, to io.WriterAt) (lost losses, err error) {
	code, err := p.code()
	if err != nil {
		return lost, err
	}
	known, unread := p.readTables(object)
	if notOfPart(unread) || unread != nil && known[0] == nil && known[1] == nil {
		return lost, unread
	}
	lost.unread = unread
	good, rest, err := p.remainder(object, known, code, &lost)
	if err != nil {
		return lost, err
	}
	if lost.shards > parityShards {
		return lost, fmt.Errorf("%w: %d of %d shards", ErrBeyondParity, lost.shards, p.shards())
	}
	if !slices.Contains(good[:p.data], false) {
		return lost, nil
	}
	// The code is linear: the parity of the body without its good shards is that of the damaged ones among zeros.
	shards, zeros := rest, make([]byte, p.shard)
	for i := range p.data {
		if good[i] {
			shards[i] = zeros
		}
	}
	if err := code.ReconstructData(shards); err != nil {
		return lost, fmt.Errorf("repairing from parity: %w", err)
	}
	for i := range p.data {
		if _, length := p.at(i); !good[i] && !known.has(i, shards[i][:length]) {
			return lost, cmp.Or(lost.unread, fmt.Errorf("%w: shard %d comes out as another", ErrBeyondParity, i))
		}
	}
	for i := range p.data {
		if start, length := p.at(i); !good[i] {
			if _, err := to.WriteAt(shards[i][:length], start); err != nil {
				return lost, fmt.Errorf("writing what parity repaired: %w", err)
			}
		}
	}
	return lost, nil
}

// remainder reads every shard once and says which are good. shards has what the good data shards leave of each good parity shard, and else nothing.
func (p parityShape) remainder(object io.ReaderAt, known parityTables, code reedsolomon.Encoder, lost *losses) (good []bool, shards [][]byte, err error) {
	good, shards = make([]bool, p.shards()), make([][]byte, p.shards())
	buffer, sums := make([]byte, p.shard), p.blank()
	for i := range good {
		b, err := p.read(object, i, buffer)
		if notOfPart(err) {
			return nil, nil, err
		}
		if good[i] = err == nil && known.has(i, b); !good[i] {
			lost.shards++
			if err != nil && !partLost(err) {
				lost.unread = cmp.Or(lost.unread, err)
			}
			if lost.unread != nil && lost.shards > parityShards {
				return nil, nil, lost.unread
			}
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
	if err != nil || known[0] == nil || !bytes.Equal(known[0], known[1]) {
		return false, err
	}
	buffer := make([]byte, p.shard)
	for i := p.data; i < p.shards(); i++ {
		b, err := p.read(object, i, buffer)
		if err != nil && !partLost(err) {
			return false, err
		}
		if err != nil || !known.has(i, b) {
			return false, nil
		}
	}
	return true, nil
}

// partLost reports whether an error of reading a part of an object proves that it is lost: the object ends before it, or the disk cannot give it back.
func partLost(err error) bool {
	cut := errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrUnread) // of a reader that is no store
	return cut || errors.Is(err, storage.ErrShort) || errors.Is(err, storage.ErrMedium)
}

// notOfPart reports whether an error of reading a part of an object is that of all its parts.
func notOfPart(err error) bool { return storeGone(err) || errors.Is(err, storage.ErrNotFound) }

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

// readTables reads both. The error is why one was not read, where that does not prove that it is lost.
func (p parityShape) readTables(object io.ReaderAt) (known parityTables, unread error) {
	for c, at := range p.tables() {
		table := make([]byte, p.table())
		err := readFull(object, table, at)
		if err == nil {
			known[c] = table
		} else if !partLost(err) {
			unread = cmp.Or(unread, err)
		}
	}
	return known, unread
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
	if err == nil || err == io.EOF { // itself: one that a store gives proves nothing
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), at, err)
}
