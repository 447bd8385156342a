// Package backup is one run of a backup: it scans sources, reads what is new
// or changed, and commits it to the vault in transactions.
//
// It promises that a file is read only if its size, times, identity, mode,
// owner or Windows attributes changed, or it has several names and had one, or
// one and had several; if it was touched about when it was read last; or if the
// vault lacks a part of it; that memory does not grow with the sizes of files;
// that whatever a run could not read is reported and keeps the last state the
// vault knows of it; and that a Mark is written only after every source of it
// was scanned to the end. Stopped at any point, what was committed stays and the
// next run goes on from there.
package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/chunk"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// ErrChanged is the problem of a file that changed each time it was read: the
// vault has what was read last, and the next run reads it again.
var ErrChanged = errors.New("changed while it was read")

// ErrStopped is returned when Request.Stop has ended a run.
var ErrStopped = errors.New("stopped")

// Problem is a source, or something in it, that could not be read.
type Problem struct {
	Path string
	Err  error
}

// MaxProblems is how many problems a Report keeps: a disk that dies has one
// with each of its files.
const MaxProblems = 1000

// Report is what a run did. Sizes in bytes.
type Report struct {
	Mark        seal.ID // zero if no mark was written
	Files       int64
	Directories int64
	Others      int64
	Changed     int64
	New         int64 // of the changed
	Unchanged   int64
	Unreadable  int64 // sources and entries that keep the state they had, if any
	Skipped     int64 // entries that no backup can have, sockets for example
	Deleted     int64
	Bytes       int64
	DoneBytes   int64 // of Bytes, what is behind us
	ReadBytes   int64
	// ProblemCount is how many problems there were; the first MaxProblems are
	// kept in Problems.
	ProblemCount int64
	Problems     []Problem
}

// Request says what to back up.
type Request struct {
	Paths []string // absolute and clean
	Label string
	// Own are directories of holm itself whose contents are left out, under
	// whatever name they are met.
	Own []string
	// NoMark writes no mark: what is read is for the next one.
	NoMark bool
	// Doubtful says that a journal has lost a part: what is unchanged is asked
	// whether its chunks are still in the vault, and read again if not.
	Doubtful bool
	// Stop, once closed, ends the run at the next entry, or within a large
	// file. What was read until then is committed, and the error is
	// ErrStopped. It may be nil.
	Stop <-chan struct{}
	// Skipped is told what is left out because no backup can have it, and why;
	// it may be nil.
	Skipped func(path, why string)
	// Problem is told each problem at once; it may be nil.
	Problem func(Problem)
	// Progress is called at most every tenth of a second; it may be nil.
	Progress func(path string, r *Report)
}

// Run backs up the sources with a writer that has begun, and commits. The
// report is valid also with an error.
func Run(ctx context.Context, w *Writer, q Request) (*Report, error) {
	report := &Report{}
	var gear [256]uint64
	w.Vault.Keys.Gear(&gear)
	cutter := chunk.NewCutter(&gear, chunk.Sizes(w.Vault.Config.Chunker))
	own, err := examineOwn(q.Own)
	if err != nil {
		return report, err
	}
	var scanned []seal.ID
	for _, path := range q.Paths {
		src, err := w.sourceOf(ctx, path, own)
		var broken *readError
		if errors.As(err, &broken) {
			report.problem(Problem{path, broken.err}, q.Problem)
			report.Unreadable++
			continue
		}
		if err != nil {
			return report, err
		}
		s := &scanner{ctx: ctx, w: w, cutter: cutter, source: src, own: own, report: report, stop: q.Stop, skipped: q.Skipped, told: q.Problem, list: newChunkList(w.Chunk),
			tell: teller(w.Now, q.Progress, report), frames: []*frame{{dir: src.ID}}}
		s.doubt = q.Doubtful
		if err := source.Walk(ctx, path, w.Spool, s); errors.Is(err, ErrStopped) {
			return report, cmp.Or(w.Commit(ctx), err)
		} else if err != nil {
			return report, err
		}
		if s.held {
			scanned = append(scanned, src.ID)
		}
	}
	if len(scanned) == 0 || q.NoMark {
		return report, w.Commit(ctx)
	}
	var id seal.ID
	if _, err := io.ReadFull(w.Random, id[:]); err != nil {
		return report, fmt.Errorf("naming a mark: %w", err)
	}
	now, err := w.time()
	if err != nil {
		return report, err
	}
	mark := &vault.Mark{ID: id, Time: now, Label: q.Label, Sources: scanned}
	if err := w.Add(ctx, mark); err != nil {
		return report, err
	}
	if err := w.Commit(ctx); err != nil {
		return report, err
	}
	report.Mark = id
	return report, nil
}

// problem counts a problem and tells it.
func (r *Report) problem(p Problem, tell func(Problem)) {
	if r.ProblemCount++; len(r.Problems) < MaxProblems {
		r.Problems = append(r.Problems, p)
	}
	if tell != nil {
		tell(p)
	}
}

// teller makes the function that reports progress now and then.
func teller(now func() time.Time, progress func(string, *Report), r *Report) func(string) {
	var last time.Time
	var current string
	return func(path string) {
		if path != "" {
			current = path
		}
		if t := now(); progress != nil && t.Sub(last) >= time.Second/10 {
			last = t
			progress(current, r)
		}
	}
}

// sourceOf returns the source of a path, a new one if this device has none.
// A readError is for the report.
func (w *Writer) sourceOf(ctx context.Context, path string, own own) (catalog.Source, error) {
	if own.hold(path) {
		return catalog.Source{}, &readError{ErrOwn}
	}
	list, err := w.Catalog.Sources(w.Device.Card.Device)
	if err != nil {
		return catalog.Source{}, err
	}
	for _, s := range list {
		if s.Path == path && s.System == runtime.GOOS {
			return s, nil
		}
	}
	s := catalog.Source{Path: path, System: runtime.GOOS}
	if _, err := os.Lstat(path); err != nil {
		return s, &readError{err} // nothing to declare
	}
	if _, err := io.ReadFull(w.Random, s.ID[:]); err != nil {
		return s, fmt.Errorf("naming a source: %w", err)
	}
	return s, w.Add(ctx, &vault.Source{ID: s.ID, Path: s.Path, System: s.System})
}
