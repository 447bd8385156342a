package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Table is an open table. It is safe for use by several goroutines.
type Table struct {
	r       io.ReaderAt
	size    uint64
	cache   *Cache
	root    span
	levels  int
	entries uint64
}

// span is where a page stands.
type span struct {
	offset uint64
	size   uint32
}

// Open opens a table of that size in bytes. The cache may be shared with other
// tables.
func Open(r io.ReaderAt, size int64, cache *Cache) (*Table, error) {
	t := &Table{r: r, size: uint64(size), cache: cache}
	const fixed = len(magic) + footerSize
	if size < int64(fixed) {
		return nil, fmt.Errorf("%d bytes: %w", size, ErrDamaged)
	}
	head, err := t.read(0, len(magic))
	if err != nil {
		return nil, err
	}
	at := t.size - footerSize
	foot, err := t.read(at, footerSize)
	if err != nil {
		return nil, err
	}
	sum := footerSize - len(endMagic) - crcSize
	if string(head) != magic || string(foot[sum+crcSize:]) != endMagic || checksum(at, foot[:sum]) != binary.LittleEndian.Uint32(foot[sum:]) {
		return nil, fmt.Errorf("head or footer: %w", ErrDamaged)
	}
	t.root = span{binary.LittleEndian.Uint64(foot), binary.LittleEndian.Uint32(foot[8:])}
	t.levels = int(binary.LittleEndian.Uint32(foot[12:]))
	t.entries = binary.LittleEndian.Uint64(foot[16:])
	if t.levels > maxLevels {
		return nil, fmt.Errorf("%d levels: %w", t.levels, ErrDamaged)
	}
	return t, nil
}

// read reads exactly n bytes.
func (t *Table) read(offset uint64, n int) ([]byte, error) {
	if offset > t.size || uint64(n) > t.size-offset {
		return nil, fmt.Errorf("%d bytes at %d of %d: %w", n, offset, t.size, ErrDamaged)
	}
	b := make([]byte, n)
	if _, err := t.r.ReadAt(b, int64(offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading a table: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("reading a table: %w: %w", ErrDamaged, err)
	}
	return b, nil
}

// page is a page that was checked.
type page struct {
	b       []byte // up to the offsets of the entries
	offsets []byte
	filter  span // of level 1: offset, and blocks in place of the size
}

func (p *page) count() int { return len(p.offsets) / 2 }

// entry is the bytes of an entry.
func (p *page) entry(i int) []byte {
	from, to := int(binary.LittleEndian.Uint16(p.offsets[2*i:])), len(p.b)
	if i+1 < p.count() {
		to = int(binary.LittleEndian.Uint16(p.offsets[2*i+2:]))
	}
	return p.b[from:to:to]
}

// key is the key of an entry, and what follows it.
func (p *page) key(i int) (key, rest []byte) {
	e := p.entry(i)
	n, used := binary.Uvarint(e)
	e = e[used:]
	return e[:n:n], e[n:]
}

// child is where the page below an entry stands.
func (p *page) child(i int) (s span) {
	_, rest := p.key(i)
	offset, n := binary.Uvarint(rest)
	size, _ := binary.Uvarint(rest[n:])
	return span{offset, uint32(size)}
}

// search is the first entry whose key is not below key, and whether its key is
// that one.
func (p *page) search(key []byte) (int, bool) {
	low, high := 0, p.count()
	for low < high {
		mid := (low + high) / 2
		k, _ := p.key(mid)
		switch c := bytes.Compare(k, key); {
		case c == 0:
			return mid, true
		case c < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return low, false
}

// load reads a page, from the cache if it is there.
func (t *Table) load(s span, level int) (*page, error) {
	if p := t.cache.get(t, s.offset); p != nil {
		return p, nil
	}
	if s.size < crcSize+2 || s.size > maxPage {
		return nil, fmt.Errorf("page of %d bytes: %w", s.size, ErrDamaged)
	}
	b, err := t.read(s.offset, int(s.size))
	if err != nil {
		return nil, err
	}
	p, ok := parsePage(s.offset, b, level)
	if !ok {
		return nil, fmt.Errorf("page at %d: %w", s.offset, ErrDamaged)
	}
	t.cache.put(t, s.offset, p, len(b))
	return p, nil
}

// parsePage checks a page so far that its accessors cannot fail.
func parsePage(offset uint64, b []byte, level int) (*page, bool) {
	n := len(b) - crcSize
	if n < 2 || checksum(offset, b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, false
	}
	count := int(binary.LittleEndian.Uint16(b[n-2:]))
	body := n - 2 - 2*count
	if body < 0 || count == 0 && level > 0 {
		return nil, false
	}
	p := &page{b: b[:body:body], offsets: b[body : n-2]}
	if level == 1 {
		at, used := binary.Uvarint(p.b)
		if used <= 0 {
			return nil, false
		}
		blocks, more := binary.Uvarint(p.b[used:])
		if more <= 0 || blocks == 0 || blocks > 1<<31 {
			return nil, false
		}
		p.filter = span{at, uint32(blocks)}
	}
	last := 0
	for i := range count {
		from := int(binary.LittleEndian.Uint16(p.offsets[2*i:]))
		if from < last || from > body || i > 0 && from == last {
			return nil, false
		}
		last = from
	}
	for i := range count {
		if !soundEntry(p.entry(i), level) {
			return nil, false
		}
	}
	return p, true
}

func soundEntry(e []byte, level int) bool {
	n, used := binary.Uvarint(e)
	if used <= 0 || n > uint64(len(e)-used) {
		return false
	}
	e = e[used+int(n):]
	if level == 0 {
		return true
	}
	_, used = binary.Uvarint(e)
	if used <= 0 {
		return false
	}
	size, more := binary.Uvarint(e[used:])
	return more > 0 && size <= maxPage && used+more == len(e)
}

// Get returns the value of a key; it is valid as long as the caller likes.
func (t *Table) Get(key []byte) (value []byte, known bool, err error) {
	at := t.root
	for level := t.levels; ; level-- {
		p, err := t.load(at, level)
		if err != nil {
			return nil, false, err
		}
		i, exact := p.search(key)
		if level == 0 {
			if !exact {
				return nil, false, nil
			}
			_, rest := p.key(i)
			return rest, true, nil
		}
		if !exact {
			i--
		}
		if i < 0 {
			return nil, false, nil
		}
		if level == 1 {
			if may, err := t.may(p.filter, key); err != nil || !may {
				return nil, false, err
			}
		}
		at = p.child(i)
	}
}

// may reports whether a filter has a key, or seems to.
func (t *Table) may(filter span, key []byte) (bool, error) {
	h := hash(key)
	n := blockOf(h, int(filter.size))
	at := filter.offset + uint64(n*blockSize)
	block, err := t.block(filter, n)
	if err != nil {
		return false, err
	}
	if checksum(at, block[:blockSize-crcSize]) != binary.LittleEndian.Uint32(block[blockSize-crcSize:]) {
		return false, fmt.Errorf("filter at %d: %w", at, ErrDamaged)
	}
	for _, bit := range bitsOf(h) {
		if block[bit/8]&(1<<(bit%8)) == 0 {
			return false, nil
		}
	}
	return true, nil
}

// block is a block of a filter. It is read, and kept, together with those
// beside it: keys that are asked for one after the other are most often near
// each other, and so are their filters.
func (t *Table) block(filter span, n int) ([]byte, error) {
	first := n / readBlocks * readBlocks
	at := filter.offset + uint64(first*blockSize)
	p := t.cache.get(t, at)
	if p == nil {
		b, err := t.read(at, min(readBlocks, int(filter.size)-first)*blockSize)
		if err != nil {
			return nil, err
		}
		p = &page{b: b}
		t.cache.put(t, at, p, len(b))
	}
	return p.b[(n-first)*blockSize:][:blockSize], nil
}

// verifyStep is how many entries Verify reads between two looks at its context.
const verifyStep = 1024

// Verify reads the whole table and returns ErrDamaged if anything in it is not
// as it was written, or stands where it would not be found.
func (t *Table) Verify(ctx context.Context) error {
	c := t.Seek(nil)
	var last []byte
	n := uint64(0)
	for ; c.Valid(); c.Next() {
		if n%verifyStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if n > 0 && bytes.Compare(last, c.Key()) >= 0 {
			return fmt.Errorf("keys do not rise: %w", ErrDamaged)
		}
		if _, known, err := t.Get(c.Key()); err != nil || !known {
			return errors.Join(err, fmt.Errorf("key %x is not found: %w", c.Key(), ErrDamaged))
		}
		last = append(last[:0], c.Key()...)
		n++
	}
	if c.Err() == nil && n != t.entries {
		return fmt.Errorf("%d entries, not %d: %w", n, t.entries, ErrDamaged)
	}
	return c.Err()
}
