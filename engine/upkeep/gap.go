package upkeep

import (
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// afterGap names the segments of a journal, after one that cannot be read, that
// cannot be read either: what stands there still serves who restores. It goes
// by what is listed: the number of a name says nothing about how many there
// are.
func (c *check) afterGap(id seal.ID, next uint64) error {
	card, err := c.Vault.ReadCard(c.ctx, id)
	if errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer) || errors.Is(err, vault.ErrForeign) {
		return nil // it is the gap, and reported
	}
	if err != nil {
		return err
	}
	for o, err := range c.Vault.Store.List(c.ctx, vault.JournalPrefix(id)) {
		if err != nil {
			return fmt.Errorf("listing the journal: %w", err)
		}
		_, seq, err := vault.ParseSegmentName(o.Name)
		if err != nil || seq < next {
			continue
		}
		c.count(o.Name, func(*Report) {})
		if err := c.missing(id, next, seq); err != nil {
			return err
		}
		_, err = c.Vault.ReadSegment(c.ctx, card, seq)
		if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			err = fmt.Errorf("%s: %w: %w", o.Name, ErrMissing, vault.ErrDamaged)
		}
		if err := c.found(o.Name, err); err != nil {
			return err
		}
		next = seq + 1
	}
	return nil
}

// missing reports the segments from one to before another as missing.
func (c *check) missing(id seal.ID, from, to uint64) error {
	if from >= to {
		return nil
	}
	name, more := vault.SegmentName(id, from), ""
	if n := to - from - 1; n > 0 {
		more = fmt.Sprintf(", and %d after it", n)
	}
	return c.found(name, fmt.Errorf("%s: %w%s: %w", name, ErrMissing, more, vault.ErrDamaged))
}
