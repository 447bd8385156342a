package catalog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/tidwall/btree"

	"holm.example/engine/table"
	"holm.example/internal/durable"
)

// tx is a look at the store, with the changes that an update has made so far.
// An error of a table is kept in err and ends the view or update; until then
// the key in question seems not to be there.
type tx struct {
	s          *store
	delta      *memory // nil in a view
	deltaBytes int
	// early are tables of what an update has changed and memory should not
	// hold, the newest first. No commit names them.
	early []*diskTable
	err   error
}

// fail keeps the first error.
func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = tableError(err)
	}
}

// lookup returns the value of a key.
func (t *tx) lookup(key []byte) (value []byte, known bool) {
	if t.delta != nil {
		if i, ok := t.delta.Get(item{key: key}); ok {
			return i.value, true
		}
		if value, known = t.within(t.early, key); known || t.err != nil {
			return value, known
		}
	}
	if i, ok := t.s.overlay.Get(item{key: key}); ok {
		return i.value, true
	}
	return t.within(t.s.tables, key)
}

// within returns the value that the first of the tables has.
func (t *tx) within(tables []*diskTable, key []byte) (value []byte, known bool) {
	for _, d := range tables {
		value, known, err := d.Get(key)
		if err != nil {
			t.fail(err)
			return nil, false
		}
		if known {
			return value, true
		}
	}
	return nil, false
}

// set sets the value of a key; both are kept as they are.
func (t *tx) set(key, value []byte) {
	if old, replaced := t.delta.Set(item{key, value}); replaced {
		t.deltaBytes -= len(old.key) + len(old.value)
	}
	t.deltaBytes += len(key) + len(value)
	if t.deltaBytes > t.s.maxDeltaBytes && t.err == nil {
		t.err = t.unload()
	}
}

// unload writes what the update has changed so far into a table of its own,
// together with the tables it has made that are not at least twice as large.
func (t *tx) unload() error {
	size, merged := int64(t.deltaBytes), 0
	c := &cursor{t: t, runs: []run{runOf(t.delta, nil)}}
	for _, old := range t.early {
		if old.size > 2*size {
			break
		}
		size += old.size
		merged++
		c.runs = append(c.runs, old.Seek(nil))
	}
	t.s.next++
	d, err := t.s.writeTable(t.s.next, c)
	if err != nil {
		return err
	}
	t.s.drop(t.early[:merged])
	t.early = append([]*diskTable{d}, t.early[merged:]...)
	t.delta, t.deltaBytes = newMemory(), 0
	return nil
}

// size is how many bytes the update has changed.
func (t *tx) size() int64 {
	n := int64(t.deltaBytes)
	for _, d := range t.early {
		n += d.size
	}
	return n
}

// floor returns the item with the greatest key that is not above key.
func (t *tx) floor(key []byte) (found item, ok bool) {
	memory := func(m *memory) {
		m.Descend(item{key: key}, func(i item) bool {
			if !ok || bytes.Compare(found.key, i.key) < 0 {
				found, ok = i, true
			}
			return false
		})
	}
	tables := func(list []*diskTable) {
		for _, d := range list {
			c := d.Floor(key)
			if c.Err() != nil {
				t.fail(c.Err())
			} else if c.Valid() && (!ok || bytes.Compare(found.key, c.Key()) < 0) {
				found, ok = item{c.Key(), c.Value()}, true
			}
		}
	}
	if t.delta != nil {
		memory(t.delta)
		tables(t.early)
	}
	memory(t.s.overlay)
	tables(t.s.tables)
	if t.err != nil {
		return item{}, false
	}
	return found, ok
}

// run is items in the order of their keys.
type run interface {
	Valid() bool
	Key() []byte
	Value() []byte
	Next()
	Err() error
}

// memoryRun is the run of a memory.
type memoryRun struct {
	iter  btree.IterG[item]
	valid bool
}

func (m *memoryRun) Valid() bool   { return m.valid }
func (m *memoryRun) Key() []byte   { return m.iter.Item().key }
func (m *memoryRun) Value() []byte { return m.iter.Item().value }
func (m *memoryRun) Next()         { m.valid = m.iter.Next() }
func (m *memoryRun) Err() error    { return nil }

// cursor is the run of several runs together, of which the first ones count
// where they have the same key.
type cursor struct {
	t    *tx
	runs []run
	at   int // the run that has the item; -1: none
}

func runOf(m *memory, key []byte) *memoryRun {
	r := &memoryRun{iter: m.Iter()}
	r.valid = r.iter.Seek(item{key: key})
	return r
}

// seek returns a cursor at the first item whose key is not below key. The
// store must not be changed while it is used.
func (t *tx) seek(key []byte) *cursor { return t.seekIn(t.s.tables, key) }

// seekIn is seek over everything but the tables that are not given.
func (t *tx) seekIn(tables []*diskTable, key []byte) *cursor {
	c := &cursor{t: t}
	if t.delta != nil {
		c.runs = append(c.runs, runOf(t.delta, key))
	}
	for _, d := range t.early {
		c.runs = append(c.runs, d.Seek(key))
	}
	c.runs = append(c.runs, runOf(t.s.overlay, key))
	for _, d := range tables {
		c.runs = append(c.runs, d.Seek(key))
	}
	c.choose()
	return c
}

func (c *cursor) choose() {
	c.at = -1
	for i, r := range c.runs {
		if r.Err() != nil {
			c.t.fail(r.Err())
			c.at = -1
			return
		}
		if r.Valid() && (c.at < 0 || bytes.Compare(r.Key(), c.runs[c.at].Key()) < 0) {
			c.at = i
		}
	}
}

func (c *cursor) valid() bool   { return c.at >= 0 }
func (c *cursor) key() []byte   { return c.runs[c.at].Key() }
func (c *cursor) value() []byte { return c.runs[c.at].Value() }

func (c *cursor) next() {
	key := c.key()
	for i, r := range c.runs {
		if i != c.at && r.Valid() && bytes.Equal(r.Key(), key) {
			r.Next()
		}
	}
	c.runs[c.at].Next()
	c.choose()
}

// writeTable makes a table of what a cursor gives, durable but not yet named
// by a commit.
func (s *store) writeTable(number uint64, c *cursor) (_ *diskTable, err error) {
	f, err := os.OpenFile(tablePath(s.dir, number), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making a table of the catalog: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("making a table of the catalog: %w", err), f.Close(), os.Remove(f.Name()))
		}
	}()
	buffered := bufio.NewWriterSize(f, 64<<10)
	w := table.NewWriter(buffered)
	for c.choose(); c.valid(); c.next() {
		if err := w.Add(c.key(), c.value()); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(c.t.err, w.Finish(), buffered.Flush(), f.Sync(), durable.SyncDir(s.dir)); err != nil {
		return nil, err
	}
	t, err := table.Open(f, w.SizeBytes(), s.cache)
	if err != nil {
		return nil, tableError(err)
	}
	return &diskTable{t, f, number, w.SizeBytes()}, nil
}
