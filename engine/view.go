package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"holm.example/engine/catalog"
	"holm.example/engine/restore"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// found is an entry of a snapshot with the path it had.
type found struct {
	path string
	catalog.Entry
}

// errStop ends an iteration early.
var errStop = errors.New("stop")

// lookup finds one name in a directory.
func (e *Engine) lookup(m *catalog.Mark, dir found, name string) (found, error) {
	var hit *catalog.Entry
	err := e.entries(m, dir.Directory, func(c catalog.Entry) error {
		if c.Name == name {
			hit = &c
			return errStop
		}
		return nil
	})
	if hit != nil {
		return found{below(dir.path, name), *hit}, nil
	}
	if err == nil {
		err = fmt.Errorf("%s: %w", below(dir.path, name), ErrNoPath)
	}
	return found{}, err
}

func below(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }

// entries calls f for what a directory holds in a snapshot.
func (e *Engine) entries(m *catalog.Mark, dir seal.ID, f func(catalog.Entry) error) error {
	return e.of(m).Entries(m.Device, dir, m.At, f)
}

// tops are the entries of a mark's sources, and lost+found if it holds
// anything.
func (e *Engine) tops(m *catalog.Mark) (list []found, err error) {
	sources, err := e.sources(m)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		err := e.entries(m, s.ID, func(c catalog.Entry) error {
			list = append(list, found{filepath.ToSlash(s.Path), c})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	lost := catalog.Entry{Name: "lost+found", Node: vault.Node{
		Meta: vault.Meta{Mode: 0o700}, Kind: vault.KindDirectory, Directory: catalog.LostAndFound()}}
	err = e.entries(m, lost.Directory, func(catalog.Entry) error { return errStop })
	if errors.Is(err, errStop) {
		return append(list, found{"lost+found", lost}), nil
	}
	return list, err
}

// at finds what a path names in a snapshot: exactly one entry, or all sources
// below it. The path is one of the source, or begins with a source's base
// name.
func (e *Engine) at(m *catalog.Mark, path string) (hits []found, exact bool, err error) {
	tops, err := e.tops(m)
	if err != nil || path == "" {
		return tops, false, err
	}
	want := strings.TrimSuffix(filepath.ToSlash(path), "/")
	var below []found
	for _, byName := range []bool{false, true} {
		for _, t := range tops {
			start := strings.TrimSuffix(t.path, "/")
			if byName {
				start = t.Name
			}
			if strings.HasPrefix(start+"/", want+"/") && start != want && !byName {
				below = append(below, t)
				continue
			}
			rest, ok := strings.CutPrefix(want+"/", start+"/")
			if !ok {
				continue
			}
			hit, err := e.descend(m, t, strings.TrimSuffix(rest, "/"))
			return []found{hit}, true, err
		}
		if len(below) > 0 {
			return below, false, nil
		}
	}
	return nil, false, fmt.Errorf("%s: %w", path, ErrNoPath)
}

func (e *Engine) descend(m *catalog.Mark, from found, rest string) (hit found, err error) {
	hit = from
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if hit.Kind != vault.KindDirectory {
			return hit, fmt.Errorf("%s: %w", below(hit.path, name), ErrNoPath)
		}
		if hit, err = e.lookup(m, hit, name); err != nil {
			return hit, err
		}
	}
	return hit, nil
}

// List calls f for the entries of a snapshot, in the order of their names,
// and ends with f's first error. Without a path these are the sources; with
// the path of a directory, what is in it; with that of a file, the file. The
// error after the last entry may be ErrDamaged or ErrNewer: a later snapshot
// may be missing.
func (e *Engine) List(ctx context.Context, o ListOptions, f func(Entry) error) error {
	return resumed(e, ctx, f, func(give func(Entry) error) error { return e.listAll(ctx, o, give) })
}

func (e *Engine) listAll(ctx context.Context, o ListOptions, f func(Entry) error) error {
	m, err := e.mark(ctx, o.At)
	if err != nil {
		return err
	}
	hits, exact, err := e.at(m, o.Path)
	if err != nil {
		return err
	}
	inside := exact && hits[0].Kind == vault.KindDirectory
	for _, h := range hits {
		if !inside {
			if err := f(entryOf(h)); err != nil {
				return err
			}
		}
		if inside || o.Recursive {
			if err := e.list(ctx, m, h, o.Recursive, f); err != nil {
				return err
			}
		}
	}
	return e.unsure(m, o.At)
}

func (e *Engine) list(ctx context.Context, m *catalog.Mark, dir found, recursive bool, f func(Entry) error) error {
	if dir.Kind != vault.KindDirectory {
		return nil
	}
	return e.entries(m, dir.Directory, func(c catalog.Entry) error {
		h := found{below(dir.path, c.Name), c}
		if err := errors.Join(ctx.Err(), f(entryOf(h))); err != nil || !recursive {
			return err
		}
		return e.list(ctx, m, h, recursive, f)
	})
}

func entryOf(h found) Entry {
	s := source.Entry{Mode: h.Meta.Mode}
	switch h.Kind {
	case vault.KindFile:
		s.Kind = source.File
	case vault.KindDirectory:
		s.Kind = source.Directory
	case vault.KindSymlink:
		s.Kind = source.Symlink
	case vault.KindSpecial:
		s.Kind = source.Special
	}
	switch h.Special {
	case vault.FIFO:
		s.Special = source.FIFO
	case vault.Socket:
		s.Special = source.Socket
	case vault.CharDevice:
		s.Special = source.CharDevice
	case vault.BlockDevice:
		s.Special = source.BlockDevice
	}
	return Entry{Path: h.path, Mode: s.FileMode(), SizeBytes: int64(h.SizeBytes), ModTime: h.Meta.ModTime.Time(),
		UID: h.Meta.UID, GID: h.Meta.GID, Target: h.Target}
}

// Restore writes back what a snapshot holds. With problems in the report,
// everything else is restored; ErrDamaged means that the content of some
// files is damaged in the vault, and they are left out, or that the journal
// is, and a later snapshot may be missing: the report says Complete then.
// ErrTarget and the error of ctx end a restore early. What was complete until
// then stays.
func (e *Engine) Restore(ctx context.Context, o RestoreOptions) (RestoreReport, error) {
	report := RestoreReport{Started: e.now()}
	err := e.withCatalog(ctx, func() error { return e.restore(ctx, o, &report) })
	report.Finished = e.now()
	return report, err
}

func (e *Engine) restore(ctx context.Context, o RestoreOptions, report *RestoreReport) error {
	q, m, err := e.restoreRequest(ctx, o, report)
	if err != nil {
		return err
	}
	if o.Progress != nil {
		var total Progress
		if o.Count {
			if total, err = e.count(ctx, m, q.Entries); err != nil {
				return err
			}
		}
		q.Progress = func(path string, r *restore.Report) {
			p := total
			p.Path, p.Files, p.Bytes, p.ReadBytes, p.Problems = path, r.Files, r.Bytes, r.ReadBytes, r.ProblemCount
			o.Progress(p)
		}
	}
	if err := durable.MkdirAll(o.To, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrNoTarget, err)
	}
	r, err := restore.Run(ctx, q)
	report.set(o.To, r)
	if report.Complete = err == nil; report.Complete {
		err = e.unsure(m, o.At)
	}
	return errors.Join(err, r.Damage)
}
