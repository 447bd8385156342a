package source

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
)

// A Visitor is told what a walk comes by. Paths are relative to the start of
// the walk, with slashes, raw bytes; the start itself is "". An error of a
// method ends the walk, and Walk returns it.
type Visitor interface {
	// Enter announces a directory before anything in it. SkipDir leaves
	// out what is in it, and its Leave. dir is the open directory itself.
	Enter(dir *Dir, path string, e Entry) error
	// Visit shows an entry that is no directory; dir is the open directory
	// that has it and is valid during the call.
	Visit(dir *Dir, path string, e Entry) error
	// Leave follows when all of a directory was seen. whole is false when
	// entries may be missing from what was shown: then nothing can be said
	// to be deleted.
	Leave(path string, e Entry, whole bool) error
	// Problem reports what cannot be examined or opened; the walk goes on.
	Problem(path string, err error) error
}

// How far the listing of directories may be ahead of the visitor: so many
// batches of steps, and so many directories that it is done with and the
// visitor is not.
const (
	batchSteps = 64
	batches    = 3
	doneUnseen = 32
)

// Walk shows everything at and below a path of the system, each directory in
// the order of the bytes of its names, depth first. Symbolic links are shown
// and not followed, the start included. Directories are listed, and what is in
// them examined, by another goroutine up to 192 entries ahead; the visitor
// is called by the caller's. For each level, and for a few directories ahead,
// a handle and a list of names is held, the names of a huge directory in a
// temporary file in spool. Cancelling ctx ends the walk between entries.
func Walk(ctx context.Context, start, spool string, v Visitor) error {
	takeRights()
	e, err := Lstat(start)
	if err != nil {
		return v.Problem("", err)
	}
	if e.Kind != Directory {
		return visitOne(start, e, v)
	}
	l := newLister(spool)
	go l.run(start, e)
	w := walker{ctx: ctx, v: v, l: l}
	defer w.end()
	return w.follow()
}

// visitOne shows a start that is no directory.
func visitOne(start string, e Entry, v Visitor) error {
	d, err := OpenDir(filepath.Dir(start))
	if err != nil {
		return v.Problem("", err)
	}
	defer d.Close()
	return v.Visit(d, "", e)
}

// A step is one call of a visitor that is to come.
type step struct {
	kind  stepKind
	dir   *listed
	path  string
	entry Entry
	err   error // of a problem
	whole bool  // of leave
}

type stepKind uint8

const (
	enter stepKind = iota
	visit
	leave
	problem
)

// listed is a directory that the lister has come to.
type listed struct {
	*Dir
	parent  *listed
	skipped atomic.Bool // the visitor wants nothing of what is in it
}

// unwanted reports whether the directory or one above it is skipped.
func (d *listed) unwanted() bool {
	for ; d != nil; d = d.parent {
		if d.skipped.Load() {
			return true
		}
	}
	return false
}

// lister makes the steps of a walk, in batches.
type lister struct {
	lot    lot
	batch  []step
	full   chan []step   // to the walker; closed after the last
	empty  chan []step   // back from it
	done   chan struct{} // closed when no more steps are wanted
	unseen chan struct{} // one for each directory that the lister has left and the walker has not
}

func newLister(spool string) *lister {
	l := &lister{
		lot:    lot{spool: spool, most: maxNames},
		full:   make(chan []step, batches),
		empty:  make(chan []step, batches),
		done:   make(chan struct{}),
		unseen: make(chan struct{}, doneUnseen),
	}
	for range batches {
		l.empty <- make([]step, 0, batchSteps)
	}
	return l
}

func (l *lister) run(start string, e Entry) {
	defer close(l.full)
	l.batch = <-l.empty
	if l.directory(nil, "", e, func() (*Dir, error) { return OpenDir(start) }) {
		l.flush()
	}
}

// add adds a step and reports whether to go on.
func (l *lister) add(s step) bool {
	l.batch = append(l.batch, s)
	return len(l.batch) < batchSteps || l.flush()
}

// flush hands over the steps made so far.
func (l *lister) flush() bool {
	l.full <- l.batch
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.batch = <-l.empty:
		return true
	case <-l.done:
		return false
	}
}

// directory lists one directory, which open opens, and reports whether to go
// on.
func (l *lister) directory(parent *listed, path string, e Entry, open func() (*Dir, error)) bool {
	dir, err := open()
	if err != nil {
		return l.add(step{kind: problem, path: path, err: err})
	}
	d := &listed{Dir: dir, parent: parent}
	if !l.add(step{kind: enter, dir: d, path: path, entry: e}) {
		return false
	}
	whole := true
	for child, err := range d.all(&l.lot) {
		if d.unwanted() {
			break
		}
		childPath := child.Name
		if path != "" && child.Name != "" {
			childPath = path + "/" + child.Name
		} else if child.Name == "" {
			childPath = path
		}
		more := false
		switch {
		case err != nil:
			whole = false
			more = l.add(step{kind: problem, path: childPath, err: err})
		case child.Kind == Directory:
			more = l.directory(d, childPath, child, func() (*Dir, error) { return d.OpenDir(child.Name) })
		default:
			more = l.add(step{kind: visit, dir: d, path: childPath, entry: child})
		}
		if !more {
			return false
		}
	}
	return l.leave(step{kind: leave, dir: d, path: path, entry: e, whole: whole})
}

// leave adds the last step of a directory. It waits for the walker, which
// closes directories, if too many are open that are done with.
func (l *lister) leave(s step) bool {
	select {
	case l.unseen <- struct{}{}:
		return l.add(s)
	default:
	}
	if !l.flush() {
		return false
	}
	select {
	case l.unseen <- struct{}{}:
		return l.add(s)
	case <-l.done:
		return false
	}
}

// walker calls the visitor.
type walker struct {
	ctx     context.Context
	v       Visitor
	l       *lister
	open    []*listed // entered and not left
	skipped *listed   // the directory that is left out, until it is left
	rest    []step    // not taken when the walk ended early
}

// follow takes the steps that the lister makes.
func (w *walker) follow() error {
	for batch := range w.l.full {
		for i := range batch {
			if err := w.take(&batch[i]); err != nil {
				w.rest = batch[i+1:]
				return err
			}
		}
		clear(batch)
		w.l.empty <- batch[:0]
	}
	return nil
}

// take opens or closes what a step opens or closes, and calls the visitor.
func (w *walker) take(s *step) error {
	switch s.kind {
	case enter:
		w.open = append(w.open, s.dir)
	case leave:
		w.open = w.open[:len(w.open)-1]
		s.dir.Close()
		<-w.l.unseen
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.skipped != nil {
		if s.kind == leave && s.dir == w.skipped {
			w.skipped = nil
		}
		return nil
	}
	return w.show(s)
}

// show calls the visitor for a step.
func (w *walker) show(s *step) error {
	switch s.kind {
	case enter:
		err := w.v.Enter(s.dir.Dir, s.path, s.entry)
		if errors.Is(err, SkipDir) {
			w.skipped, err = s.dir, nil
			s.dir.skipped.Store(true)
		}
		return err
	case leave:
		return w.v.Leave(s.path, s.entry, s.whole)
	case problem:
		return w.v.Problem(s.path, s.err)
	}
	return w.v.Visit(s.dir.Dir, s.path, s.entry)
}

// end ends the lister, and closes what is open once that uses nothing any
// more.
func (w *walker) end() {
	close(w.l.done)
	for batch := range w.l.full {
		w.rest = append(w.rest, batch...)
	}
	for i := range w.rest {
		if w.rest[i].kind == enter {
			w.rest[i].dir.Close()
		}
	}
	for _, d := range w.open {
		d.Close()
	}
}
