package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// Bounds of a plan: how many pieces it holds, and how many files are open.
const (
	maxPieces  = 8192
	maxFiles   = 8192
	maxLeft    = 4096
	maxOpen    = 128
	maxSyncs   = 64 // files that are synced at the same time
	maxFrames  = 16 // of a run of pieces that one goroutine reads
	maxReaders = 4
	maxHeld    = 8 << 20 // bytes of the entries in one list: files, directories, links
)

// held is about how many bytes of memory an entry takes while it is in a list,
// with its paths: those who made the files chose most of them.
func held(e *catalog.Entry, paths ...string) int {
	const fixed = 640 // the structures themselves
	n := fixed + len(e.Name) + len(e.Target) + len(e.Meta.User) + len(e.Meta.Group) + len(e.Chunks.IDs)*len(seal.Hash{})
	for _, a := range e.Meta.Attributes {
		n += 32 + len(a.Name) + len(a.Value)
	}
	for _, path := range paths {
		n += len(path)
	}
	return n
}

// piece is a chunk and one place that it goes to.
type piece struct {
	id     seal.Hash
	at     catalog.Address
	file   *file
	offset int64
	moved  bool // at is another address than the first that was tried
}

// file is a file that is not complete yet.
type file struct {
	goal
	handle  *source.NewFile
	planned bool  // all pieces are in plans
	single  bool  // one piece is all of it, and it replaces nothing
	left    int64 // pieces that are planned and not written
	failed  bool
}

// leaving is a directory in which nothing more will be made.
type leaving struct {
	at, path string
	entry    catalog.Entry
}

// plan collects pieces until it is full, and then reads them by pack, several
// runs of them at a time. A file of a single piece, as most are, is written
// from start to end by the goroutine that has read it.
type plan struct {
	run      *run
	chunkKey seal.ChunkKey
	pieces   []piece
	left     []leaving // get their metadata after the pieces, the deepest first
	// heldFiles and heldLeft are the bytes of the files since the last reading,
	// and those of left.
	heldFiles, heldLeft int
	// flushing says that flush is under way.
	flushing bool

	mu    sync.Mutex         // of the files of several pieces, while they are read
	files map[*file]struct{} // not complete
	open  []*file            // with a handle, the oldest first
	whole []*file            // all written, and to be synced before they replace others
	idle  []*buffers
}

// add plans the content of a file.
func (p *plan) add(g goal) error {
	f := &file{goal: g}
	pieces := 0 // of the file: those that come first may be written already
	if p.files == nil {
		p.files = map[*file]struct{}{}
	}
	p.files[f] = struct{}{}
	err := p.run.Catalog.EachChunk(p.run.ctx, p.run.Vault, &g.entry.Node, func(id seal.Hash, at catalog.Address, offset uint64) error {
		p.pieces = append(p.pieces, piece{id: id, at: at, file: f, offset: int64(offset)})
		f.left++
		pieces++
		if len(p.pieces) >= maxPieces {
			return p.flush()
		}
		return nil
	})
	if errors.Is(err, vault.ErrDamaged) {
		err = p.fail(f, err)
	}
	if err != nil {
		return err
	}
	f.planned = true
	f.entry.Chunks.IDs = nil
	if f.left == 1 && pieces == 1 && !f.over && f.file == (seal.ID{}) {
		f.single = true
		delete(p.files, f)
	}
	if err := p.finish(f); err != nil {
		return err
	}
	if _, ok := p.files[f]; ok || f.single {
		p.heldFiles += held(&f.entry, f.path)
	}
	if len(p.pieces) >= maxPieces || len(p.files) >= maxFiles || p.heldFiles >= maxHeld || p.run.links.full() {
		return p.flush()
	}
	return nil
}

// leave plans the metadata of a directory.
func (p *plan) leave(d leaving) error {
	p.left = append(p.left, d)
	if p.heldLeft += held(&d.entry, d.at, d.path); len(p.left) < maxLeft && p.heldLeft < maxHeld {
		return nil
	}
	return p.flush()
}

// flush writes everything planned, and then gives the directories that were
// left their metadata. Names of files that are complete now are made in
// between, which can plan more.
func (p *plan) flush() error {
	if p.flushing {
		return p.readAll()
	}
	p.flushing = true
	defer func() { p.flushing = false }()
	for more := true; more; {
		err := p.readAll()
		if err == nil {
			more, err = p.run.links.flush()
		}
		if err != nil {
			return err
		}
	}
	for _, d := range p.left {
		p.run.dress(d.at, d.path, d.entry)
		p.run.refused(d.path, p.run.tree.SetFlags(d.at, p.run.entryOf(d.entry)))
	}
	clear(p.left)
	p.left, p.heldLeft = p.left[:0], 0
	return context.Cause(p.run.ctx)
}

// readAll reads everything planned, each range of a pack once.
func (p *plan) readAll() error {
	pieces := p.pieces
	byAddress(pieces)
	var group errgroup.Group
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxReaders))
	var broken atomic.Bool
	for len(pieces) > 0 && !broken.Load() {
		n := adjacent(pieces)
		together := pieces[:n]
		pieces = pieces[n:]
		group.Go(func() error {
			err := p.read(together)
			if err != nil {
				broken.Store(true)
			}
			return err
		})
	}
	err := errors.Join(group.Wait(), p.settle())
	clear(p.pieces)
	p.pieces, p.heldFiles = p.pieces[:0], 0
	return err
}

func byAddress(pieces []piece) {
	slices.SortStableFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.at.Pack, b.at.Pack), cmp.Compare(a.at.Offset, b.at.Offset))
	})
}

// buffers are what one goroutine needs to read.
type buffers struct {
	frames  *vault.FrameReader
	content []byte // of a chunk that lies in several frames
}

// buffers hands out buffers that nobody uses.
func (p *plan) buffers() *buffers {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		b := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return b
	}
	return &buffers{frames: p.run.Vault.NewFrameReader()}
}

func (p *plan) done(b *buffers) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, b)
}

func lastFrame(a catalog.Address) uint64 {
	return (a.Offset + uint64(a.SizeBytes) - 1) / vault.FrameSize
}

// adjacent is how many pieces from the first on lie in frames of one pack
// that follow each other, not too many of them.
func adjacent(pieces []piece) int {
	end := pieces[0].at.Offset/vault.FrameSize + maxFrames
	last := lastFrame(pieces[0].at)
	for i, q := range pieces {
		first := q.at.Offset / vault.FrameSize
		if q.at.Pack != pieces[0].at.Pack || first > last+1 || first >= end && q.at != pieces[i-1].at {
			return i
		}
		last = max(last, lastFrame(q.at))
	}
	return len(pieces)
}

// read reads the frames of adjacent pieces once, and writes the pieces.
func (p *plan) read(pieces []piece) error {
	left, err := p.readTogether(pieces)
	if errors.Is(err, vault.ErrDamaged) {
		return p.salvage(left)
	}
	return err
}

// readTogether is read up to the first damage; left are the pieces that it has
// not written.
func (p *plan) readTogether(pieces []piece) (left []piece, err error) {
	r := p.run
	pack, err := r.Catalog.Pack(pieces[0].at.Pack)
	if err != nil {
		return pieces, err
	}
	first, last := pieces[0].at.Offset/vault.FrameSize, uint64(0)
	for _, q := range pieces {
		last = max(last, lastFrame(q.at))
	}
	var sealed int64
	buffers := p.buffers()
	defer p.done(buffers)
	content := buffers.content[:0]
	defer func() { buffers.content = content[:0] }()
	err = buffers.frames.Read(r.ctx, pack, int(first), int(last), func(i int, data []byte) error {
		sealed += int64(pack.Frames[i])
		start := uint64(i) * vault.FrameSize
		end := start + uint64(len(data))
		for len(pieces) > 0 && pieces[0].at.Offset < end {
			a := pieces[0].at
			from := a.Offset + uint64(len(content))
			to := min(a.Offset+uint64(a.SizeBytes), end)
			if from < start || from > to {
				return fmt.Errorf("%s: chunks overlap: %w", pack.ID.Name(), vault.ErrDamaged)
			}
			chunk := data[from-start : to-start]
			if len(chunk) < int(a.SizeBytes) {
				content = append(content, chunk...)
				if len(content) < int(a.SizeBytes) {
					return nil // the rest is in the next frame
				}
				chunk = content
			}
			n, err := p.write(pieces, chunk)
			if err != nil {
				return err
			}
			pieces, content = pieces[n:], content[:0]
		}
		return nil
	})
	r.mu.Lock()
	r.report.ReadBytes += sealed
	r.mu.Unlock()
	return pieces, err
}

// write verifies a chunk and writes it wherever it goes; it returns how many
// pieces that were.
func (p *plan) write(pieces []piece, content []byte) (n int, err error) {
	id := pieces[0].id
	if p.chunkKey.ID(content) != id {
		return 0, fmt.Errorf("chunk %x has other content: %w", id[:8], vault.ErrDamaged)
	}
	for n < len(pieces) && pieces[n].id == id && pieces[n].at == pieces[0].at {
		if err := p.writePiece(pieces[n], content); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// give takes one piece of a file for lost.
func (p *plan) give(f *file, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.left--
	return errors.Join(p.fail(f, err), p.finish(f))
}

// writePiece writes a chunk to a file, and finishes the file if it was the
// last. The error is one that ends the run.
func (p *plan) writePiece(q piece, content []byte) (err error) {
	if q.file.single {
		err = p.writeSingle(q.file, content)
	} else {
		err = p.writePart(q.file, q.offset, content)
	}
	return errors.Join(err, context.Cause(p.run.ctx))
}

// writeSingle writes a file that is one chunk.
func (p *plan) writeSingle(f *file, content []byte) error {
	r, e := p.run, p.run.entryOf(f.entry)
	var h *source.NewFile
	err := r.begin(&f.goal, func(path string) (err error) {
		h, err = r.tree.CreateAs(path, e)
		return err
	})
	if err != nil {
		return p.fail(f, err)
	}
	if err := writeAt(h, content, 0, e.WasSparse(), int64(len(content))); err != nil {
		return p.fail(f, errors.Join(err, h.Close()))
	}
	refused, err := r.tree.Finish(h, f.at, e)
	if err != nil {
		return p.fail(f, err)
	}
	r.refused(f.path, refused)
	r.refused(f.path, r.tree.SetFlags(f.at, e))
	r.wrote(f.path, len(content), true)
	return nil
}

// writePart writes a piece of a file that has several.
func (p *plan) writePart(f *file, offset int64, content []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.left--
	if !f.failed {
		err := p.reach(f)
		if err == nil {
			err = writeAt(f.handle, content, offset, f.sparse(), int64(f.entry.SizeBytes))
		}
		if err == nil {
			p.run.wrote(f.path, len(content), false)
		} else if err = p.fail(f, err); err != nil {
			return err
		}
	}
	return p.finish(f)
}

// reach makes sure that the file has an open handle.
func (p *plan) reach(f *file) (err error) {
	if f.handle != nil {
		return nil
	}
	if len(p.open) >= maxOpen {
		oldest := p.open[0]
		if err := p.shut(oldest); err != nil {
			if err = p.fail(oldest, err); err != nil {
				return err
			}
		}
	}
	if f.made {
		f.handle, err = p.run.tree.Open(f.at)
	} else {
		err = p.run.begin(&f.goal, func(path string) (err error) {
			f.handle, err = p.run.tree.Create(path)
			return err
		})
	}
	if err == nil {
		p.open = append(p.open, f)
	}
	return err
}

// shut closes the handle of a file.
func (p *plan) shut(f *file) error {
	if f.handle == nil {
		return nil
	}
	err := f.handle.Close()
	p.release(f)
	return err
}

// release takes the handle of a file from it.
func (p *plan) release(f *file) {
	f.handle = nil
	p.open = slices.DeleteFunc(p.open, func(o *file) bool { return o == f })
}

// fail gives a file up: it is reported, and removed if it was made. The error
// is one that ends the run.
func (p *plan) fail(f *file, err error) error {
	if f.failed {
		return nil
	}
	err = p.run.failed(f.path, err)
	p.remove(f)
	return err
}

// remove removes an incomplete file.
func (p *plan) remove(f *file) {
	f.failed = true
	if err := errors.Join(p.shut(f), p.run.undo(&f.goal)); err != nil {
		p.run.problem(f.path, err)
	}
}

// finish completes a file when all of its pieces are written. The error is
// one that ends the run.
func (p *plan) finish(f *file) error {
	if f.left > 0 || !f.planned && !f.failed || f.single && !f.failed {
		return nil
	}
	if f.failed {
		delete(p.files, f)
		return nil
	}
	err := p.reach(f) // also makes an empty file
	if err == nil && !f.over {
		h := f.handle
		p.release(f)
		var refused error
		refused, err = p.run.tree.Finish(h, f.at, p.run.entryOf(f.entry))
		p.run.refused(f.path, refused)
		f.goal.whole = true
	} else if err == nil {
		err = p.shut(f)
	}
	if err != nil || !f.over {
		return p.complete(f, err)
	}
	if p.whole = append(p.whole, f); len(p.whole) < maxSyncs {
		return nil
	}
	return p.settle()
}

// settle completes the files that replace others. They are on the disk first:
// a power cut must not take both, the old and the new. Many syncs at a time
// cost little more than one.
func (p *plan) settle() error {
	files := p.whole
	p.whole = nil
	problems := make([]error, len(files))
	var group sync.WaitGroup
	for i, f := range files {
		h, err := p.run.tree.Open(f.at)
		if err != nil {
			problems[i] = err
			continue
		}
		group.Go(func() { problems[i] = errors.Join(h.Sync(), h.Close()) })
	}
	group.Wait()
	for i, f := range files {
		if err := p.complete(f, problems[i]); err != nil {
			return err
		}
	}
	return nil
}

// complete gives a file that is written its metadata and its name, if there is
// no error yet. The error is one that ends the run.
func (p *plan) complete(f *file, err error) error {
	delete(p.files, f)
	if err == nil {
		err = p.run.complete(&f.goal)
	}
	if err != nil {
		return p.fail(f, err)
	}
	p.run.wrote(f.path, 0, true)
	return nil
}

// abandon removes the files that are not complete, after an error.
func (p *plan) abandon() {
	for f := range p.files {
		p.remove(f)
	}
}
