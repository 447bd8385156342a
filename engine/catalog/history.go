package catalog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"holm.example/engine/seal"
)

// Now is after every position: what is there now has no other end.
const Now = ^Position(0)

// Version is an entry of a directory as it was from one position on, and until
// before another.
type Version struct {
	Entry
	From, Until Position
}

// History calls f for everything that a directory has held after a position,
// in the order of names and, of one name, of time, and ends with f's first
// error. f may use the catalog. Memory grows with what one directory no longer
// holds.
func (c *Catalog) History(device, dir seal.ID, since Position, f func(Version) error) error {
	type ended struct {
		stored
		until Position
	}
	var past []ended
	err := c.view(func(t *tx) error {
		past = nil
		prefix := join(device[:], dir[:])
		first := binary.BigEndian.AppendUint64(bytes.Clone(prefix), uint64(since)+1)
		return eachFrom(t, bucketPast, prefix, first, func(k []byte, f fields) error {
			one, err := parsePage(f)
			if err != nil || len(one) != 1 || len(k) < 8 {
				return fmt.Errorf("past entry: %w", ErrDamaged)
			}
			past = append(past, ended{one[0], Position(binary.BigEndian.Uint64(k))})
			return nil
		})
	})
	if err != nil {
		return err
	}
	slices.SortFunc(past, func(a, b ended) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.until, b.until))
	})
	give := func(s *stored, until Position) error {
		e, err := s.entry()
		if err != nil {
			return err
		}
		return f(Version{e, Position(s.from), until})
	}
	for after, more := "", true; more; {
		var page []stored
		err := c.view(func(t *tx) (err error) {
			page, more, err = pageAfter(t, device, dir, after)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			after = page[i].name
			for ; len(past) > 0 && past[0].name <= after; past = past[1:] {
				if err := give(&past[0].stored, past[0].until); err != nil {
					return err
				}
			}
			if err := give(&page[i], Now); err != nil {
				return err
			}
		}
	}
	for i := range past {
		if err := give(&past[i].stored, past[i].until); err != nil {
			return err
		}
	}
	return nil
}
