// Package catalog is the local view of a vault: what every device has said in
// its journal, folded.
//
// It promises that the view is a function of the folded segments alone, by
// the rules of docs/vault-format.md, section 9, whatever the order in which
// journals are folded; that one segment is folded wholly or not at all, also
// over a power cut; and that nothing in it is the only copy of anything: a
// catalog that is missing, damaged, of another vault or of another version is
// set aside and built again from the journals.
//
// It is one ordered map (store.go): sorted tables of engine/table, and over
// them an overlay in a bbolt file. A key begins with a letter (a position is
// seq·2¹⁷ + index, big-endian):
//
//	d  device → card, head
//	s  device ‖ seq → object hash of the segment
//	h  device ‖ other device → seq, hash: heads that a device has said to have folded
//	r  device ‖ source → path, system
//	m  device ‖ mark → position, time, label, sources
//	e  device ‖ directory ‖ first name → a page: entries of now, at most 16 KiB or one entry
//	o  device ‖ directory ‖ position of the end ‖ name → an entry that was
//	g  device ‖ directory ‖ name → id of the directory that was there last
//	w  device ‖ directory → where it is placed, or that it is detached
//	c  chunk id → number of a pack, offset, length
//	x  chunk id ‖ number of another pack that has it → offset, length there
//	p  number → what one needs to read from the pack
//	i  device ‖ seq ‖ random of a pack → number
//	n  'p' or 'c' → how many packs or chunks there are
//
// Every value ends with a checksum of key and value: 4 bytes, CRC-32C,
// big-endian. Nothing is used that it does not confirm.
//
// Memory does not grow with a vault, but for one thing: who reads a directory
// as it was holds what has ended there since that position, for its entries are
// kept by the position of their end, and asked for by name.
package catalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync/atomic"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// version changes whenever the records do, or what this holm can fold.
const version = 7

var (
	// ErrDamaged is returned when the catalog file does not hold what was
	// written. The cure is SetAside, Open and folding again.
	ErrDamaged = errors.New("catalog is damaged")
	// ErrAside comes with ErrDamaged from a catalog of OpenAside.
	ErrAside = errors.New("a catalog to be thrown away")
	// ErrChain is returned by Fold for a segment that does not follow the
	// last one folded.
	ErrChain = errors.New("segment does not follow the one before")
	// ErrWaiting is returned by Fold when an Adopt names a journal that is not
	// folded that far.
	ErrWaiting = errors.New("adopted journal is not folded that far")
)

// A bucket is the letter that its keys begin with.
type bucket byte

const (
	bucketDevices  bucket = 'd'
	bucketSegments bucket = 's'
	bucketClaims   bucket = 'h'
	bucketSources  bucket = 'r'
	bucketMarks    bucket = 'm'
	bucketPages    bucket = 'e'
	bucketPast     bucket = 'o'
	bucketGone     bucket = 'g'
	bucketWhere    bucket = 'w'
	bucketChunks   bucket = 'c'
	bucketOthers   bucket = 'x'
	bucketPacks    bucket = 'p'
	bucketPackIDs  bucket = 'i'
	bucketCounts   bucket = 'n'
)

// Catalog is an open catalog. It is safe for use by several goroutines.
type Catalog struct {
	*store
	avoided atomic.Pointer[map[uint64]struct{}] // numbers of packs; see Avoid
	beside  *Catalog                            // see Beside
	pages   atomic.Int64                        // see Pages
}

// Open opens the catalog of a vault in a directory, or makes an empty one. One
// that cannot be used is set aside first, and note is told so in one line.
func Open(path string, id seal.Hash, note func(format string, args ...any)) (*Catalog, error) {
	c, err := open(path, id)
	if !errors.Is(err, ErrDamaged) {
		return c, err
	}
	note("the catalog %s cannot be used (%v); it is set aside and built again from the vault", path, err)
	if err := SetAside(path); err != nil {
		return nil, err
	}
	return open(path, id)
}

// OpenAside makes an empty catalog in a directory that is to be thrown away.
func OpenAside(path string, id seal.Hash) (*Catalog, error) {
	c, err := open(path, id)
	if err != nil {
		return nil, asideError(err)
	}
	c.aside = true
	return c, nil
}

// asideError tells damage of a catalog of OpenAside from that of another.
func asideError(err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAside, err)
}

// SetAside renames a catalog that cannot be used, so that Open makes a new
// one. The last one set aside is kept for who wants to look.
func SetAside(path string) error {
	aside := path + ".damaged"
	err := os.RemoveAll(aside)
	if err == nil {
		err = durable.Rename(path, aside)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("setting the catalog aside: %w", err)
	}
	return nil
}

func open(path string, id seal.Hash) (*Catalog, error) {
	s, err := openStore(path, append(binary.BigEndian.AppendUint32(nil, version), id[:]...))
	if err != nil {
		return nil, err
	}
	return &Catalog{store: s}, nil
}

// SpillAt makes the catalog write a table once its overlay has that many bytes,
// in place of its own bound. It comes before the first use.
func (c *Catalog) SpillAt(bytes int) { c.maxOverlayBytes = bytes }

// Close closes the catalog.
func (c *Catalog) Close() error { return c.close() }

// full is the key in the store of a key in a bucket.
func (b bucket) full(key []byte) []byte { return append([]byte{byte(b)}, key...) }

// get reads a value.
func get(t *tx, b bucket, key []byte) (f fields, known bool) {
	var room [128]byte
	full := append(append(room[:0], byte(b)), key...)
	v, known := t.lookup(full)
	if !known {
		return f, false
	}
	return checked(full, v), true
}

// put sets a value. The error is the first one of the transaction.
func put(t *tx, b bucket, key, value []byte) error {
	full := b.full(key)
	t.set(full, binary.BigEndian.AppendUint32(value[:len(value):len(value)], checksum(full, value)))
	return t.err
}

// count adds to a count and returns it.
func count(t *tx, what byte, more uint64) (uint64, error) {
	f, known := get(t, bucketCounts, []byte{what})
	n := f.uv()
	if !known {
		n, f = 0, fields{}
	}
	if err := f.end("count"); err != nil {
		return 0, err
	}
	n += more
	if more > 0 {
		return n, put(t, bucketCounts, []byte{what}, binary.AppendUvarint(nil, n))
	}
	return n, nil
}

const checksumSize = 4

func checksum(key, value []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, t), t, value)
}

// checked gives the fields of a value as it is stored; they are bad if it is
// not what was put under that key.
func checked(key, value []byte) fields {
	n := len(value) - checksumSize
	if n < 0 || binary.BigEndian.Uint32(value[n:]) != checksum(key, value[:n]) {
		return fields{bad: true}
	}
	return fields{b: value[:n:n]}
}

// each calls f for the keys of a bucket that begin with prefix, without it. f
// must not change the store.
func each(t *tx, b bucket, prefix []byte, f func(k []byte, v fields) error) error {
	return eachFrom(t, b, prefix, prefix, f)
}

// eachFrom is each, from the key from on.
func eachFrom(t *tx, b bucket, prefix, from []byte, f func(k []byte, v fields) error) error {
	full := b.full(prefix)
	c := t.seek(b.full(from))
	for ; c.valid() && bytes.HasPrefix(c.key(), full); c.next() {
		if err := f(c.key()[len(full):], checked(c.key(), c.value())); err != nil {
			return err
		}
	}
	return nil
}

// join joins the parts of a key.
func join(parts ...[]byte) []byte {
	var key []byte
	for _, p := range parts {
		key = append(key, p...)
	}
	return key
}

// Verify reads the whole catalog: it returns ErrDamaged if a record is not
// what was put, or would not be found under its key.
func (c *Catalog) Verify(ctx context.Context) error {
	return c.view(func(t *tx) error {
		for _, d := range c.tables {
			if err := d.Verify(ctx); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				return tableError(err)
			}
		}
		for all := t.seek(nil); all.valid(); all.next() {
			if checked(all.key(), all.value()).bad {
				return fmt.Errorf("record %x: %w", all.key(), ErrDamaged)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// fields reads values off a record of ours; a record that ends too early sets
// bad instead of panicking.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) raw(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) uv() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) bytes() []byte {
	n := f.uv()
	if n > uint64(len(f.b)) {
		f.bad, f.b = true, nil
		return nil
	}
	return f.raw(int(n))
}

func (f *fields) id() (v seal.ID)     { copy(v[:], f.raw(len(v))); return v }
func (f *fields) hash() (v seal.Hash) { copy(v[:], f.raw(len(v))); return v }

func (f *fields) time() vault.Time {
	zigzag := f.uv()
	return vault.Time{Seconds: int64(zigzag>>1) ^ -int64(zigzag&1), Nanoseconds: uint32(f.uv())}
}

func (f *fields) end(what string) error {
	if f.bad || len(f.b) != 0 {
		return fmt.Errorf("%s: %w", what, ErrDamaged)
	}
	return nil
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
