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

// judge tells how deep one must look to find that a pack is bad; 0 if it is
// not. at and err are what the check has found of it. Damage must show twice:
// what comes over a network, or out of bad memory, can be wrong once. What
// says nothing leaves what was known.
func (c *check) judge(ctx context.Context, p *vault.Pack, size int64, listed bool, at Depth, err error) Depth {
	known := c.known[p.ID]
	switch {
	case err == nil && known <= c.depth():
		return 0
	case err != nil && proves(err) && c.again(ctx, p, size, listed):
		return max(at, known)
	}
	return known
}

// again looks a second time for what is wrong with a pack.
func (c *check) again(ctx context.Context, p *vault.Pack, size int64, listed bool) bool {
	name, store := p.ID.Name(), c.Vault.Store
	if !listed { // a listing can lag behind
		_, err := store.GetRange(ctx, name, 0, 1)
		return errors.Is(err, storage.ErrNotFound)
	}
	if uint64(size) != p.SizeBytes {
		if _, err := store.GetRange(ctx, name, int64(p.SizeBytes)-1, 1); err != nil {
			return errors.Is(err, storage.ErrShort) || errors.Is(err, storage.ErrNotFound)
		}
		more, err := store.GetRange(ctx, name, int64(p.SizeBytes), 1)
		return err == nil && len(more) == 1
	}
	_, err := c.pack(ctx, name, p, size, listed, func(int) {})
	return proves(err)
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
