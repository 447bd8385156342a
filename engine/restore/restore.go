// Package restore writes back what a vault holds of a point in time.
//
// It promises that every byte it writes was verified against the id of its
// chunk; that each range of a pack is read once for as many files as a plan
// holds, in whole frames; that nothing outside of the target directory is
// touched and, without Overwrite, nothing that exists; that Overwrite puts a
// file or link in the place of another in one step, when it is complete, and
// never in the place of what the same run made; and that a file whose content
// cannot be read whole is not left behind. Memory does not grow with the
// number or size of files, their names or attributes; with Overwrite it holds the names of the
// directories that were there, those on the way from the target to one entry.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

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
	// Overwrite replaces files and links that are in the way, and restores
	// into directories that are there.
	Overwrite bool
	// NumericIDs restores owner and group by number, although the names that
	// were stored may have other numbers here.
	NumericIDs bool
	// Keep are directories in the target that nothing is restored into.
	Keep []source.FileID
	Now  func() time.Time
	// Problem is told each problem at once, never two at a time; it may be nil.
	Problem func(Problem)
	// Progress is called at most every tenth of a second, never twice at once;
	// it may be nil.
	Progress func(path string, r *Report)
}

// Problem is an entry that could not be restored as it was.
type Problem struct {
	Path string // below the target
	Err  error
}

// MaxProblems is how many problems a Report keeps.
const MaxProblems = 1000

// Report is what a run did. Sizes in bytes.
type Report struct {
	Files       int64
	Directories int64
	Others      int64
	Bytes       int64 // written
	ReadBytes   int64 // sealed bytes read
	Renamed     int64 // entries that got another name: ErrRenamed is among the problems
	// NotOwned are entries without the owner or group that they had, which
	// takes rights that this process has not: no problems.
	NotOwned int64
	// ProblemCount is how many problems there were; the first MaxProblems are
	// kept in Problems.
	ProblemCount int64
	Problems     []Problem
	Damage       error // the first damage of the vault that was met
}

// Run restores. The report is valid also with an error; damage of single
// files is in Report.Damage and does not end the run.
func Run(ctx context.Context, q Request) (*Report, error) {
	r := &run{Request: q, ctx: ctx, report: &Report{}}
	tree, err := source.OpenTree(q.To, os.Geteuid() == 0)
	if err != nil {
		return r.report, fmt.Errorf("opening the target: %w", err)
	}
	r.tree = tree
	defer tree.Close()
	r.plan.run, r.plan.chunkKey, r.links.run = r, r.Vault.Keys.ChunkKey(), r
	r.Entries = r.apart(q.Entries)
	err = r.write()
	if err != nil {
		r.plan.abandon()
	}
	if r.strangers > 1 {
		r.problem("", fmt.Errorf("%d more like the first: %w", r.strangers-1, r.strange))
	}
	r.report.NotOwned = tree.Kept()
	return r.report, errors.Join(err, r.links.end())
}

// run is one restore under way.
type run struct {
	Request
	ctx    context.Context
	tree   *source.Tree
	report *Report
	plan   plan

	mu   sync.Mutex // of report while a plan is read, and of told
	told time.Time

	owners    source.Owners // under mu
	strangers int           // entries whose owner could not be set; under mu
	strange   error         // what the first of them lacks; under mu
	links     links
}

// write writes everything.
func (r *run) write() error {
	if err := r.links.clear(); err != nil {
		r.problem("", fmt.Errorf("removing what a killed restore left: %w", err))
	}
	top, err := r.enter("")
	if err != nil {
		return fmt.Errorf("reading the target: %w", err)
	}
	for _, e := range r.Entries {
		if err := r.entry(top, e); err != nil {
			return err
		}
	}
	return r.plan.flush()
}

func (r *run) problem(path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Problem{path, err}
	if r.report.ProblemCount++; len(r.report.Problems) < MaxProblems {
		r.report.Problems = append(r.report.Problems, p)
	}
	if errors.Is(err, ErrRenamed) {
		r.report.Renamed++
	}
	if r.Problem != nil {
		r.Problem(p)
	}
	if errors.Is(err, vault.ErrDamaged) && r.report.Damage == nil {
		r.report.Damage = fmt.Errorf("restoring %s: %w", path, err)
	}
}

func (r *run) tell(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellLocked(path)
}

func (r *run) tellLocked(path string) {
	if r.Progress == nil {
		return
	}
	if t := r.Now(); t.Sub(r.told) >= time.Second/10 {
		r.told = t
		r.Progress(path, r.report)
	}
}

func below(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "/" + name
}

// entry restores one entry into a directory, or plans to. The error is one
// that ends the run.
func (r *run) entry(d dir, e catalog.Entry) error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	path := below(d.path, e.Name)
	r.tell(path)
	if e.Kind == vault.KindDirectory {
		return r.directory(d, path, e)
	}
	there, ok := r.had(d, e.Name)
	g := goal{path: path, entry: e, over: ok && there.Kind != source.Directory}
	if e.Kind == vault.KindFile {
		return r.file(g)
	}
	err := r.begin(&g, func(path string) error {
		if e.Kind == vault.KindSymlink {
			return r.tree.SymlinkAs(path, r.entryOf(e))
		}
		return r.tree.Special(path, r.entryOf(e))
	})
	if err == nil {
		err = r.complete(&g)
	}
	if err == nil {
		r.report.Others++
		return nil
	}
	return r.failed(path, err)
}

// wrote counts what was written of a file, and the file if it is whole.
func (r *run) wrote(path string, sizeBytes int, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Bytes += int64(sizeBytes)
	if whole {
		r.report.Files++
	}
	r.tellLocked(path)
}

// failed reports what could not be restored, and returns an error if nothing
// else can be written either.
func (r *run) failed(path string, err error) error {
	var known *fs.PathError
	if errors.As(err, &known) { // of a temporary name, perhaps
		err = &fs.PathError{Op: known.Op, Path: filepath.Join(r.To, filepath.FromSlash(path)), Err: known.Err}
	}
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrTarget, err)
	}
	r.problem(path, err)
	return nil
}

// dress gives what is restored its metadata. What is refused is a problem, and
// the rest of it is set.
func (r *run) dress(at, path string, e catalog.Entry) {
	r.refused(path, r.tree.SetMetadata(at, r.entryOf(e)))
}

// refused reports metadata that could not be set, if err says so. That owners
// could not be set, or what goes with them, is told of the first entry, and then of all together: who
// restores the files of others without the right to has that problem with each.
func (r *run) refused(path string, err error) {
	if err == nil {
		return
	}
	if isOwner(err) {
		r.mu.Lock()
		r.strangers++
		n := r.strangers
		for _, what := range ownerErrors() {
			if errors.Is(err, what) {
				r.strange = what
			}
		}
		r.mu.Unlock()
		if n > 1 {
			return
		}
	}
	r.problem(path, fmt.Errorf("restored, but not all of its metadata: %w", err))
}

// ownerErrors are what an entry lacks because of its owner, the least first.
func ownerErrors() []error {
	return []error{source.ErrSetID, source.ErrGiven, source.ErrOwner}
}

// isOwner reports whether an error is some of ownerErrors and nothing else.
func isOwner(err error) bool {
	is := func(what error) bool { return errors.Is(err, what) }
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			if !isOwner(e) {
				return false
			}
		}
		return true
	}
	return slices.ContainsFunc(ownerErrors(), is)
}

// directory makes a directory, or enters the one that was there, and restores
// what is in it.
func (r *run) directory(parent dir, path string, e catalog.Entry) error {
	var d dir
	var err error
	if there, ok := r.had(parent, e.Name); !ok || there.Kind != source.Directory {
		d.path, err = r.place(path, r.tree.Mkdir)
	} else if slices.Contains(r.Keep, there.ID) && there.ID != (source.FileID{}) {
		err = ErrKept
	} else {
		d, err = r.enter(path)
	}
	if err != nil {
		return r.failed(path, err) // nothing below can be restored
	}
	r.report.Directories++
	err = r.Catalog.Entries(r.Device, e.Directory, r.At, func(child catalog.Entry) error {
		return r.entry(d, child)
	})
	if err != nil {
		return err
	}
	return r.plan.leave(leaving{d.path, path, e})
}

// entryOf is what package source sets as metadata.
func (r *run) entryOf(e catalog.Entry) source.Entry {
	s := source.Entry{Name: e.Name, Mode: e.Meta.Mode, ModTime: source.Time(e.Meta.ModTime), UID: e.Meta.UID, GID: e.Meta.GID,
		Target: e.Target, Major: e.Major, Minor: e.Minor, WinAttrs: e.Meta.WinAttrs}
	if !r.NumericIDs {
		r.mu.Lock()
		s.UID, s.GID = r.owners.IDs(e.Meta.User, e.Meta.Group, s.UID, s.GID)
		r.mu.Unlock()
	}
	for _, a := range e.Meta.Attributes {
		s.Attributes = append(s.Attributes, source.Attribute(a))
	}
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
