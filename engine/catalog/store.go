package catalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/btree"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"holm.example/engine/table"
)

const (
	// defaultOverlay bounds what an overlay takes in memory to some MiB.
	defaultOverlay = 512 << 10
	// defaultDelta bounds likewise what an update has changed. A segment's
	// stays below it; that of an Adopt can be any size.
	defaultDelta = 8 << 20
	// cacheSize is how many bytes of pages of tables are kept in memory.
	cacheSize = 2 << 20
	overlayDB = "overlay.db"
	tableEnd  = ".table"
)

// The buckets of the overlay file, and the keys of the first.
var (
	metaBucket    = []byte("meta")
	overlayBucket = []byte("overlay")
	keyOf         = []byte("of")
	keyTables     = []byte("tables")
	keyItems      = []byte("items")
)

// item is a key and its value.
type item struct{ key, value []byte }

// memory is items in memory, in the order of their keys.
type memory = btree.BTreeG[item]

func newMemory() *memory {
	return btree.NewBTreeGOptions(func(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 }, btree.Options{NoLocks: true})
}

// store is an ordered map on disk that nothing is ever removed from: sorted
// tables, and over them an overlay of what came since the last table. The
// overlay is in memory as well as in a bbolt file, whose commit is what makes
// an update durable, also one that wrote tables.
type store struct {
	dir             string
	db              *bbolt.DB
	cache           *table.Cache
	maxDeltaBytes   int  // size in bytes from which on what an update changes goes into a table
	maxOverlayBytes int  // size in bytes from which on the overlay goes into a table
	aside           bool // of OpenAside

	writing sync.Mutex // held by an update
	next    uint64     // number of the next table; guarded by writing
	mu      sync.RWMutex
	// Fields below are guarded by mu.
	overlay      *memory
	overlayBytes int
	tables       []*diskTable // the newest first
}

// diskTable is a table in a file of its own.
type diskTable struct {
	*table.Table
	file   *os.File
	number uint64
	size   int64
}

func tablePath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", number, tableEnd))
}

// openStore opens the store in a directory, or makes it. identity is what it
// must have been made with.
func openStore(dir string, identity []byte) (s *store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the catalog: %w", err)
	}
	if err := checkPages(filepath.Join(dir, overlayDB)); err != nil {
		return nil, err
	}
	s = &store{dir: dir, cache: table.NewCache(cacheSize), maxDeltaBytes: defaultDelta, maxOverlayBytes: defaultOverlay, overlay: newMemory()}
	err = guard(func() error {
		s.db, err = bbolt.Open(filepath.Join(dir, overlayDB), 0o600, &bbolt.Options{
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
	if err = guard(func() error { return s.load(identity) }); err == nil {
		err = s.removeStrays()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// load reads the overlay file, and opens the tables that it names.
func (s *store) load(identity []byte) error {
	return s.db.Update(func(btx *bbolt.Tx) error {
		meta := btx.Bucket(metaBucket)
		if meta == nil {
			return create(btx, identity)
		}
		if !bytes.Equal(meta.Get(keyOf), identity) {
			return fmt.Errorf("of another vault or version: %w", ErrDamaged)
		}
		overlay := btx.Bucket(overlayBucket)
		if overlay == nil {
			return fmt.Errorf("bucket overlay is missing: %w", ErrDamaged)
		}
		err := overlay.ForEach(func(k, v []byte) error {
			if checked(k, v).bad {
				return fmt.Errorf("overlay: %w", ErrDamaged)
			}
			s.overlay.Set(item{bytes.Clone(k), bytes.Clone(v)})
			s.overlayBytes += len(k) + len(v)
			return nil
		})
		if err != nil {
			return err
		}
		// A page of bbolt that lost entries still looks whole.
		items := checked(keyItems, meta.Get(keyItems))
		if n := items.uv(); meta.Get(keyItems) != nil && (items.bad || n != uint64(s.overlay.Len())) || meta.Get(keyItems) == nil && s.overlay.Len() > 0 {
			return fmt.Errorf("overlay has %d items: %w", s.overlay.Len(), ErrDamaged)
		}
		return s.openTables(checked(keyTables, meta.Get(keyTables)), meta.Get(keyTables) == nil)
	})
}

// create fills a new overlay file. One that has a bucket already is not new:
// its page of buckets lost the other.
func create(btx *bbolt.Tx, identity []byte) error {
	meta, err := btx.CreateBucket(metaBucket)
	if err == nil {
		_, err = btx.CreateBucket(overlayBucket)
	}
	if errors.Is(err, bolterrors.ErrBucketExists) {
		return fmt.Errorf("bucket meta is missing: %w", ErrDamaged)
	}
	if err != nil {
		return err
	}
	return meta.Put(keyOf, identity)
}

func (s *store) openTables(list fields, none bool) error {
	for !none && !list.bad && len(list.b) > 0 {
		t, err := s.openTable(list.uv(), int64(list.uv()))
		if err != nil {
			return err
		}
		s.tables = append(s.tables, t)
	}
	if !none {
		return list.end("list of tables")
	}
	return nil
}

func (s *store) openTable(number uint64, size int64) (*diskTable, error) {
	f, err := os.Open(tablePath(s.dir, number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("a table is missing: %w", ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the catalog: %w", err)
	}
	t, err := table.Open(f, size, s.cache)
	if err != nil {
		return nil, errors.Join(tableError(err), f.Close())
	}
	return &diskTable{t, f, number, size}, nil
}

// tableError is what an error of a table means here. A disk that cannot read
// back what was written is damage too: the cure is the same.
func tableError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// removeStrays removes tables that no commit names.
func (s *store) removeStrays() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("clearing away tables: %w", err)
	}
	named := map[string]bool{}
	for _, t := range s.tables {
		named[tablePath(s.dir, t.number)] = true
		s.next = max(s.next, t.number)
	}
	for _, e := range entries {
		name := filepath.Join(s.dir, e.Name())
		if named[name] || !strings.HasSuffix(name, tableEnd) {
			continue
		}
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("clearing away a table: %w", err)
		}
	}
	return nil
}

func (s *store) close() error {
	var problems []error
	for _, t := range s.tables {
		problems = append(problems, t.file.Close())
	}
	s.tables = nil
	return s.tell(errors.Join(append(problems, guard(s.db.Close))...))
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

// view reads. f must not call view or update.
func (s *store) view(f func(t *tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := &tx{s: s}
	err := f(t)
	return s.tell(errors.Join(t.err, err))
}

// tell is an error as the catalog gives it.
func (s *store) tell(err error) error {
	if s.aside {
		return asideError(err)
	}
	return err
}

// update reads and writes; with an error nothing is written. f must not call
// view or update.
func (s *store) update(f func(t *tx) error) (err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	defer func() { err = s.tell(err) }()
	t := &tx{s: s, delta: newMemory()}
	defer func() { s.drop(t.early) }()
	if err := f(t); err != nil || t.err != nil {
		return errors.Join(t.err, err)
	}
	if t.delta.Len() == 0 && len(t.early) == 0 {
		return nil
	}
	if len(t.early) > 0 || s.overlayBytes+t.deltaBytes > s.maxOverlayBytes {
		return s.spill(t)
	}
	err = guard(func() error {
		return s.db.Update(func(btx *bbolt.Tx) error {
			b, items := btx.Bucket(overlayBucket), s.overlay.Len()
			var err error
			t.delta.Scan(func(i item) bool {
				if _, there := s.overlay.Get(i); !there {
					items++
				}
				err = b.Put(i.key, i.value)
				return err == nil
			})
			return errors.Join(err, putMeta(btx, keyItems, binary.AppendUvarint(nil, uint64(items))))
		})
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.delta.Scan(func(i item) bool {
		s.overlay.Set(i)
		return true
	})
	s.overlayBytes += t.deltaBytes
	return nil
}

// spill writes an update and the overlay into a new table, together with the
// tables that are not at least twice as large as what is newer: so there are
// few tables, and an item is written again about once each time that their
// size has doubled.
func (s *store) spill(t *tx) error {
	size, merged := int64(s.overlayBytes)+t.size(), 0
	for _, old := range s.tables {
		if old.size > 2*size {
			break
		}
		size += old.size
		merged++
	}
	s.next++ // also after an error: nobody knows what a commit that failed has named
	made, err := s.writeTable(s.next, t.seekIn(s.tables[:merged], nil))
	if err != nil {
		return err
	}
	tables := append([]*diskTable{made}, s.tables[merged:]...)
	if err := s.commitTables(tables); err != nil {
		return errors.Join(err, made.file.Close())
	}
	s.mu.Lock()
	old := s.tables[:merged]
	s.tables, s.overlay, s.overlayBytes = tables, newMemory(), 0
	s.mu.Unlock()
	s.drop(old)
	return nil
}

// drop removes tables that no commit names. What stays behind, the next opening
// clears away.
func (s *store) drop(tables []*diskTable) {
	for _, t := range tables {
		s.cache.Forget(t.Table)
		_ = t.file.Close()
		_ = os.Remove(tablePath(s.dir, t.number))
	}
}

// commitTables makes a list of tables, and an empty overlay, the state.
func (s *store) commitTables(tables []*diskTable) error {
	var list []byte
	for _, t := range tables {
		list = binary.AppendUvarint(binary.AppendUvarint(list, t.number), uint64(t.size))
	}
	return guard(func() error {
		return s.db.Update(func(btx *bbolt.Tx) error {
			if err := btx.DeleteBucket(overlayBucket); err != nil {
				return err
			}
			if _, err := btx.CreateBucket(overlayBucket); err != nil {
				return err
			}
			return errors.Join(putMeta(btx, keyTables, list), putMeta(btx, keyItems, binary.AppendUvarint(nil, 0)))
		})
	})
}

// putMeta sets a value of the first bucket, with its checksum.
func putMeta(btx *bbolt.Tx, key, value []byte) error {
	return btx.Bucket(metaBucket).Put(key, binary.BigEndian.AppendUint32(value, checksum(key, value)))
}
