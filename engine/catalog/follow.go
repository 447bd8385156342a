package catalog

import (
	"context"
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// ErrLost is returned when a journal in the vault no longer holds what was
// folded of it: the vault was set back, or lost a part.
var ErrLost = errors.New("the vault no longer holds what it did")

// errGap is the reason of a segment that was never folded and must be there.
var errGap = errors.New("missing, but a later one is there or was")

// Stop is why a journal is not known to its end.
type Stop struct {
	Device seal.ID
	Err    error
}

// Error names the object.
func (s Stop) Error() string { return s.Err.Error() }

// Unwrap gives vault.ErrDamaged, with ErrLost or without, vault.ErrNewer or
// ErrWaiting.
func (s Stop) Unwrap() error { return s.Err }

// Follow folds everything that the journals of the vault hold and the catalog
// does not. A journal that cannot be folded further, because it is damaged or
// has a gap or holds what this version does not know, stops where it is, and
// the others go on. So does one that lost what was folded of it or what
// another device claims of it. The error is one of the store or of the
// catalog; the journals' own are in stopped, one each.
func (c *Catalog) Follow(ctx context.Context, v *vault.Vault) (stopped []Stop, err error) {
	return c.follow(ctx, v, false)
}

// follow is Follow, or FollowBeyond.
func (c *Catalog) follow(ctx context.Context, v *vault.Vault, beyond bool) (stopped []Stop, err error) {
	listed, err := v.Journals(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := c.lost(listed)
	if err != nil {
		return nil, err
	}
	waiting := true
	for waiting {
		waiting, stopped = false, lost
		progress := false
		for _, j := range listed {
			if has(lost, j.Device) {
				continue
			}
			folded, err := c.followOne(ctx, v, j, beyond)
			progress = progress || folded
			switch {
			case err == nil:
			case errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer):
				waiting = waiting || errors.Is(err, ErrWaiting)
				stopped = append(stopped, Stop{j.Device, err})
			default:
				return stopped, err
			}
		}
		waiting = waiting && progress
	}
	return c.claimed(ctx, v, stopped, beyond)
}

func has(stopped []Stop, device seal.ID) bool {
	for _, s := range stopped {
		if s.Device == device {
			return true
		}
	}
	return false
}

// gap is the error of a segment that is not there and must be.
func gap(device seal.ID, seq uint64, why error) error {
	return fmt.Errorf("%s: %w: %w", vault.SegmentName(device, seq), why, vault.ErrDamaged)
}

// lost compares what is folded with a listing that was made later.
func (c *Catalog) lost(listed []vault.Journal) (stopped []Stop, err error) {
	known, err := c.Devices()
	if err != nil {
		return nil, err
	}
	there := map[seal.ID]vault.Journal{}
	for _, j := range listed {
		there[j.Device] = j
	}
	for _, d := range known {
		if seq := there[d.Head.Device].Missing(); seq <= d.Head.Seq {
			stopped = append(stopped, Stop{d.Head.Device, gap(d.Head.Device, seq, ErrLost)})
		}
	}
	return stopped[:len(stopped):len(stopped)], nil
}

// claimed adds the journals that end before what another device has folded of
// them. What was put while we listed is followed first.
func (c *Catalog) claimed(ctx context.Context, v *vault.Vault, stopped []Stop, beyond bool) ([]Stop, error) {
	known, err := c.Devices()
	if err != nil {
		return stopped, err
	}
	for _, by := range known {
		claims, err := c.Claims(by.Head.Device)
		if err != nil {
			return stopped, err
		}
		for _, h := range claims {
			if has(stopped, h.Device) {
				continue
			}
			d, _, err := c.Device(h.Device)
			if err != nil {
				return stopped, err
			}
			if d.Head.Seq >= h.Seq {
				continue
			}
			_, err = c.followOne(ctx, v, vault.Journal{Device: h.Device, Last: h.Seq}, beyond)
			if errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer) {
				stopped = append(stopped, Stop{h.Device, err})
			} else if err != nil {
				return stopped, err
			}
		}
	}
	return stopped, nil
}

// CheckHeads reads the last segment that is folded of each journal again, and
// returns those that are not what they were, with ErrLost: the vault may lack
// what chunks and entries here refer to.
func (c *Catalog) CheckHeads(ctx context.Context, v *vault.Vault) (lost []Stop, err error) {
	known, err := c.Devices()
	if err != nil {
		return nil, err
	}
	for _, d := range known {
		if d.Head.Seq == 0 {
			continue
		}
		err := v.CheckHead(ctx, d.Head)
		switch {
		case errors.Is(err, vault.ErrDamaged):
			lost = append(lost, Stop{d.Head.Device, fmt.Errorf("%w: %w", ErrLost, err)})
		case err != nil:
			return nil, err
		}
	}
	return lost, nil
}

// followOne folds the rest of one journal and reports whether it folded any.
func (c *Catalog) followOne(ctx context.Context, v *vault.Vault, j vault.Journal, beyond bool) (folded bool, err error) {
	d, known, err := c.meet(ctx, v, j)
	if err != nil || !known {
		return false, err
	}
	for {
		seq := d.Head.Seq + 1
		s, err := v.ReadSegment(ctx, &d.Card, seq)
		if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			if seq > j.Last {
				return folded, nil
			}
			err = gap(j.Device, seq, errGap) // a later one was there before we asked
		}
		if err == nil {
			err = c.Fold(s)
		}
		if beyond && unreadable(err) {
			passed, passErr := c.passGap(ctx, v, &d)
			if passErr != nil {
				return folded, passErr
			}
			if passed {
				continue
			}
		}
		if err != nil {
			return folded, fmt.Errorf("following the journal of %s: %w", d.Card.Name, err)
		}
		folded = true
		d.Head = s.Head
	}
}

// meet returns a device, and makes it known if it was not: not known is one
// that another vault has left.
func (c *Catalog) meet(ctx context.Context, v *vault.Vault, j vault.Journal) (d Device, known bool, err error) {
	if d, known, err = c.Device(j.Device); err != nil || known {
		return d, known, err
	}
	card, err := v.ReadCard(ctx, j.Device)
	if errors.Is(err, vault.ErrForeign) {
		if j.Last == 0 {
			return d, false, nil
		}
		err = fmt.Errorf("%w, with a journal: %w", err, vault.ErrDamaged)
	}
	if err != nil {
		return d, false, err
	}
	if err := c.AddDevice(card); err != nil {
		return d, false, err
	}
	return c.Device(j.Device)
}
