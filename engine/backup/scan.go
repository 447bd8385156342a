package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/chunk"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

const (
	// settle is how long before its reading a file must have been touched
	// last to be taken for read: clocks of file systems are coarse.
	settle = 2 * time.Second
	// unsettled is the file id of an entry that is to be read again.
	unsettled = ^uint64(0)
	// attempts is how often a file that changes meanwhile is read.
	attempts = 3
)

// scanner is the visitor of one source.
type scanner struct {
	ctx    context.Context
	w      *Writer
	doubt  bool // Request.Doubtful
	cutter *chunk.Cutter
	source catalog.Source
	own    own // what is left out
	tell   func(path string)
	stop   <-chan struct{}
	// skipped is Request.Skipped.
	skipped func(path, why string)
	told    func(Problem) // Request.Problem
	report  *Report
	frames  []*frame
	list    chunkList // of the file that is read
	details
	// held says that the vault has a state of the source, or will have with
	// this run: one that never could be opened is no part of a mark.
	held  bool
	names series
}

// frame is a directory that is being scanned, and what the catalog knows to
// be in it, in the same order of names.
type frame struct {
	path    string // as Walk gives it
	dir     seal.ID
	known   []catalog.Entry // the current page
	after   string          // the last name seen of the catalog
	end     bool            // there are no more pages
	missing []string        // known names that the file system did not show
}

// stopped is ErrStopped once somebody wants the run to end.
func (s *scanner) stopped() error {
	select {
	case <-s.stop:
		return ErrStopped
	default:
		return nil
	}
}

func (s *scanner) top() *frame { return s.frames[len(s.frames)-1] }

// fullPath is the path of an entry for people and for Problems.
func (s *scanner) fullPath(path string) string {
	if path == "" {
		return s.source.Path
	}
	return strings.TrimSuffix(filepath.ToSlash(s.source.Path), "/") + "/" + path
}

// know advances in the catalog to a name and returns what it knows of it.
func (s *scanner) know(f *frame, name string) (*catalog.Entry, error) {
	for {
		for i := range f.known {
			e := &f.known[i]
			switch {
			case e.Name < name:
				f.missing = append(f.missing, e.Name)
				f.after = e.Name
			case e.Name == name:
				f.known, f.after = f.known[i+1:], e.Name
				s.held = true
				return e, nil
			default:
				f.known = f.known[i:]
				return nil, nil
			}
		}
		if f.end {
			f.known = nil
			return nil, nil
		}
		page, more, err := s.w.Catalog.Page(s.w.Device.Card.Device, f.dir, f.after)
		if err != nil {
			return nil, err
		}
		f.known, f.end = page, !more
	}
}

// baseName is the last name of a path of Walk; that of the start is the base
// name of the source.
func (s *scanner) baseName(path string) string {
	if path == "" {
		return BaseName(s.source.Path)
	}
	return path[strings.LastIndexByte(path, '/')+1:]
}

// Enter implements source.Visitor.
func (s *scanner) Enter(dir *source.Dir, path string, e source.Entry) error {
	if err := s.stopped(); err != nil {
		return err
	}
	s.report.Directories++
	s.tell(s.fullPath(path))
	parent := s.top()
	name := s.baseName(path)
	known, err := s.know(parent, name)
	if err != nil {
		return err
	}
	if err := storable(name, e); err != nil {
		s.unread(path, err)
		return source.SkipDir
	}
	node := nodeOf(e)
	if known != nil && untouched(&known.Node, &node) {
		node.Meta = known.Meta
	} else {
		list, err := dir.OwnAttributes()
		s.describe(path, &node, e, list, err)
		if !e.ChangeTime.Before(source.TimeOf(s.w.Now().Add(-settle))) {
			node.Meta.ChangeTime = vault.Time{}
		}
	}
	at := vault.EntryName{Parent: parent.dir, Name: name}
	isNew := known == nil || known.Kind != vault.KindDirectory
	if isNew {
		if node.Directory, isNew, err = s.directoryID(at); err != nil {
			return err
		}
	} else {
		node.Directory = known.Directory
	}
	if known == nil || !sameDirectory(&known.Node, &node) {
		if err := s.put(at, node, known); err != nil {
			return err
		}
	} else {
		s.report.Unchanged++
	}
	if s.own.is(s.fullPath(path), e) {
		return source.SkipDir
	}
	s.frames = append(s.frames, &frame{path: path, dir: node.Directory, end: isNew})
	return nil
}

// directoryID is the id of a directory that is not in the catalog now: its
// old one if it was there before, and whether it is a new one.
func (s *scanner) directoryID(at vault.EntryName) (id seal.ID, isNew bool, err error) {
	id, was, err := s.w.Catalog.Gone(s.w.Device.Card.Device, at)
	if err != nil || was {
		return id, false, err
	}
	if id, err = s.names.next(s.w.Random); err != nil {
		return id, false, fmt.Errorf("naming a directory: %w", err)
	}
	return id, true, nil
}

// series makes ids of directories that rise in the order in which they are
// made. The catalog keeps directories by id: what a scan asks for one after
// the other then lies together. Twelve bytes are random.
type series struct {
	start [4]byte // random; zero until the first id
	count uint32
}

func (n *series) next(random io.Reader) (id seal.ID, err error) {
	if n.count == 0 {
		_, err = io.ReadFull(random, n.start[:])
	}
	if err == nil {
		_, err = io.ReadFull(random, id[8:])
	}
	copy(id[:], n.start[:])
	binary.BigEndian.PutUint32(id[4:], n.count)
	n.count++
	return id, err
}

// Leave implements source.Visitor.
func (s *scanner) Leave(_ string, _ source.Entry, whole bool) error {
	f := s.top()
	s.frames = s.frames[:len(s.frames)-1]
	if !whole {
		return nil
	}
	return s.deleteMissing(f)
}

// deleteMissing deletes what the catalog knows and the file system did not
// show.
func (s *scanner) deleteMissing(f *frame) error {
	for {
		for _, e := range f.known {
			f.missing = append(f.missing, e.Name)
			f.after = e.Name
		}
		for _, name := range f.missing {
			s.report.Deleted++
			at := vault.EntryName{Parent: f.dir, Name: name}
			if err := s.w.Add(s.ctx, &vault.Delete{EntryName: at, Reason: vault.Gone}); err != nil {
				return err
			}
		}
		f.missing = nil
		if f.end {
			return nil
		}
		page, more, err := s.w.Catalog.Page(s.w.Device.Card.Device, f.dir, f.after)
		if err != nil {
			return err
		}
		f.known, f.end = page, !more
	}
}

// Problem implements source.Visitor. What cannot be examined keeps its last
// state.
func (s *scanner) Problem(path string, err error) error {
	f := s.top()
	if len(s.frames) > 1 && path == f.path {
		s.unread(path, err)
		return nil // the list of the directory itself broke off
	}
	if len(s.frames) == 1 && source.IsGone(err) {
		s.unread(path, err)
		return nil
	}
	known, kerr := s.know(f, s.baseName(path))
	if !s.vanished(path, err, known) {
		s.unread(path, err)
	}
	return kerr
}

// vanished reports whether an error says that an entry of a directory is gone
// since it was listed, and notes that the vault's is to be deleted. A source is
// no such entry: somebody named it.
func (s *scanner) vanished(path string, err error, known *catalog.Entry) bool {
	if len(s.frames) == 1 || !source.IsGone(err) {
		return false
	}
	if known != nil {
		f := s.top()
		f.missing = append(f.missing, s.baseName(path))
	}
	return true
}

// unread reports what keeps the state it had.
func (s *scanner) unread(path string, err error) {
	s.report.Unreadable++
	s.problem(path, err)
}

func (s *scanner) problem(path string, err error) {
	s.report.problem(Problem{s.fullPath(path), err}, s.told)
}

// Visit implements source.Visitor.
func (s *scanner) Visit(dir *source.Dir, path string, e source.Entry) error {
	if err := s.stopped(); err != nil {
		return err
	}
	s.tell(s.fullPath(path))
	f := s.top()
	name := s.baseName(path)
	known, err := s.know(f, name)
	if err != nil {
		return err
	}
	at := vault.EntryName{Parent: f.dir, Name: name}
	if why := e.Skip(); why != "" {
		return s.skip(path, at, e, why, known)
	}
	if err := storable(name, e); err != nil {
		s.unread(path, err)
		return nil
	}
	if e.Kind == source.File {
		s.report.Files++
		s.report.Bytes += e.Size
		err := s.file(dir, path, at, e, known)
		s.report.DoneBytes = s.report.Bytes
		return err
	}
	node := nodeOf(e)
	list, err := dir.Attributes(e.Name)
	if source.IsGone(err) { // which it is without /proc, too
		if _, gone := dir.Lstat(e.Name); s.vanished(path, gone, known) {
			return nil
		}
	}
	s.report.Others++
	s.describe(path, &node, e, list, err)
	if known != nil && sameNode(&known.Node, &node) {
		s.report.Unchanged++
		return nil
	}
	return s.put(at, node, known)
}

// skip leaves out what no backup can have, and says so. What an earlier one had
// under that name is gone, but for a file whose content is elsewhere now: that
// keeps its last state.
func (s *scanner) skip(path string, at vault.EntryName, e source.Entry, why string, known *catalog.Entry) error {
	s.report.Skipped++
	if s.skipped != nil {
		s.skipped(s.fullPath(path), why)
	}
	if known == nil || e.Kind == source.File {
		return nil
	}
	s.report.Deleted++
	return s.w.Add(s.ctx, &vault.Delete{EntryName: at, Reason: vault.Unselected})
}

// describe completes a node that may be put, and reports what could not be
// read of its metadata.
func (s *scanner) describe(path string, n *vault.Node, e source.Entry, list []source.Attribute, err error) {
	problems := s.details.describe(s.w.chunkKey, n, e, list)
	if err != nil {
		problems = append(problems, err)
	}
	for _, p := range problems {
		s.problem(path, p)
	}
}

// put puts an entry that is new or changed.
func (s *scanner) put(at vault.EntryName, node vault.Node, known *catalog.Entry) error {
	s.held = true
	s.report.Changed++
	if known == nil {
		s.report.New++
	}
	return s.w.Add(s.ctx, &vault.Put{EntryName: at, Node: node})
}

// file puts a file if it is new or changed.
func (s *scanner) file(dir *source.Dir, path string, at vault.EntryName, e source.Entry, known *catalog.Entry) error {
	same := known != nil && unchanged(&known.Node, e)
	if same {
		sound, err := s.sound(&known.Node)
		if err != nil {
			return err
		}
		if sound {
			s.report.Unchanged++
			return nil
		}
	}
	if node, ok := s.other(e); ok {
		return s.put(at, node, known)
	}
	node, err := s.read(dir, path, e.Name)
	var broken *readError
	switch {
	case errors.As(err, &broken) && s.vanished(path, broken.err, known):
		return nil
	case errors.As(err, &broken):
		s.unread(path, broken.err)
		return nil
	case errors.Is(err, ErrChanged):
		s.problem(path, ErrChanged)
	case err != nil:
		return err
	}
	if same && sameContent(&known.Node, &node) {
		s.report.Unchanged++ // only its chunks were lacking
		return nil
	}
	return s.put(at, node, known)
}

// sound reports whether the vault holds all of a file. Only where a pack is to
// be avoided, or a journal has lost a part, there is reason to ask.
func (s *scanner) sound(n *vault.Node) (bool, error) {
	if !s.doubt && !s.w.Catalog.Avoids() {
		return true, nil
	}
	lacks, err := s.w.Catalog.Lacks(s.ctx, s.w.Vault, n.Chunks, s.w.Holds)
	return !lacks, err
}

// readError is an error of a source, as opposed to one of the vault.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// read reads a file into chunks. It returns ErrChanged, with the node of what
// was read, for a file that is never the same before and after.
func (s *scanner) read(dir *source.Dir, path, name string) (node vault.Node, err error) {
	for try := 1; ; try++ {
		started := s.w.Now()
		r, err := dir.OpenFile(name)
		if err != nil {
			return node, &readError{err}
		}
		e := r.Entry()
		node = nodeOf(e)
		list, listErr := r.Attributes()
		node.SizeBytes, err = s.chunks(r)
		changed := false
		if err == nil {
			if changed, err = r.Changed(); err != nil {
				err = &readError{err}
			}
			changed = changed || e.Sparse && node.SizeBytes != uint64(e.Size)
		}
		if closeErr := r.Close(); err == nil && closeErr != nil {
			err = &readError{closeErr}
		}
		if err != nil {
			return node, err
		}
		if changed && try < attempts {
			continue
		}
		s.describe(path, &node, e, list, listErr)
		if node.Chunks, err = s.list.end(s.ctx); err != nil {
			return node, err
		}
		recent := source.TimeOf(started.Add(-settle))
		if changed || !e.ModTime.Before(recent) || !e.ChangeTime.Before(recent) {
			node.Meta.FileID, node.Meta.ChangeTime = unsettled, vault.Time{}
		}
		if changed {
			return node, ErrChanged
		}
		s.remember(e, node)
		return node, nil
	}
}

// chunks cuts a file and hands its chunks to the writer, and to the list.
func (s *scanner) chunks(r *source.Reader) (size uint64, err error) {
	s.cutter.Reset(r)
	s.list.reset()
	sparse := r.Entry().Sparse
	if sparse { // asking for holes moves the place where Read goes on
		s.cutter.Reset(io.NewSectionReader(r, 0, math.MaxInt64))
	}
	for {
		if sparse {
			n, err := s.hole(r, int64(size))
			if err != nil {
				return 0, err
			}
			size += uint64(n)
		}
		content, err := s.cutter.Next()
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return 0, &readError{err}
		}
		if err := errors.Join(s.ctx.Err(), s.stopped()); err != nil {
			return 0, err
		}
		id, err := s.w.Chunk(s.ctx, content)
		if err != nil {
			return 0, err
		}
		if err := s.list.add(s.ctx, id); err != nil {
			return 0, err
		}
		size += uint64(len(content))
		s.report.ReadBytes += int64(len(content))
		s.report.DoneBytes = min(s.report.DoneBytes+int64(len(content)), s.report.Bytes)
		s.tell("")
	}
}

// hole adds the chunks of zeros that the hole at an offset is cut into,
// without reading it, and returns how many bytes they are. The end of a hole
// is left to the cutter: there, what follows decides.
func (s *scanner) hole(r *source.Reader, offset int64) (n int64, err error) {
	maximum := int64(s.w.Vault.Config.Chunker.Maximum)
	left := r.Hole(offset)
	if left < maximum {
		return 0, nil
	}
	if s.zeroes == 0 {
		s.cutter.Reset(bytes.NewReader(make([]byte, maximum)))
		content, err := s.cutter.Next()
		if err != nil {
			return 0, err
		}
		if s.zero, err = s.w.Chunk(s.ctx, content); err != nil {
			return 0, err
		}
		s.zeroes = len(content)
	}
	for ; left >= maximum; left -= int64(s.zeroes) {
		if err := errors.Join(s.ctx.Err(), s.stopped()); err != nil {
			return 0, err
		}
		if err := s.list.add(s.ctx, s.zero); err != nil {
			return 0, err
		}
		n += int64(s.zeroes)
	}
	s.report.DoneBytes = min(s.report.DoneBytes+n, s.report.Bytes)
	s.tell("")
	s.cutter.Reset(io.NewSectionReader(r, offset+n, math.MaxInt64-offset-n))
	return n, s.ctx.Err()
}
