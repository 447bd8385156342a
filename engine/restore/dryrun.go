package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// Action is what Run would do with an entry.
type Action byte

// The actions.
const (
	Create  Action = iota + 1
	Replace        // what is there is replaced
	Enter          // a directory that is there is restored into
	Rename         // created under another name
)

// Step is what Run would do with one entry. Paths are below the target.
type Step struct {
	Path   string // wanted
	At     string // where it would be: another than Path for Rename
	Action Action
	Entry  catalog.Entry
}

// DryRun calls f with what Run would do now, in its order, and ends with f's
// first error. Nothing is written, nothing is read from the vault, and the
// target need not be there. The report is as that of Run: problems are those
// that can be foreseen, names that the target would not keep apart, refused
// metadata, owners and damage in packs are not. Files with several names count in
// Bytes with each of them. Where a new name, such as a~2, is also the name of
// an entry, the two can get theirs in another order: Run writes files side by
// side.
func DryRun(ctx context.Context, q Request, f func(Step) error) (*Report, error) {
	r := &dryRun{run: run{Request: q, ctx: ctx, report: &Report{}}, f: f}
	top := &dryDir{top: true}
	var err error
	switch r.tree, err = source.OpenTree(q.To, false); {
	case errors.Is(err, fs.ErrNotExist):
		top.fresh = true
	case err != nil:
		return r.report, fmt.Errorf("opening the target: %w", err)
	default:
		defer r.tree.Close()
		if top.dir, err = r.enter(""); err != nil {
			return r.report, fmt.Errorf("reading the target: %w", err)
		}
	}
	for _, e := range r.apart(q.Entries) {
		if err := r.entry(top, e); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// dryRun is a run that writes nothing.
type dryRun struct {
	run
	f func(Step) error
}

// dryDir is a directory that entries would be restored into.
type dryDir struct {
	dir
	fresh bool // it is not there yet
	top   bool
	// taken are the names that the run would have made by now and that a later
	// entry can want: all in the top, elsewhere those that were not wanted.
	taken map[string]bool
}

// entry foresees what would become of an entry of a directory. The error is
// one that ends the run.
func (r *dryRun) entry(d *dryDir, e catalog.Entry) error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	step := Step{Path: below(d.path, e.Name), Entry: e, Action: Create}
	step.At = step.Path
	isDir := e.Kind == vault.KindDirectory
	there, ok := r.had(d.dir, e.Name)
	switch {
	case ok && isDir && there.Kind == source.Directory:
		if slices.Contains(r.Keep, there.ID) && there.ID != (source.FileID{}) {
			r.problem(step.Path, ErrKept)
			return nil
		}
		step.Action = Enter
	case ok && !isDir && there.Kind != source.Directory:
		step.Action = Replace
	default:
		step.At = r.free(d, step.Path)
	}
	if err := r.whole(e); errors.Is(err, vault.ErrDamaged) {
		r.problem(step.Path, err)
		return nil
	} else if err != nil {
		return err
	}
	if step.At != step.Path {
		step.Action = Rename
		r.problem(step.Path, fmt.Errorf("%w: %s", ErrRenamed, step.At))
	}
	if err := r.f(step); err != nil {
		return err
	}
	return r.count(step)
}

// count counts an entry, and goes into it if it is a directory.
func (r *dryRun) count(s Step) error {
	switch s.Entry.Kind {
	case vault.KindDirectory:
	case vault.KindFile:
		r.report.Files++
		r.report.Bytes += int64(s.Entry.SizeBytes)
		return nil
	default:
		r.report.Others++
		return nil
	}
	inner := &dryDir{dir: dir{path: s.At}, fresh: true}
	if s.Action == Enter {
		var err error
		if inner.dir, err = r.enter(s.At); err != nil {
			return r.failed(s.Path, err)
		}
		inner.fresh = false
	}
	r.report.Directories++
	return r.Catalog.Entries(r.Device, s.Entry.Directory, r.At, func(child catalog.Entry) error {
		return r.entry(inner, child)
	})
}

// whole returns vault.ErrDamaged for a file of which the vault is known to
// lack something. What a long list of chunks names is not known without
// reading it.
func (r *dryRun) whole(e catalog.Entry) error {
	if e.Kind != vault.KindFile || e.Chunks.Level > 0 {
		return nil
	}
	return r.Catalog.EachChunk(r.ctx, r.Vault, &e.Node, func(seal.Hash, catalog.Address, uint64) error { return nil })
}

// free is where place would make an entry.
func (r *dryRun) free(d *dryDir, path string) (at string) {
	at = path
	if source.CheckName(path[strings.LastIndexByte(path, '/')+1:]) != nil {
		at = possible(path)
	}
	base := possible(at)
	for n := 2; n < maxRenames && r.isTaken(d, at); n++ {
		at = numbered(base, n)
	}
	if d.top || at != path {
		if d.taken == nil {
			d.taken = map[string]bool{}
		}
		d.taken[at] = true
	}
	return at
}

// isTaken reports whether something would be where an entry is to be made.
func (r *dryRun) isTaken(d *dryDir, at string) bool {
	if d.taken[at] || d.fresh {
		return d.taken[at]
	}
	_, err := r.tree.Lstat(at)
	return err == nil
}
