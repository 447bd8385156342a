package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Writer makes a table. After an error it refuses further work.
type Writer struct {
	w       io.Writer
	offset  uint64
	entries uint64
	levels  []*builder // 0: leaves
	hashes  []uint64   // of the keys below the open page of level 1
	last    []byte
	err     error
}

// builder is the open page of a level.
type builder struct {
	first   []byte // key
	body    []byte
	offsets []uint16
}

// NewWriter starts a table.
func NewWriter(w io.Writer) *Writer {
	t := &Writer{w: w}
	t.write([]byte(magic))
	return t
}

func (t *Writer) write(b []byte) {
	if t.err != nil {
		return
	}
	_, t.err = t.w.Write(b)
	t.offset += uint64(len(b))
}

// Add adds an entry. Keys are strictly rising.
func (t *Writer) Add(key, value []byte) error {
	if t.err == nil && t.entries > 0 && bytes.Compare(t.last, key) >= 0 {
		t.err = fmt.Errorf("adding %x after %x: keys must rise", key, t.last)
	}
	if t.err != nil {
		return t.err
	}
	t.last = append(t.last[:0], key...)
	t.entries++
	body := binary.AppendUvarint(nil, uint64(len(key)))
	body = append(append(body, key...), value...)
	t.place(0, key, body)
	t.hashes = append(t.hashes, hash(key))
	return t.err
}

// place puts an entry into the open page of a level, which is written first if
// it is full.
func (t *Writer) place(level int, key, body []byte) {
	if level == len(t.levels) {
		t.levels = append(t.levels, &builder{})
	}
	b := t.levels[level]
	if n := len(b.body); n > 0 && n+len(body) > pageTarget {
		t.finish(level)
	}
	if len(b.body) == 0 {
		b.first = append(b.first[:0], key...)
	}
	b.offsets = append(b.offsets, uint16(len(b.body)))
	b.body = append(b.body, body...)
}

// finish writes the open page of a level and names it in the level above.
func (t *Writer) finish(level int) {
	b := t.levels[level]
	offset, size := t.page(level)
	entry := binary.AppendUvarint(nil, uint64(len(b.first)))
	entry = append(entry, b.first...)
	entry = binary.AppendUvarint(entry, offset)
	entry = binary.AppendUvarint(entry, size)
	t.place(level+1, b.first, entry)
	b.body, b.offsets = b.body[:0], b.offsets[:0]
}

// page writes the open page of a level, of level 1 with the filter.
func (t *Writer) page(level int) (offset, size uint64) {
	b := t.levels[level]
	var head []byte
	if level == 1 {
		at, blocks := t.filter()
		head = binary.AppendUvarint(binary.AppendUvarint(nil, at), uint64(blocks))
	}
	offset = t.offset
	page := append(head, b.body...)
	for _, o := range b.offsets {
		page = binary.LittleEndian.AppendUint16(page, o+uint16(len(head)))
	}
	page = binary.LittleEndian.AppendUint16(page, uint16(len(b.offsets)))
	page = binary.LittleEndian.AppendUint32(page, checksum(offset, page))
	t.write(page)
	return offset, uint64(len(page))
}

// filter writes the filter of the keys below the open page of level 1. The
// keys of a leaf that is still open may be among them: a bit too many does no
// harm, and they stand in the next filter too.
func (t *Writer) filter() (offset uint64, blocks int) {
	offset = t.offset
	blocks = len(t.hashes)/keysPerBlock + 1
	all := make([]byte, blocks*blockSize)
	for _, h := range t.hashes {
		block := all[blockOf(h, blocks)*blockSize:]
		for _, bit := range bitsOf(h) {
			block[bit/8] |= 1 << (bit % 8)
		}
	}
	for i := range blocks {
		block := all[i*blockSize : (i+1)*blockSize]
		at := offset + uint64(i*blockSize)
		binary.LittleEndian.PutUint32(block[blockSize-crcSize:], checksum(at, block[:blockSize-crcSize]))
	}
	t.write(all)
	keep := len(t.levels[0].offsets)
	t.hashes = append(t.hashes[:0], t.hashes[len(t.hashes)-keep:]...)
	return offset, blocks
}

// Finish writes what is left and ends the table. It does not sync or close.
func (t *Writer) Finish() error {
	if t.err == nil && len(t.levels) == 0 {
		t.levels = append(t.levels, &builder{})
	}
	top := 0
	for t.err == nil && top < len(t.levels)-1 {
		t.finish(top)
		top++
	}
	if t.err != nil {
		return t.err
	}
	offset, size := t.page(top)
	foot := binary.LittleEndian.AppendUint64(nil, offset)
	foot = binary.LittleEndian.AppendUint32(foot, uint32(size))
	foot = binary.LittleEndian.AppendUint32(foot, uint32(top))
	foot = binary.LittleEndian.AppendUint64(foot, t.entries)
	foot = append(foot, 0, 0, 0, 0)
	foot = binary.LittleEndian.AppendUint32(foot, checksum(t.offset, foot))
	t.write(append(foot, endMagic...))
	if t.err != nil {
		return t.err
	}
	t.err = io.ErrClosedPipe
	return nil
}

// SizeBytes is the size of the table so far.
func (t *Writer) SizeBytes() int64 { return int64(t.offset) }
