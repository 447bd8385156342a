package catalog

import (
	"context"
	"errors"
	"fmt"

	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// FollowBeyond is Follow for a catalog that serves reading alone: it goes on
// after segments that cannot be read; docs/vault-format.md, section 9. What it
// folds after them is authentic, but not all there was, so such a catalog is
// thrown away afterwards: once the segments are whole again, its fold would
// differ from that of the journal. In stopped are the journals that could not
// be followed to their ends even so. What stands is folded first, so that its
// packs have the chunks that others have too.
func (c *Catalog) FollowBeyond(ctx context.Context, v *vault.Vault) (stopped []Stop, err error) {
	if stopped, err = c.follow(ctx, v, false); err != nil {
		return stopped, err
	}
	return c.follow(ctx, v, true)
}

// unreadable reports whether a segment is damaged or missing: not one of a
// later version, and not one that waits for another journal.
func unreadable(err error) bool {
	return errors.Is(err, vault.ErrDamaged) && !errors.Is(err, vault.ErrNewer) && !errors.Is(err, ErrWaiting)
}

// passGap moves the head of a journal to the segment before the next one that
// is readable, if there is one, and adds the packs that lie in between. The
// head gets the hash that the next segment gives. It goes by what is listed:
// the number of a name says nothing about how many there are.
func (c *Catalog) passGap(ctx context.Context, v *vault.Vault, d *Device) (passed bool, err error) {
	last := d.Head.Seq + 1
	for o, err := range v.Store.List(ctx, vault.JournalPrefix(d.Head.Device)) {
		if err != nil {
			return false, fmt.Errorf("listing the journal: %w", err)
		}
		_, seq, err := vault.ParseSegmentName(o.Name)
		if err != nil || seq < d.Head.Seq+2 {
			continue
		}
		last = seq
		next, err := v.ReadSegment(ctx, &d.Card, seq)
		if unreadable(err) || errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		lost := seq - 1
		if err := c.addPacks(ctx, v, d, lost); err != nil {
			return false, err
		}
		d.Head.Seq, d.Head.Hash = lost, next.Previous
		return true, c.update(func(t *tx) error {
			if err := put(t, bucketSegments, segmentKey(d.Head.Device, lost), next.Previous[:]); err != nil {
				return err
			}
			return put(t, bucketDevices, d.Head.Device[:], d.format())
		})
	}
	return false, c.addPacks(ctx, v, d, last)
}

// addPacks adds the packs of the segments after the head, up to last, that
// cannot be read, as far as they are whole: their trailers say what the
// segments said of them.
func (c *Catalog) addPacks(ctx context.Context, v *vault.Vault, d *Device, last uint64) error {
	for o, err := range v.Store.List(ctx, vault.PacksOf(d.Head.Device)) {
		if err != nil {
			return fmt.Errorf("listing packs: %w", err)
		}
		id, err := vault.ParsePackName(o.Name)
		if err != nil || id.Seq <= d.Head.Seq || id.Seq > last {
			continue
		}
		add, err := v.ReadTrailer(ctx, id, o.SizeBytes)
		if errors.Is(err, vault.ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		err = c.update(func(t *tx) error {
			return (&fold{t: t, device: id.Device, seq: id.Seq}).packAdd(add)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
