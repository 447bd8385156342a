package upkeep

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// MaxBad is how many bad packs a report holds: a TiB of full ones.
const MaxBad = 1 << 16

// Depth is how deep a check must look to find what is wrong with a pack. One
// that looks less deep and finds nothing says nothing.
type Depth byte

// The depths.
const (
	Listed   Depth = 1 + iota // it is missing, or has another size
	Seals                     // a seal does not open
	Contents                  // what was sealed is not what it should be
)

// BadPack is a pack that is damaged or missing.
type BadPack struct {
	ID    vault.PackID
	Depth Depth // from which on a check that finds it whole is right
	// Repairable says that parity makes it good: nothing of it is lost.
	Repairable bool
}

// earlier is the damage of a pack that was found before, by who looked deeper.
func (b BadPack) earlier() error {
	err := vault.ErrDamaged
	if b.Repairable {
		err = fmt.Errorf("%w, %w", err, vault.ErrRepairable)
	}
	return fmt.Errorf("%s: %w: an earlier check that read more has found it", b.ID.Name(), err)
}

// depth is how deep the check looks.
func (c *check) depth() Depth {
	switch {
	case c.Deep:
		return Contents
	case c.ReadData:
		return Seals
	}
	return Listed
}

// proves reports whether an error is about bytes that are there and wrong or
// that a disk has lost, or about an object that is not there: not about a
// store that could not read now.
func proves(err error) bool {
	return (errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer)) && !errors.Is(err, vault.ErrUnread)
}

// mended reports whether parity has made a pack good in this check.
func (c *check) mended(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.repaired[name]
}

// judge tells whether a pack is bad, and how deep one must look to find it;
// Depth is 0 if it is not. One that parity makes good is, so that what it has
// gets another copy before more of it goes bad. at and err are what the check
// has found of it. Damage must show twice, also what parity makes good: what
// comes over a network, or out of bad memory, can be wrong once. What says
// nothing leaves what was known.
func (c *check) judge(ctx context.Context, p *vault.Pack, size int64, listed bool, at Depth, err error) BadPack {
	known := c.known[p.ID]
	mended := c.mended(p.ID.Name())
	switch {
	case err == nil && mended && (known.Depth <= c.depth() || known.Repairable):
		if bad, err := c.again(ctx, p, size, listed); bad && err == nil {
			return BadPack{p.ID, max(at, known.Depth), true}
		}
	case err == nil && !mended && known.Depth <= c.depth():
		return BadPack{}
	case err != nil && proves(err):
		if bad, err := c.again(ctx, p, size, listed); bad && proves(err) {
			return BadPack{p.ID, max(at, known.Depth), false}
		}
	}
	return known
}

// again looks a second time for what is wrong with a pack, and remembers
// nothing of the first look. It tells whether there is anything; err is nil if
// parity makes it good.
func (c *check) again(ctx context.Context, p *vault.Pack, size int64, listed bool) (bad bool, err error) {
	name, store := p.ID.Name(), c.Vault.Store
	if !listed { // a listing can lag behind
		_, err := store.GetRange(ctx, name, 0, 1)
		return errors.Is(err, storage.ErrNotFound), vault.ErrDamaged
	}
	if want := c.Vault.ObjectSize(int64(min(p.SizeBytes, vault.MaxPack))); size != want { // or be wrong
		_, err := store.GetRange(ctx, name, want-1, 1)
		more, longErr := store.GetRange(ctx, name, want, 1)
		long := longErr == nil && len(more) == 1
		if !long && !errors.Is(err, storage.ErrShort) && !errors.Is(err, storage.ErrNotFound) {
			return false, nil
		}
	}
	second := newCheck(ctx, c.Request, c.Vault)
	_, err = second.pack(ctx, name, p, size, listed, func(int) {})
	return err != nil || second.mended(name), err
}

// settleBad puts the bad packs into the order of their names. Where the vault
// itself is gone, a disk that was taken away for example, no pack is bad that
// was not before.
func (c *check) settleBad() error {
	bad := c.report.Bad
	slices.SortFunc(bad, func(a, b BadPack) int {
		return cmp.Or(bytes.Compare(a.ID.Device[:], b.ID.Device[:]), cmp.Compare(a.ID.Seq, b.ID.Seq),
			bytes.Compare(a.ID.Random[:], b.ID.Random[:]))
	})
	if len(bad) == 0 {
		return nil
	}
	if _, err := vault.Find(c.ctx, c.Vault.Store, &c.Vault.ID); err != nil {
		if errors.Is(err, vault.ErrNoVault) || !errors.Is(err, vault.ErrDamaged) {
			return fmt.Errorf("the vault is not there any more: %w: %w", storage.ErrUnreachable, err)
		}
		c.report.Bad = c.Bad
	}
	return nil
}
