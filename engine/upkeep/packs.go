package upkeep

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// maxWorkers bounds how many packs are read at once: each holds some MiB.
const maxWorkers = 4

// listing walks the packs of the store beside those of the catalog: both come
// in the order of their names, so that neither is ever held whole.
type listing struct {
	next  func() (storage.Object, error, bool)
	at    storage.Object
	more  bool
	extra int64 // objects that nobody asked for
}

// step goes to the next listed object.
func (l *listing) step() error {
	o, err, ok := l.next()
	if err != nil {
		return fmt.Errorf("listing packs: %w", err)
	}
	l.at, l.more = o, ok
	return nil
}

// find goes forward to a name and tells the size of the object, if it is
// there.
func (l *listing) find(name string) (size int64, ok bool, err error) {
	for l.more && l.at.Name < name {
		l.extra++
		if err := l.step(); err != nil {
			return 0, false, err
		}
	}
	if !l.more || l.at.Name != name {
		return 0, false, nil
	}
	size = l.at.SizeBytes
	return size, true, l.step()
}

// rest counts what is listed behind the last name.
func (l *listing) rest() error {
	for l.more {
		l.extra++
		if err := l.step(); err != nil {
			return err
		}
	}
	return nil
}

// allPacks checks the packs that segments name, several at once, and counts
// the others.
func (c *check) allPacks() error {
	count, err := c.Catalog.Count()
	if err != nil {
		return err
	}
	c.count(vault.PacksPrefix, func(r *Report) { r.Chunks = count })
	c.known = map[vault.PackID]BadPack{}
	for _, b := range c.Bad {
		c.known[b.ID] = b
	}
	group, ctx := errgroup.WithContext(c.ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxWorkers))
	next, stop := iter.Pull2(c.Vault.Store.List(c.ctx, vault.PacksPrefix))
	defer stop()
	l := &listing{next: next}
	err = l.step()
	if err == nil {
		err = c.Catalog.Packs(func(p *vault.Pack) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			size, ok, err := l.find(p.ID.Name())
			if err != nil {
				return err
			}
			group.Go(func() error { return c.onePack(ctx, p, size, ok) })
			return nil
		})
	}
	// The error of a worker comes first: it has stopped the walk.
	if failed := group.Wait(); failed != nil {
		err = failed
	}
	if err == nil {
		err = l.rest()
	}
	c.count(vault.PacksPrefix, func(r *Report) { r.DeadPacks = l.extra })
	if err == nil {
		err = c.settleBad()
	}
	return err
}

// onePack checks a pack and records what it finds.
func (c *check) onePack(ctx context.Context, p *vault.Pack, size int64, listed bool) error {
	name := p.ID.Name()
	c.count(name, func(r *Report) { r.Packs++ })
	read := func(i int) { c.count(name, func(r *Report) { r.ReadBytes += int64(p.Frames[i]) }) }
	at, err := c.pack(ctx, name, p, size, listed, read)
	bad := c.judge(ctx, p, size, listed, at, err)
	if err == nil && bad.Depth > 0 && !(bad.Repairable && c.mended(name)) {
		err = bad.earlier()
	}
	if bad.Depth > 0 {
		c.count(name, func(r *Report) {
			if len(r.Bad) < MaxBad {
				r.Bad = append(r.Bad, bad)
			}
		})
	}
	return c.found(name, err)
}

// count changes the report, and tells of it.
func (c *check) count(object string, change func(*Report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.report)
	c.tell(object)
}

// pack checks that a pack is there, with its size, and reads it if asked to.
// With an error it tells how deep one must look to find it.
func (c *check) pack(ctx context.Context, name string, p *vault.Pack, size int64, listed bool, read func(frame int)) (Depth, error) {
	if !listed {
		return Listed, fmt.Errorf("%s: %w: %w", name, ErrMissing, vault.ErrDamaged)
	}
	if err := c.Vault.CheckSize(ctx, p, size); err != nil {
		return Listed, err
	}
	if !c.ReadData && !c.Deep {
		return Listed, nil
	}
	if at, err := c.read(ctx, name, p, read); err != nil {
		return at, err
	}
	return Seals, c.Vault.CheckTail(ctx, p)
}

// read reads a pack.
func (c *check) read(ctx context.Context, name string, p *vault.Pack, read func(frame int)) (Depth, error) {
	add, err := c.Vault.ReadTrailer(ctx, p.ID, c.Vault.ObjectSize(int64(p.SizeBytes)))
	if err != nil {
		return Seals, err
	}
	if add.Epoch != p.Epoch || vault.NewPack(p.ID.Device, p.ID.Seq, add).Lists != p.Lists {
		return Seals, fmt.Errorf("%s: trailer and segment disagree: %w", name, vault.ErrDamaged)
	}
	if len(p.Frames) == 0 {
		return Seals, nil
	}
	if !c.Deep {
		return Seals, c.Vault.NewFrameReader().CheckSeals(ctx, p, read)
	}
	err = c.chunks(ctx, name, p, add.Chunks, read)
	if errors.Is(err, seal.ErrSealed) {
		return Seals, err
	}
	return Contents, err
}

// chunks computes the id of every chunk of a pack.
func (c *check) chunks(ctx context.Context, name string, p *vault.Pack, list []vault.ChunkInfo, read func(frame int)) error {
	key := c.Vault.Keys.ChunkKey()
	var rest []byte // of a chunk that began in an earlier frame
	err := c.Vault.ReadFrames(ctx, p, 0, len(p.Frames)-1, func(i int, data []byte) error {
		read(i)
		for len(list) > 0 && len(rest)+len(data) >= int(list[0].SizeBytes) {
			n := int(list[0].SizeBytes) - len(rest)
			content := data[:n]
			if len(rest) > 0 {
				content = append(rest, data[:n]...)
			}
			if id := list[0].ID; key.ID(content) != id {
				return fmt.Errorf("%s: chunk %x has other content: %w", name, id[:8], vault.ErrDamaged)
			}
			data, rest, list = data[n:], rest[:0], list[1:]
		}
		rest = append(rest, data...)
		return nil
	})
	if err == nil && (len(list) > 0 || len(rest) > 0) {
		err = fmt.Errorf("%s: chunks and stream disagree: %w", name, vault.ErrDamaged)
	}
	return err
}
