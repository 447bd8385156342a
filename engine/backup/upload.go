package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

const (
	// packTarget is the size in bytes from which on a pack is finished: the
	// one is put while the next is filled.
	packTarget = 16 << 20
	// maxUploads is how many packs are put at the same time. With the one that
	// is being filled, at most one more is spooled.
	maxUploads = 2
)

// uploads puts finished packs while the next ones are made.
type uploads struct {
	vault *vault.Vault
	group *errgroup.Group
}

func newUploads(v *vault.Vault) *uploads { return &uploads{vault: v, group: newGroup()} }

func newGroup() *errgroup.Group {
	g := &errgroup.Group{}
	g.SetLimit(maxUploads)
	return g
}

// put puts a spooled pack of that many bytes, and what follows it, in the
// background, and removes it from the spool. It waits while maxUploads others
// are under way. A pack that is there already was put by us: its name is
// random.
func (u *uploads) put(ctx context.Context, name string, f *os.File, body int64) {
	u.group.Go(func() error {
		size, err := u.vault.AppendTail(f, body)
		if err == nil {
			err = u.vault.Store.Put(ctx, name, io.NewSectionReader(f, 0, size))
		}
		if errors.Is(err, storage.ErrExists) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("putting %s: %w", name, err)
		}
		return errors.Join(err, discard(f))
	})
}

// wait waits until every pack is in the store, and returns the first error.
func (u *uploads) wait() error {
	err := u.group.Wait()
	if err == nil {
		u.group = newGroup()
	}
	return err
}

// discard removes a file of the spool.
func discard(f *os.File) error {
	err := f.Close()
	if rmErr := os.Remove(f.Name()); rmErr != nil && !errors.Is(rmErr, os.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	if err != nil {
		return fmt.Errorf("removing a spooled pack: %w", err)
	}
	return nil
}
