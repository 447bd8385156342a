package upkeep

import (
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// afterGap names the segments of a journal, after one that cannot be read, that
// cannot be read either: what stands there still serves who restores.
func (c *check) afterGap(id seal.ID, first, last uint64) error {
	card, err := c.Vault.ReadCard(c.ctx, id)
	if err != nil {
		return nil // it is the gap, and reported
	}
	for seq := first; seq <= last; seq++ {
		name := vault.SegmentName(id, seq)
		c.count(name, func(*Report) {})
		_, err := c.Vault.ReadSegment(c.ctx, card, seq)
		if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			err = fmt.Errorf("%s: %w: %w", name, ErrMissing, vault.ErrDamaged)
		}
		if err := c.found(name, err); err != nil {
			return err
		}
	}
	return nil
}
