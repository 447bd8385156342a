package catalog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// Entry is an entry of a directory.
type Entry struct {
	Name string
	vault.Node
}

// Source is a source of a device.
type Source struct {
	ID     seal.ID // also a directory that holds the one entry
	Path   string
	System string
}

// Mark is a mark in a device's journal: a snapshot.
type Mark struct {
	Device seal.ID
	At     Position
	vault.Mark
}

// LostAndFound is the directory of what has no known parent.
func LostAndFound() seal.ID { return lostAndFound }

func parseSource(f fields) (from Position, path, system string, err error) {
	from, path, system = Position(f.uv()), string(f.bytes()), string(f.bytes())
	return from, path, system, f.end("source")
}

// Sources lists the sources of a device.
func (c *Catalog) Sources(device seal.ID) (list []Source, err error) {
	err = c.view(func(t *tx) error {
		list = nil
		return each(t, bucketSources, device[:], func(k []byte, f fields) error {
			_, path, system, err := parseSource(f)
			list = append(list, Source{seal.ID(k), path, system})
			return err
		})
	})
	return list, err
}

// SortMarks puts marks into the order of time, but those of one device into
// that of its journal: clocks are set back. A mark counts as no older than any
// that its device has made before it.
func SortMarks(list []Mark) []Mark {
	byPosition := func(a, b Mark) int {
		return cmp.Or(bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.At, b.At))
	}
	slices.SortFunc(list, byPosition)
	type ranked struct {
		Mark
		latest vault.Time
	}
	var all []ranked
	for i, m := range list {
		r := ranked{m, m.Time}
		if i > 0 && all[i-1].Device == m.Device && m.Time.Before(all[i-1].latest) {
			r.latest = all[i-1].latest
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		switch {
		case a.latest.Before(b.latest):
			return -1
		case b.latest.Before(a.latest):
			return 1
		}
		return 0
	})
	for i := range all {
		list[i] = all[i].Mark
	}
	return list
}

// Marks lists the marks of all devices, the oldest first; those of one device
// in the order of its journal.
func (c *Catalog) Marks() (list []Mark, err error) {
	err = c.view(func(t *tx) error {
		list = nil
		return each(t, bucketMarks, nil, func(k []byte, f fields) error {
			if len(k) != 32 {
				return ErrDamaged
			}
			at := Position(f.uv())
			op, err := vault.ParseOperation(f.b)
			m, ok := op.(*vault.Mark)
			if err != nil || !ok {
				return fmt.Errorf("mark: %w", ErrDamaged)
			}
			list = append(list, Mark{seal.ID(k[:16]), at, *m})
			return nil
		})
	})
	return SortMarks(list), err
}

// Page returns the entries of a directory now, from the first name after
// after on, one page of them, and whether there may be more.
func (c *Catalog) Page(device, dir seal.ID, after string) (list []Entry, more bool, err error) {
	c.pages.Add(1)
	var page []stored
	err = c.view(func(t *tx) (err error) {
		page, more, err = pageAfter(t, device, dir, after)
		return err
	})
	list = make([]Entry, len(page))
	for i := range page {
		if err == nil {
			list[i], err = page[i].entry()
		}
	}
	return list, more, err
}

// Pages tells how often Page was asked: what a run costs of look-ups.
func (c *Catalog) Pages() int64 { return c.pages.Load() }

func (s *stored) entry() (Entry, error) {
	n, err := vault.ParseNode(s.node)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return Entry{s.name, n}, nil
}

// pageAfter returns what the first page that has names after after holds of
// them, and whether there are pages after it.
func pageAfter(t *tx, device, dir seal.ID, after string) (rest []stored, more bool, err error) {
	prefix := bucketPages.full(join(device[:], dir[:]))
	from := prefix // the first page has the key of the empty name
	if after != "" {
		from = append(slices.Clone(prefix), after...)
		if low, ok := t.floor(from); ok && bytes.HasPrefix(low.key, prefix) {
			from = low.key // it may hold later names
		}
	}
	within := func(c *cursor) bool { return c.valid() && bytes.HasPrefix(c.key(), prefix) }
	c := t.seek(from)
	for len(rest) == 0 && within(c) {
		if rest, err = parsePage(checked(c.key(), c.value())); err != nil {
			return nil, false, err
		}
		for after != "" && len(rest) > 0 && rest[0].name <= after {
			rest = rest[1:]
		}
		c.next()
	}
	return rest, within(c), t.err
}

// pastAt returns the entries that were in a directory at a position and no
// longer are, in the order of their names: all of them at once, for their keys
// are in the order of their ends.
func pastAt(t *tx, device, dir seal.ID, at Position) ([]stored, error) {
	prefix := join(device[:], dir[:])
	var list []stored
	first := append(slices.Clone(prefix), binary.BigEndian.AppendUint64(nil, uint64(at)+1)...)
	err := eachFrom(t, bucketPast, prefix, first, func(_ []byte, f fields) error {
		one, err := parsePage(f)
		if err != nil || len(one) != 1 {
			return fmt.Errorf("past entry: %w", ErrDamaged)
		}
		if Position(one[0].from) <= at {
			list = append(list, one[0])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b stored) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// walkAt calls f for the entries that a directory had at a position, in the
// order of their names. next gives the pages of now.
func walkAt(past []stored, at Position, next func(after string) ([]stored, bool, error), f func(*stored) error) error {
	after := ""
	for more := true; more; {
		var page []stored
		var err error
		page, more, err = next(after)
		if err != nil {
			return err
		}
		for i := range page {
			s := &page[i]
			after = s.name
			for len(past) > 0 && past[0].name < s.name {
				if err := f(&past[0]); err != nil {
					return err
				}
				past = past[1:]
			}
			if Position(s.from) <= at {
				if err := f(s); err != nil {
					return err
				}
			}
		}
	}
	for i := range past {
		if err := f(&past[i]); err != nil {
			return err
		}
	}
	return nil
}

// eachAt calls f for what a directory held at a position, within a transaction,
// which f may change elsewhere.
func eachAt(t *tx, device, dir seal.ID, at Position, f func(*stored) error) error {
	past, err := pastAt(t, device, dir, at)
	if err != nil {
		return err
	}
	next := func(after string) ([]stored, bool, error) { return pageAfter(t, device, dir, after) }
	return walkAt(past, at, next, f)
}

// Entries calls f for the entries that a directory had at a position, in the
// order of their names, and ends with f's first error. f may use the catalog.
// Memory grows with what the directory no longer holds of that position.
func (c *Catalog) Entries(device, dir seal.ID, at Position, f func(Entry) error) error {
	var past []stored
	err := c.view(func(t *tx) (err error) {
		past, err = pastAt(t, device, dir, at)
		return err
	})
	if err != nil {
		return err
	}
	next := func(after string) (page []stored, more bool, err error) {
		err = c.view(func(t *tx) (err error) {
			page, more, err = pageAfter(t, device, dir, after)
			return err
		})
		return page, more, err
	}
	return walkAt(past, at, next, func(s *stored) error {
		e, err := s.entry()
		if err != nil {
			return err
		}
		return f(e)
	})
}
