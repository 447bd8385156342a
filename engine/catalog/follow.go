package catalog

import (
	"context"
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// Follow folds everything that the journals of the vault hold and the catalog
// does not. A journal that cannot be folded further, because it is damaged or
// holds what this version does not know, stops where it is: Device.Stopped
// says why, and the others go on. The error is one of the store or of the
// catalog; the journals' own are in stopped.
func (c *Catalog) Follow(ctx context.Context, v *vault.Vault) (stopped []error, err error) {
	ids, err := v.Devices(ctx)
	if err != nil {
		return nil, err
	}
	waiting := true
	for waiting {
		waiting, stopped = false, nil
		progress := false
		for _, id := range ids {
			folded, err := c.followOne(ctx, v, id)
			progress = progress || folded
			switch {
			case err == nil:
			case errors.Is(err, ErrWaiting):
				waiting = true
				stopped = append(stopped, err)
			case errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer):
				stopped = append(stopped, err)
			default:
				return stopped, err
			}
		}
		waiting = waiting && progress
	}
	return stopped, nil
}

// followOne folds the rest of one journal and reports whether it folded any.
func (c *Catalog) followOne(ctx context.Context, v *vault.Vault, id seal.ID) (folded bool, err error) {
	d, known, err := c.Device(id)
	if err != nil {
		return false, err
	}
	if !known {
		card, err := v.ReadCard(ctx, id)
		if err != nil {
			return false, err
		}
		if err := c.AddDevice(card); err != nil {
			return false, err
		}
		if d, _, err = c.Device(id); err != nil {
			return false, err
		}
	}
	for {
		s, err := v.ReadSegment(ctx, &d.Card, d.Head.Seq+1)
		if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			return folded, nil
		}
		if err == nil {
			err = c.Fold(s)
		}
		if errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer) || errors.Is(err, ErrWaiting) {
			if stopErr := c.Stop(id, err.Error()); stopErr != nil {
				return folded, stopErr
			}
		}
		if err != nil {
			return folded, fmt.Errorf("following the journal of %s: %w", d.Card.Name, err)
		}
		folded = true
		d.Head = s.Head
	}
}
