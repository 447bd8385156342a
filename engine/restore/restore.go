// Package restore writes back what a vault holds of a point in time.
//
// It promises that every byte it writes was verified against the id of its
// chunk; that each range of a pack is read once for as many files as a plan
// holds, in whole frames; that nothing outside of the target directory is
// touched and, without Overwrite, nothing that exists; and that a file whose
// content cannot be read whole is not left behind. Memory does not grow with
// the number or size of files.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// ErrRenamed is the problem of an entry that got another name, because its own
// was taken or is impossible in the target.
var ErrRenamed = errors.New("restored under another name")

// maxRenames bounds the suffixes that are tried for one name.
const maxRenames = 10000

// Request says what to restore.
type Request struct {
	Vault   *vault.Vault
	Catalog *catalog.Catalog
	Device  seal.ID          // whose tree
	At      catalog.Position // and when
	// Entries are each restored as To/<its name>; of those that have one name,
	// all but the first get a suffix.
	Entries []catalog.Entry
	To      string // an existing directory
	// Overwrite replaces what is in the way.
	Overwrite bool
	Now       func() time.Time
	// Progress is called at most every tenth of a second; it may be nil.
	Progress func(path string, r *Report)
}

// Problem is an entry that could not be restored as it was.
type Problem struct {
	Path string // below the target
	Err  error
}

// Report is what a run did. Sizes in bytes.
type Report struct {
	Files       int64
	Directories int64
	Others      int64
	Bytes       int64 // written
	ReadBytes   int64 // sealed bytes read
	Problems    []Problem
	Damage      error // the first damage of the vault that was met
}

// Run restores. The report is valid also with an error; damage of single
// files is in Report.Damage and does not end the run.
func Run(ctx context.Context, q Request) (*Report, error) {
	r := &run{Request: q, ctx: ctx, report: &Report{}, renamed: map[string]string{}}
	tree, err := source.OpenTree(q.To, os.Geteuid() == 0)
	if err != nil {
		return r.report, fmt.Errorf("opening the target: %w", err)
	}
	r.tree = tree
	defer tree.Close()
	r.plan.run = r
	r.Entries = r.apart(q.Entries)
	for _, e := range r.Entries {
		if err := r.entry("", e); err != nil {
			return r.report, errors.Join(err, r.plan.abandon())
		}
	}
	if err := r.plan.flush(); err != nil {
		return r.report, errors.Join(err, r.plan.abandon())
	}
	for _, e := range r.Entries {
		if err := r.finishDirectories("", e); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// run is one restore under way.
type run struct {
	Request
	ctx     context.Context
	tree    *source.Tree
	report  *Report
	plan    plan
	renamed map[string]string // wanted path → path, where they differ
	told    time.Time
}

func (r *run) problem(path string, err error) {
	r.report.Problems = append(r.report.Problems, Problem{path, err})
	if errors.Is(err, vault.ErrDamaged) && r.report.Damage == nil {
		r.report.Damage = fmt.Errorf("restoring %s: %w", path, err)
	}
}

func (r *run) tell(path string) {
	if r.Progress == nil {
		return
	}
	if t := r.Now(); t.Sub(r.told) >= time.Second/10 {
		r.told = t
		r.Progress(path, r.report)
	}
}

// apart gives entries that want one name, such as sources of one base name,
// names of their own: the first keeps it, the others get a suffix that no
// other wants. Without that, Overwrite would replace one by the other.
func (r *run) apart(list []catalog.Entry) []catalog.Entry {
	list = slices.Clone(list)
	wanted, taken, last := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, e := range list {
		wanted[e.Name] = true
	}
	for i := range list {
		name := list[i].Name
		if !taken[name] {
			taken[name] = true
			continue
		}
		other := name
		for n := max(2, last[name]+1); wanted[other] || taken[other]; n++ {
			other, last[name] = fmt.Sprintf("%s~%d", name, n), n
		}
		taken[other] = true
		list[i].Name = other
		r.problem(name, fmt.Errorf("%w: %s", ErrRenamed, other))
	}
	return list
}

func below(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// entry restores one entry into a directory, or plans to. The error is one
// that ends the run.
func (r *run) entry(dir string, e catalog.Entry) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	path := below(dir, e.Name)
	r.tell(path)
	switch e.Kind {
	case vault.KindDirectory:
		return r.directory(path, e)
	case vault.KindFile:
		return r.plan.add(path, e)
	}
	err := r.place(path, e.Kind, func(path string) error {
		if e.Kind == vault.KindSymlink {
			return r.tree.Symlink(e.Target, path)
		}
		return r.tree.Special(path, entryOf(e))
	})
	if err == nil {
		r.report.Others++
		err = r.tree.SetMetadata(r.actual(path), entryOf(e))
	}
	if err != nil {
		r.problem(path, err)
	}
	return nil
}

// actual is where what was wanted at a path is.
func (r *run) actual(path string) string {
	if other, ok := r.renamed[path]; ok {
		return other
	}
	return path
}

// place makes an entry with do, under another name if the wanted one is taken
// or impossible. With Overwrite what is in the way is removed, if it is not a
// directory.
func (r *run) place(path string, kind vault.EntryKind, do func(path string) error) error {
	err := do(path)
	if errors.Is(err, fs.ErrExist) && r.Overwrite && kind != vault.KindDirectory {
		if there, lerr := r.tree.Lstat(path); lerr == nil && there.Kind != source.Directory {
			if err = r.tree.Remove(path); err == nil {
				err = do(path)
			}
		}
	}
	base := path
	if errors.Is(err, source.ErrName) {
		base = possible(path)
		err = do(base)
	}
	for n := 2; errors.Is(err, fs.ErrExist) && n < maxRenames; n++ {
		base = fmt.Sprintf("%s~%d", possible(path), n)
		err = do(base)
	}
	if err == nil && base != path {
		r.renamed[path] = base
		r.problem(path, fmt.Errorf("%w: %s", ErrRenamed, base))
	}
	return err
}

// possible makes a path whose last name every file system takes.
func possible(path string) string {
	i := strings.LastIndexByte(path, '/') + 1
	name := strings.Map(func(c rune) rune {
		if c < ' ' || strings.ContainsRune(`<>:"\|?*`, c) {
			return '_'
		}
		return c
	}, path[i:])
	if source.CheckName(name) == nil {
		return path[:i] + name
	}
	return path[:i] + "_" + strings.TrimRight(name, ". ") + "_"
}

// directory makes a directory and what is in it.
func (r *run) directory(path string, e catalog.Entry) error {
	err := r.place(path, e.Kind, func(path string) error {
		err := r.tree.Mkdir(path)
		if errors.Is(err, fs.ErrExist) && r.Overwrite {
			if there, lerr := r.tree.Lstat(path); lerr == nil && there.Kind == source.Directory {
				return nil
			}
		}
		return err
	})
	if err != nil {
		r.problem(path, err)
		return nil // nothing below can be restored
	}
	r.report.Directories++
	actual := r.actual(path)
	return r.Catalog.Entries(r.Device, e.Directory, r.At, func(child catalog.Entry) error {
		return r.entry(actual, child)
	})
}

// finishDirectories sets the metadata of directories, the deepest first, when
// nothing in them will change any more.
func (r *run) finishDirectories(dir string, e catalog.Entry) error {
	if e.Kind != vault.KindDirectory {
		return nil
	}
	path := r.actual(below(dir, e.Name))
	err := r.Catalog.Entries(r.Device, e.Directory, r.At, func(child catalog.Entry) error {
		return r.finishDirectories(path, child)
	})
	if err != nil {
		return err
	}
	if _, err := r.tree.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // reported when it could not be made
	}
	if err := r.tree.SetMetadata(path, entryOf(e)); err != nil {
		r.problem(path, err)
	}
	return r.ctx.Err()
}

// entryOf is what package source sets as metadata.
func entryOf(e catalog.Entry) source.Entry {
	s := source.Entry{Name: e.Name, Mode: e.Meta.Mode, ModTime: source.Time(e.Meta.ModTime), UID: e.Meta.UID, GID: e.Meta.GID,
		Target: e.Target, Major: e.Major, Minor: e.Minor}
	switch e.Kind {
	case vault.KindFile:
		s.Kind, s.Size = source.File, int64(e.SizeBytes)
	case vault.KindDirectory:
		s.Kind = source.Directory
	case vault.KindSymlink:
		s.Kind = source.Symlink
	case vault.KindSpecial:
		s.Kind = source.Special
	}
	switch e.Special {
	case vault.FIFO:
		s.Special = source.FIFO
	case vault.Socket:
		s.Special = source.Socket
	case vault.CharDevice:
		s.Special = source.CharDevice
	case vault.BlockDevice:
		s.Special = source.BlockDevice
	}
	return s
}
