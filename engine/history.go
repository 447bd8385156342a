package engine

import (
	"cmp"
	"context"
	"encoding/hex"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// version is what an entry was for some time, and the marks of its device that
// have it so, the oldest first: never none.
type version struct {
	found
	marks []*catalog.Mark
}

// allMarks are the marks of all devices: a list for each, in the order of its
// journal, and one for those that are incomplete.
func (e *Engine) allMarks(ctx context.Context) (lists [][]*catalog.Mark, err error) {
	marks, err := e.marks(ctx)
	if err != nil {
		return nil, err
	}
	type group struct {
		device seal.ID
		beyond bool
	}
	by := map[group][]*catalog.Mark{}
	for i := range marks {
		g := group{marks[i].Device, e.incomplete(&marks[i]) != nil}
		by[g] = append(by[g], &marks[i])
	}
	lists = slices.Collect(maps.Values(by))
	slices.SortFunc(lists, func(a, b []*catalog.Mark) int {
		return cmp.Or(slices.Compare(a[0].Device[:], b[0].Device[:]), cmp.Compare(a[0].At, b[0].At))
	})
	return lists, nil
}

// versions calls f for everything that the sources of a list of allMarks
// hold, each version once: in the order of names, of a name in that of
// time, and a directory before what is in it.
func (e *Engine) versions(ctx context.Context, marks []*catalog.Mark, f func(version) error) error {
	sources, err := e.of(marks[0]).Sources(marks[0].Device)
	if err != nil {
		return err
	}
	slices.SortFunc(sources, func(a, b catalog.Source) int { return strings.Compare(a.Path, b.Path) })
	for _, s := range sources {
		var with []*catalog.Mark
		for _, m := range marks {
			if slices.Contains(m.Sources, s.ID) {
				with = append(with, m)
			}
		}
		top := func(catalog.Entry) string { return filepath.ToSlash(s.Path) }
		if err := e.directoryVersions(ctx, s.ID, with, top, f); err != nil {
			return err
		}
	}
	lost := func(c catalog.Entry) string { return below("lost+found", c.Name) }
	return e.directoryVersions(ctx, catalog.LostAndFound(), marks, lost, f)
}

// directoryVersions is versions for what one directory holds; path names it.
// What a directory was is one version, the last, with all of its marks: its
// time changes with what is in it. So are states of a file that differ in
// nothing that Diff would show.
func (e *Engine) directoryVersions(ctx context.Context, dir seal.ID, marks []*catalog.Mark,
	path func(catalog.Entry) string, f func(version) error) error {
	if len(marks) == 0 {
		return nil
	}
	var last *version // the next one may be the same
	give := func() error {
		v := last
		if last = nil; v == nil {
			return nil
		}
		if err := f(*v); err != nil || v.Kind != vault.KindDirectory {
			return err
		}
		in := func(c catalog.Entry) string { return below(v.path, c.Name) }
		return e.directoryVersions(ctx, v.Directory, v.marks, in, f)
	}
	err := e.of(marks[0]).History(marks[0].Device, dir, marks[0].At, func(c catalog.Version) error {
		v := version{found{path(c.Entry), c.Entry}, during(marks, c.From, c.Until)}
		if err := ctx.Err(); err != nil || len(v.marks) == 0 {
			return err
		}
		if last != nil && last.Name == v.Name && last.Directory == v.Directory &&
			(v.Kind == vault.KindDirectory || differs(&last.found, &v.found) == 0) {
			v.marks = slices.Concat(last.marks, v.marks)
		} else if err := give(); err != nil {
			return err
		}
		last = &v
		return nil
	})
	if err != nil {
		return err
	}
	return give()
}

// during are the marks, in the order of the journal, from one position on and
// before another.
func during(marks []*catalog.Mark, from, until catalog.Position) []*catalog.Mark {
	first := sort.Search(len(marks), func(i int) bool { return marks[i].At >= from })
	end := sort.Search(len(marks), func(i int) bool { return marks[i].At >= until })
	return marks[first:max(first, end)]
}

// Match is an entry that Find has found.
type Match struct {
	Entry
	DeviceID   string
	DeviceName string
	// Snapshots are the ids of those that have the entry as it is here, the
	// oldest first.
	Snapshots []string
}

// FindOptions say what to find, and where.
type FindOptions struct {
	// At is as in ListOptions.
	At string
	// All looks into the snapshots of all devices instead: an entry is given
	// once for each state that it was in.
	All bool
	// Fits says which entries are wanted.
	Fits func(*Entry) bool
}

// Find calls f for the entries that fit, in the order of their names, and ends
// with f's first error. The error after the last entry may be ErrDamaged or
// ErrNewer: a later snapshot may be missing. Memory does not grow with the
// number of entries.
func (e *Engine) Find(ctx context.Context, o FindOptions, f func(Match) error) error {
	return resumed(e, ctx, f, func(give func(Match) error) error { return e.find(ctx, o, give) })
}

func (e *Engine) find(ctx context.Context, o FindOptions, f func(Match) error) error {
	lists, unsure, err := e.wanted(ctx, o)
	if err != nil {
		return err
	}
	for _, marks := range lists {
		by, err := e.snapshot(marks[0])
		if err != nil {
			return err
		}
		err = e.versions(ctx, marks, func(v version) error {
			match := Match{Entry: entryOf(v.found), DeviceID: by.DeviceID, DeviceName: by.DeviceName}
			if !o.Fits(&match.Entry) {
				return nil
			}
			for _, m := range v.marks {
				match.Snapshots = append(match.Snapshots, hex.EncodeToString(m.ID[:]))
			}
			return f(match)
		})
		if err != nil {
			return err
		}
	}
	return unsure
}

// wanted are the lists of marks that Find looks into, and what it ends with.
func (e *Engine) wanted(ctx context.Context, o FindOptions) (lists [][]*catalog.Mark, unsure, err error) {
	if !o.All {
		m, err := e.mark(ctx, o.At)
		if err != nil {
			return nil, nil, err
		}
		return [][]*catalog.Mark{{m}}, e.unsure(m, o.At), nil
	}
	if lists, err = e.allMarks(ctx); err == nil && len(lists) == 0 {
		_, err = e.mark(ctx, "")
	}
	return lists, e.unread(func(seal.ID) bool { return true }), err
}

// Totals are how much a snapshot holds.
type Totals struct {
	Files, Directories, Others int64
	Bytes                      int64 // of all files
}

func (t *Totals) add(h *catalog.Entry) {
	switch h.Kind {
	case vault.KindFile:
		t.Files++
		t.Bytes += int64(h.SizeBytes)
	case vault.KindDirectory:
		t.Directories++
	default:
		t.Others++
	}
}

// SnapshotTotals counts what every snapshot holds, by the ids of the
// snapshots: one walk through what each device has said, however many
// snapshots there are.
func (e *Engine) SnapshotTotals(ctx context.Context) (totals map[string]Totals, err error) {
	err = e.withCatalog(ctx, func() error {
		totals = map[string]Totals{}
		lists, err := e.allMarks(ctx)
		if err != nil {
			return err
		}
		for _, marks := range lists {
			if err := e.deviceTotals(ctx, marks, totals); err != nil {
				return err
			}
		}
		return nil
	})
	return totals, err
}

// deviceTotals counts what the marks of one device hold. What most entries are
// in are marks that follow each other: only the first of them and the one
// behind the last are noted.
func (e *Engine) deviceTotals(ctx context.Context, marks []*catalog.Mark, totals map[string]Totals) error {
	more, less := make([]Totals, len(marks)+1), make([]Totals, len(marks)+1)
	err := e.versions(ctx, marks, func(v version) error {
		for list := v.marks; len(list) > 0; {
			first := sort.Search(len(marks), func(i int) bool { return marks[i].At >= list[0].At })
			n := len(list)
			for first+n > len(marks) || marks[first+n-1] != list[n-1] {
				n--
			}
			more[first].add(&v.Entry)
			less[first+n].add(&v.Entry)
			list = list[n:]
		}
		return nil
	})
	var sum Totals
	for i, m := range marks {
		sum.Files += more[i].Files - less[i].Files
		sum.Directories += more[i].Directories - less[i].Directories
		sum.Others += more[i].Others - less[i].Others
		sum.Bytes += more[i].Bytes - less[i].Bytes
		totals[hex.EncodeToString(m.ID[:])] = sum
	}
	return err
}

// resumed does something that gives a caller one thing after the other, and
// again, without what was given, if the catalog turned out to be damaged.
func resumed[T any](e *Engine, ctx context.Context, f func(T) error, do func(give func(T) error) error) error {
	given := 0
	return e.withCatalog(ctx, func() error {
		n := 0
		return do(func(t T) error {
			if n++; n <= given {
				return nil
			}
			given = n
			return f(t)
		})
	})
}
