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
// Buckets of the bbolt file (a position is seq·2¹⁷ + index, big-endian):
//
//	meta     version, vault id
//	devices  device → card, head, why its fold stopped
//	segments device ‖ seq → object hash
//	claims   device ‖ other device → seq, hash: heads that a device has said to have folded
//	sources  device ‖ source → path, system
//	marks    device ‖ mark → position, time, label, sources
//	pages    device ‖ directory ‖ first name → entries of now, at most 16 KiB or one entry
//	past     device ‖ directory ‖ position of the end ‖ name → an entry that was
//	gone     device ‖ directory ‖ name → id of the directory that was there last
//	where    device ‖ directory → where it is placed, or that it is detached
//	chunks   chunk id → number of a pack, offset, length
//	packs    number → what one needs to read from the pack
//	packids  device ‖ seq ‖ random → number
//
// Every value but that of meta ends with a checksum of key and value: 4 bytes,
// CRC-32C, big-endian. Nothing is used that it does not confirm.
package catalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// version changes whenever the buckets do, or what this holm can fold.
const version = 3

var (
	// ErrDamaged is returned when the catalog file does not hold what was
	// written. The cure is SetAside, Open and folding again.
	ErrDamaged = errors.New("catalog is damaged")
	// ErrChain is returned by Fold for a segment that does not follow the
	// last one folded.
	ErrChain = errors.New("segment does not follow the one before")
	// ErrWaiting is returned by Fold when an Adopt names a journal that is not
	// folded that far.
	ErrWaiting = errors.New("adopted journal is not folded that far")
)

// The names of the buckets.
const (
	bucketMeta     = "meta"
	bucketDevices  = "devices"
	bucketSegments = "segments"
	bucketClaims   = "claims"
	bucketSources  = "sources"
	bucketMarks    = "marks"
	bucketPages    = "pages"
	bucketPast     = "past"
	bucketGone     = "gone"
	bucketWhere    = "where"
	bucketChunks   = "chunks"
	bucketPacks    = "packs"
	bucketPackIDs  = "packids"
)

func buckets() []string {
	return []string{bucketMeta, bucketDevices, bucketSegments, bucketClaims, bucketSources, bucketMarks, bucketPages,
		bucketPast, bucketGone, bucketWhere, bucketChunks, bucketPacks, bucketPackIDs}
}

// Catalog is an open catalog. It is safe for use by several goroutines.
type Catalog struct {
	db *bbolt.DB
}

// Open opens the catalog of a vault, or makes an empty one. One that cannot
// be used is set aside first, and note is told so in one line.
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

// SetAside renames a catalog that cannot be used, so that Open makes a new
// one. The last one set aside is kept for who wants to look.
func SetAside(path string) error {
	err := durable.Rename(path, path+".damaged")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("setting the catalog aside: %w", err)
	}
	return nil
}

func open(path string, id seal.Hash) (c *Catalog, err error) {
	c = &Catalog{}
	err = guard(func() error {
		c.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
		return err
	})
	if err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) || errors.Is(err, bolterrors.ErrTimeout) {
			return nil, fmt.Errorf("opening the catalog: %w", err)
		}
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := c.update(func(tx *bbolt.Tx) error { return prepare(tx, id) }); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare makes the buckets of a new catalog, or checks those of an old one.
func prepare(tx *bbolt.Tx, id seal.Hash) error {
	want := append(binary.BigEndian.AppendUint32(nil, version), id[:]...)
	meta := tx.Bucket([]byte(bucketMeta))
	if meta != nil {
		if string(meta.Get([]byte("of"))) != string(want) {
			return fmt.Errorf("of another vault or version: %w", ErrDamaged)
		}
	}
	for _, name := range buckets() {
		if meta != nil && tx.Bucket([]byte(name)) == nil {
			return fmt.Errorf("bucket %s is missing: %w", name, ErrDamaged)
		}
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte("of"), want)
}

// Close closes the catalog.
func (c *Catalog) Close() error {
	if c.db == nil {
		return nil
	}
	return guard(c.db.Close)
}

// guard turns what bbolt does when its file is damaged, panics and faults of
// the memory map, into ErrDamaged.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

func (c *Catalog) view(f func(tx *bbolt.Tx) error) error {
	return guard(func() error { return c.db.View(f) })
}

func (c *Catalog) update(f func(tx *bbolt.Tx) error) error {
	return guard(func() error { return c.db.Update(f) })
}

// get reads a value; it is valid until the transaction ends.
func get(tx *bbolt.Tx, bucket string, key []byte) (f fields, known bool) {
	v := tx.Bucket([]byte(bucket)).Get(key)
	if v == nil {
		return f, false
	}
	return checked(key, v), true
}

func put(tx *bbolt.Tx, bucket string, key, value []byte) error {
	value = binary.BigEndian.AppendUint32(value[:len(value):len(value)], checksum(key, value))
	return tx.Bucket([]byte(bucket)).Put(key, value)
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
	return c.view(func(tx *bbolt.Tx) error {
		for _, name := range buckets() {
			if name == bucketMeta {
				continue // compared by Open
			}
			b := tx.Bucket([]byte(name))
			var last []byte
			err := b.ForEach(func(k, v []byte) error {
				if last != nil && bytes.Compare(last, k) >= 0 || checked(k, v).bad || b.Get(k) == nil {
					return fmt.Errorf("bucket %s: %w", name, ErrDamaged)
				}
				last = k
				return ctx.Err()
			})
			if err != nil {
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
