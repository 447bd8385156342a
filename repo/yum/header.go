package yum

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of an RPM header. rpm itself allows 64 Ki entries and 256 MiB.
const (
	maxEntries    = 1 << 14
	maxHeaderData = 8 << 20  // bytes
	maxValues     = maxFiles // of one tag that is unpacked: a file has one in each
)

// Types of an entry.
const (
	typeChar        = 1
	typeInt8        = 2
	typeInt16       = 3
	typeInt32       = 4
	typeInt64       = 5
	typeString      = 6
	typeBinary      = 7
	typeStringArray = 8
	typeI18NString  = 9
)

// A header is one header structure of an RPM: a table of tags and a store of
// values. Every entry has been checked to lie within the store.
type header struct {
	raw     []byte // the whole structure: intro, table, store; what a header signature covers
	entries map[uint32]entry
}

type entry struct {
	kind, count uint32
	data        []byte
}

// readHeader reads one header structure. With padded, the zeros that align
// a signature header to eight bytes are read too; they are not part of raw.
func readHeader(r io.Reader, padded bool) (*header, error) {
	intro := make([]byte, 16)
	if _, err := io.ReadFull(r, intro); err != nil {
		return nil, fmt.Errorf("%w: file ends before a header", ErrFormat)
	}
	if binary.BigEndian.Uint32(intro) != 0x8eade801 || binary.BigEndian.Uint32(intro[4:]) != 0 {
		return nil, fmt.Errorf("%w: no header where one belongs", ErrFormat)
	}
	entries, size := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if entries > maxEntries || size > maxHeaderData {
		return nil, fmt.Errorf("%w: header of %d entries and %d bytes", ErrTooLarge, entries, size)
	}
	// Growing with what is really there keeps a short file with a large
	// claim cheap.
	rest, err := io.ReadAll(io.LimitReader(r, int64(entries)*16+int64(size)))
	if err != nil {
		return nil, err
	}
	if int64(len(rest)) < int64(entries)*16+int64(size) {
		return nil, fmt.Errorf("%w: header is cut off", ErrFormat)
	}
	if padded && size%8 != 0 {
		if _, err := io.CopyN(io.Discard, r, int64(8-size%8)); err != nil {
			return nil, fmt.Errorf("%w: file ends after its signature header", ErrFormat)
		}
	}
	h := &header{raw: append(intro, rest...), entries: make(map[uint32]entry, entries)}
	table, store := rest[:entries*16], rest[entries*16:]
	used := 0
	for ; len(table) > 0; table = table[16:] {
		tag := binary.BigEndian.Uint32(table)
		if _, twice := h.entries[tag]; twice {
			return nil, fmt.Errorf("%w: tag %d twice", ErrFormat, tag)
		}
		if h.entries[tag], err = readEntry(table, store); err != nil {
			return nil, fmt.Errorf("reading tag %d: %w", tag, err)
		}
		// Values do not overlap, so a small file cannot ask for much work.
		if used += len(h.entries[tag].data); used > len(store) {
			return nil, fmt.Errorf("%w: values overlap", ErrFormat)
		}
	}
	return h, nil
}

// readEntry cuts one value out of the store: tag, type, offset and count of
// 32 bits each stand in the table.
func readEntry(table, store []byte) (entry, error) {
	e := entry{kind: binary.BigEndian.Uint32(table[4:]), count: binary.BigEndian.Uint32(table[12:])}
	offset := binary.BigEndian.Uint32(table[8:])
	if offset > uint32(len(store)) || e.count > uint32(len(store)) || e.count == 0 {
		return e, fmt.Errorf("%w: %d values at %d", ErrFormat, e.count, offset)
	}
	rest := store[offset:]
	width := 0
	switch e.kind {
	case typeChar, typeInt8, typeBinary:
		width = 1
	case typeInt16:
		width = 2
	case typeInt32:
		width = 4
	case typeInt64:
		width = 8
	case typeString, typeStringArray, typeI18NString:
		n := 0
		for range e.count {
			i := bytes.IndexByte(rest[n:min(len(rest), n+maxString)], 0)
			if i < 0 {
				return e, fmt.Errorf("%w: string without end", ErrFormat)
			}
			n += i + 1
		}
		e.data = rest[:n]
		return e, nil
	default:
		return e, fmt.Errorf("%w: type %d", ErrFormat, e.kind)
	}
	if uint64(e.count)*uint64(width) > uint64(len(rest)) {
		return e, fmt.Errorf("%w: %d values of %d bytes at %d", ErrFormat, e.count, width, offset)
	}
	e.data = rest[:int(e.count)*width]
	return e, nil
}

// strings returns the values of a tag; none if it is missing. Text that
// could not stand in XML 1.0 is refused.
func (h *header) strings(tag uint32) ([]string, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	if e.kind != typeString && e.kind != typeStringArray && e.kind != typeI18NString {
		return nil, fmt.Errorf("%w: tag %d is not text", ErrFormat, tag)
	}
	if e.count > maxValues {
		return nil, fmt.Errorf("%w: %d values of tag %d", ErrTooLarge, e.count, tag)
	}
	values := strings.Split(strings.TrimSuffix(string(e.data), "\x00"), "\x00")
	for _, s := range values {
		if !printable(s) {
			return nil, fmt.Errorf("%w: tag %d holds bytes that are not text", ErrFormat, tag)
		}
	}
	return values, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return r < 0x20 && r != '\n' && r != '\t' && r != '\r' || r == 0xfffe || r == 0xffff
	}) < 0
}

// text returns the only value of a tag, the first of a translated one, and
// "" if it is missing.
func (h *header) text(tag uint32) (string, error) {
	values, err := h.strings(tag)
	if err != nil || len(values) == 0 {
		return "", err
	}
	return values[0], nil
}

// numbers returns the values of an integer tag of any width.
func (h *header) numbers(tag uint32) ([]uint64, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	if e.count > maxValues {
		return nil, fmt.Errorf("%w: %d values of tag %d", ErrTooLarge, e.count, tag)
	}
	values := make([]uint64, e.count)
	for i := range values {
		switch e.kind {
		case typeChar, typeInt8:
			values[i] = uint64(e.data[i])
		case typeInt16:
			values[i] = uint64(binary.BigEndian.Uint16(e.data[2*i:]))
		case typeInt32:
			values[i] = uint64(binary.BigEndian.Uint32(e.data[4*i:]))
		case typeInt64:
			values[i] = binary.BigEndian.Uint64(e.data[8*i:])
		default:
			return nil, fmt.Errorf("%w: tag %d is no number", ErrFormat, tag)
		}
	}
	return values, nil
}

// number returns the only value of the first of the tags that is there, 0 if
// none is.
func (h *header) number(tags ...uint32) (uint64, error) {
	for _, tag := range tags {
		values, err := h.numbers(tag)
		if err != nil {
			return 0, err
		}
		if len(values) > 0 {
			return values[0], nil
		}
	}
	return 0, nil
}

// binary returns the value of a binary tag, nil if it is missing.
func (h *header) binary(tag uint32) []byte {
	if e, ok := h.entries[tag]; ok && e.kind == typeBinary {
		return e.data
	}
	return nil
}
