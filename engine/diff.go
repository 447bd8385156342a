package engine

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"holm.example/engine/catalog"
	"holm.example/engine/vault"
)

// ChangeKind says how an entry differs between two snapshots.
type ChangeKind byte

// The kinds of changes.
const (
	Added       ChangeKind = iota + 1
	Removed                // also everything that was in it
	Modified               // the content, the target of a link, the number of a device
	Metadata               // nothing but mode, owner, time or attributes
	TypeChanged            // what was a file is a directory, say
)

// Change is an entry that differs between two snapshots.
type Change struct {
	Kind     ChangeKind
	Old, New *Entry // nil where there is none
}

// DiffOptions say what to compare.
type DiffOptions struct {
	// Old and New are snapshots as ListOptions.At.
	Old, New string
	// Path is as ListOptions.Path; empty means everything.
	Path string
}

// Diff calls f for every entry that differs between two snapshots, of any
// devices, in the order of their names, a directory before what is in it, and
// ends with f's first error. Sources are compared by their paths, and those
// whose paths are in one of the snapshots only, by their base names. Of a
// directory a time that differs is no change: what changed in it is one. The
// error after the last entry may be ErrDamaged or ErrNewer: a later snapshot
// may be missing. Memory does not grow with the number of entries.
func (e *Engine) Diff(ctx context.Context, o DiffOptions, f func(Change) error) (before, after Snapshot, err error) {
	err = resumed(e, ctx, f, func(give func(Change) error) (err error) {
		d := differ{e: e, ctx: ctx, f: give}
		if before, after, err = d.open(o); err != nil {
			return err
		}
		return d.run(o)
	})
	return before, after, err
}

// differ is one comparison under way.
type differ struct {
	e        *Engine
	ctx      context.Context
	f        func(Change) error
	old, new *catalog.Mark
}

// open finds the two snapshots.
func (d *differ) open(o DiffOptions) (before, after Snapshot, err error) {
	if d.old, err = d.e.mark(d.ctx, o.Old); err != nil {
		return before, after, err
	}
	if d.new, err = d.e.mark(d.ctx, o.New); err != nil {
		return before, after, err
	}
	if before, err = d.e.snapshot(d.old); err != nil {
		return before, after, err
	}
	after, err = d.e.snapshot(d.new)
	return before, after, err
}

// run compares.
func (d *differ) run(o DiffOptions) error {
	olds, oldExact, oldErr := d.e.at(d.old, o.Path)
	news, newExact, newErr := d.e.at(d.new, o.Path)
	switch {
	case oldErr != nil && !errors.Is(oldErr, ErrNoPath):
		return oldErr
	case newErr != nil && (oldErr != nil || !errors.Is(newErr, ErrNoPath)):
		return newErr
	case oldErr != nil: // what at gives with an error is where it stopped
		olds = nil
	case newErr != nil:
		news = nil
	}
	for _, p := range pairs(olds, news, oldExact && newExact) {
		if err := d.entry(p[0], p[1]); err != nil {
			return err
		}
	}
	return cmp.Or(d.e.unsure(d.old, o.Old), d.e.unsure(d.new, o.New))
}

// pairs says which of the old and new tops are compared, in the order of their
// paths: those of one path, then those of one name; same says that there is
// one of each. nil stands beside what is alone.
func pairs(olds, news []found, same bool) (list [][2]*found) {
	byPath := func(a, b *found) bool { return a.path == b.path }
	byName := func(a, b *found) bool { return same || a.Name == b.Name }
	taken := map[*found]bool{}
	for _, fits := range []func(a, b *found) bool{byPath, byName} {
		for i := range news {
			for j := range olds {
				if o, n := &olds[j], &news[i]; !taken[o] && !taken[n] && fits(o, n) {
					taken[o], taken[n] = true, true
					list = append(list, [2]*found{o, n})
				}
			}
		}
	}
	for i := range olds {
		if o := &olds[i]; !taken[o] {
			list = append(list, [2]*found{o, nil})
		}
	}
	for i := range news {
		if n := &news[i]; !taken[n] {
			list = append(list, [2]*found{nil, n})
		}
	}
	slices.SortStableFunc(list, func(a, b [2]*found) int {
		return strings.Compare(cmp.Or(a[1], a[0]).path, cmp.Or(b[1], b[0]).path)
	})
	return list
}

// entry compares an entry of the old snapshot with one of the new; one of them
// may be nil.
func (d *differ) entry(a, b *found) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if kind := differs(a, b); kind != 0 {
		c := Change{Kind: kind}
		if a != nil {
			e := entryOf(*a)
			c.Old = &e
		}
		if b != nil {
			e := entryOf(*b)
			c.New = &e
		}
		if err := d.f(c); err != nil {
			return err
		}
	}
	return d.inside(a, b)
}

// inside compares what is in two entries, as far as they are directories.
func (d *differ) inside(a, b *found) error {
	if a != nil && a.Kind != vault.KindDirectory {
		a = nil
	}
	if b != nil && b.Kind != vault.KindDirectory {
		b = nil
	}
	if a == nil && b == nil {
		return nil
	}
	nextOld, stopOld := iter.Pull2(d.all(d.old, a))
	defer stopOld()
	nextNew, stopNew := iter.Pull2(d.all(d.new, b))
	defer stopNew()
	o, oldErr, moreOld := nextOld()
	n, newErr, moreNew := nextNew()
	for moreOld || moreNew {
		if err := errors.Join(oldErr, newErr); err != nil {
			return err
		}
		var was, is *found
		if moreOld && (!moreNew || o.Name <= n.Name) {
			was = &o
		}
		if moreNew && (!moreOld || n.Name <= o.Name) {
			is = &n
		}
		if err := d.entry(was, is); err != nil {
			return err
		}
		if was != nil {
			o, oldErr, moreOld = nextOld()
		}
		if is != nil {
			n, newErr, moreNew = nextNew()
		}
	}
	return nil
}

// all are the entries of a directory in a snapshot, none of nil. An error is
// the last of them.
func (d *differ) all(m *catalog.Mark, dir *found) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		if dir == nil {
			return
		}
		err := d.e.entries(m, dir.Directory, func(c catalog.Entry) error {
			if !yield(found{below(dir.path, c.Name), c}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(found{}, err)
		}
	}
}

// differs tells how two entries differ, 0 if they do not; one may be nil.
func differs(a, b *found) ChangeKind {
	switch {
	case a == nil:
		return Added
	case b == nil:
		return Removed
	case a.Kind != b.Kind || a.Special != b.Special:
		return TypeChanged
	case a.SizeBytes != b.SizeBytes || a.Chunks.Level != b.Chunks.Level || !slices.Equal(a.Chunks.IDs, b.Chunks.IDs),
		a.Target != b.Target, a.Major != b.Major || a.Minor != b.Minor:
		return Modified
	}
	x, y := &a.Meta, &b.Meta
	if x.Mode != y.Mode || x.UID != y.UID || x.GID != y.GID || x.User != y.User || x.Group != y.Group ||
		x.WinAttrs != y.WinAttrs || !slices.Equal(x.Attributes, y.Attributes) ||
		a.Kind != vault.KindDirectory && x.ModTime != y.ModTime {
		return Metadata
	}
	return 0
}
