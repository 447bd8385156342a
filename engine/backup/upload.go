package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

const (
	// A pack is finished when it has as many bytes as were put in the last
	// putTime, within these bounds: the one is put while the next is filled,
	// and a link that breaks now and then loses little.
	minTarget, maxTarget = 1 << 20, 16 << 20
	putTime              = 10 * time.Second
	// maxUploads is how many packs are put at the same time. With the one that
	// is being filled, at most one more is spooled.
	maxUploads = 2
)

// uploads puts finished packs while the next ones are made.
type uploads struct {
	vault  *vault.Vault
	now    func() time.Time
	group  *errgroup.Group
	target atomic.Uint64 // size in bytes of the next packs
}

func newUploads(v *vault.Vault, now func() time.Time) *uploads {
	u := &uploads{vault: v, now: now, group: newGroup()}
	u.target.Store(maxTarget)
	return u
}

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
			began := u.now()
			err = u.vault.Store.Put(ctx, name, io.NewSectionReader(f, 0, size))
			if err == nil && size >= minTarget { // a small one tells the latency, not the rate
				u.target.Store(targetFor(size, u.now().Sub(began)))
			}
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

// targetFor is the size of the next packs when that many bytes took that long.
func targetFor(size int64, took time.Duration) uint64 {
	if took <= 0 {
		return maxTarget
	}
	return uint64(min(max(float64(size)*float64(putTime)/float64(took), minTarget), maxTarget))
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
