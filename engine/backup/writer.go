package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// Limits say when a transaction closes: at the first of these.
type Limits struct {
	PackBytes  uint64
	Operations int
	BodyBytes  int
	After      time.Duration
}

// DefaultLimits are those of docs/vault-format.md, section 12.
func DefaultLimits() Limits {
	return Limits{PackBytes: 64 << 20, Operations: 32768, BodyBytes: 1 << 20, After: 30 * time.Second}
}

// ErrConflict is returned when another segment stands in the slot that this
// run wanted to commit to. The caller finds out whose, and runs again.
var ErrConflict = errors.New("another segment is in the way")

// Journal is the durable memory of a device that is not in the vault.
type Journal interface {
	// Head is the last committed segment of this device.
	Head() vault.Head
	// Intend records durably that a segment is about to be put.
	Intend(h vault.Head) error
	// Commit records durably that a segment is committed.
	Commit(h vault.Head) error
}

// Device is who writes.
type Device struct {
	Card        *vault.Card
	Key         ed25519.PrivateKey
	Incarnation seal.ID
}

// Writer turns chunks and operations into packs and segments. It is for one
// goroutine; frames are sealed, finished packs are put and the last segment is
// folded by others that it starts, and Close ends them: until then the catalog
// stays open, and may be one segment behind. After an error a Writer refuses
// further work; what was committed stays.
type Writer struct {
	Vault   *vault.Vault
	Catalog *catalog.Catalog
	Journal Journal
	Device  Device
	Random  io.Reader
	Limits  Limits
	Spool   string // directory for packs on their way
	Now     func() time.Time

	// Counters of everything committed or about to be.
	NewBytes, StoredBytes, Segments int64

	chunkKey seal.ChunkKey
	tx       *vault.Transaction
	opened   time.Time              // when the transaction got its first operation
	packed   uint64                 // bytes of finished packs
	pending  map[seal.Hash]struct{} // chunks of the open transaction
	folding  *folding               // of the segment before it
	sealers  *vault.Sealers
	uploads  *uploads
	pack     *vault.PackWriter
	packID   vault.PackID
	file     *os.File
	err      error
}

// folding is a segment that is being folded.
type folding struct {
	chunks map[seal.Hash]struct{} // that it has added
	done   chan error             // gets one value
}

func (w *Writer) reset() {
	w.tx, w.packed = &vault.Transaction{}, 0
	w.opened = time.Time{}
	w.pending = map[seal.Hash]struct{}{}
}

func (w *Writer) seq() uint64 { return w.Journal.Head().Seq + 1 }

func (w *Writer) add(op vault.Operation) {
	if w.tx.Count() == 0 {
		w.opened = w.Now()
	}
	w.tx.Add(op)
}

// Add appends an operation to the open transaction, and commits it if that
// makes it full.
func (w *Writer) Add(ctx context.Context, op vault.Operation) error {
	if w.err == nil {
		w.add(op)
		w.commitIfFull(ctx)
	}
	return w.err
}

// Chunk makes sure that the vault has, or will have with the open
// transaction, a chunk of that content, and returns its id. The content is
// from 1 to vault.MaxChunk bytes.
func (w *Writer) Chunk(ctx context.Context, content []byte) (seal.Hash, error) {
	id := w.chunkKey.ID(content)
	if w.err != nil {
		return id, w.err
	}
	held, err := w.Holds(id)
	if err != nil || held {
		w.err = err
		return id, err
	}
	if w.pack != nil && (w.pack.Full() || w.pack.SizeBytes() >= w.uploads.target.Load()) {
		w.finishPack(ctx)
	}
	if w.pack == nil && w.err == nil {
		w.openPack()
	}
	if w.err == nil {
		w.err = w.pack.Add(id, content)
	}
	if w.err != nil {
		return id, w.err
	}
	if w.opened.IsZero() {
		w.opened = w.Now()
	}
	w.pending[id] = struct{}{}
	w.NewBytes += int64(len(content))
	w.commitIfFull(ctx)
	return id, w.err
}

// Holds reports whether the vault has a chunk, or will have it with the open
// transaction. One that only packs to be avoided have is as good as none.
func (w *Writer) Holds(id seal.Hash) (bool, error) {
	if _, ok := w.pending[id]; ok {
		return true, nil
	}
	if w.folding != nil {
		if _, ok := w.folding.chunks[id]; ok {
			return true, nil
		}
	}
	return w.Catalog.Holds(id)
}

func (w *Writer) openPack() {
	id := vault.PackID{Device: w.Device.Card.Device, Seq: w.seq()}
	if _, err := io.ReadFull(w.Random, id.Random[:]); err != nil {
		w.err = fmt.Errorf("naming a pack: %w", err)
		return
	}
	f, err := os.CreateTemp(w.Spool, "pack-*")
	if err != nil {
		w.err = fmt.Errorf("spooling a pack: %w", err)
		return
	}
	w.file, w.packID = f, id
	w.pack, w.err = w.sealers.NewPackWriter(id, f)
}

// finishPack ends the open pack and has it put.
func (w *Writer) finishPack(ctx context.Context) {
	if w.pack == nil || w.err != nil {
		return
	}
	add, err := w.pack.Finish()
	if err != nil {
		w.err = err
		return
	}
	w.add(add)
	w.packed += add.SizeBytes
	w.StoredBytes += w.Vault.ObjectSize(int64(add.SizeBytes))
	w.uploads.put(ctx, w.packID.Name(), w.file, int64(add.SizeBytes))
	w.pack, w.file = nil, nil
}

// full reports whether the transaction is to be committed now.
func (w *Writer) full() bool {
	packs, chunks := w.packed, 0
	if w.pack != nil {
		packs += w.pack.SizeBytes()
		chunks = w.pack.Chunks()
	}
	body := w.tx.SizeBytes() + chunks*(len(seal.Hash{})+3)
	l := w.Limits
	return packs >= l.PackBytes || w.tx.Count() >= l.Operations || body >= l.BodyBytes ||
		!w.opened.IsZero() && w.Now().Sub(w.opened) >= l.After
}

func (w *Writer) commitIfFull(ctx context.Context) {
	if w.err == nil && w.full() {
		w.err = w.commit(ctx)
	}
}

// Commit commits the open transaction, unless it is empty. The catalog then
// has everything that was committed.
func (w *Writer) Commit(ctx context.Context) error {
	if w.err == nil {
		w.err = w.commit(ctx)
	}
	if w.err == nil {
		w.err = w.folded()
	}
	return w.err
}

// commit is docs/vault-format.md, section 13.
func (w *Writer) commit(ctx context.Context) error {
	w.finishPack(ctx)
	if w.err != nil || w.tx.Count() == 0 {
		return w.err
	}
	s, object, err := w.segment()
	if err != nil {
		return err
	}
	name := vault.SegmentName(s.Device, s.Seq)
	// Read back before it leaves: what bad memory made of it would end the
	// journal for ever.
	parsed, err := w.Vault.ParseSegment(w.Device.Card, s.Seq, object)
	if err != nil {
		return fmt.Errorf("reading back %s: %w: %w", name, vault.ErrBadMemory, err)
	}
	if err := w.Journal.Intend(s.Head); err != nil {
		return err
	}
	if err := w.uploads.wait(); err != nil {
		return err
	}
	whole, err := w.Vault.Whole(object)
	if err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	if err := w.Vault.Store.Put(ctx, name, storage.Body(whole)); err != nil {
		if err := w.doubt(ctx, s, name, err); err != nil {
			return err
		}
	}
	// Committed. What follows can be done again by following the journal.
	if err := w.Journal.Commit(s.Head); err != nil {
		return err
	}
	w.StoredBytes += int64(len(whole))
	w.Segments++
	w.fold(parsed)
	w.reset()
	return nil
}

// fold folds a segment of the open transaction in the background.
func (w *Writer) fold(s *vault.Segment) {
	f := &folding{w.pending, make(chan error, 1)}
	w.folding = f
	go func() {
		err := w.Catalog.Fold(s)
		if err != nil {
			err = fmt.Errorf("folding %s: %w", vault.SegmentName(s.Device, s.Seq), err)
		}
		f.done <- err
	}()
}

// folded waits until the catalog has every segment that was committed.
func (w *Writer) folded() (err error) {
	if w.folding != nil {
		err = <-w.folding.done
		w.folding = nil
	}
	return err
}

// time is now, or the commit time of our last segment if the clock was set
// back behind it.
func (w *Writer) time() (vault.Time, error) {
	if err := w.folded(); err != nil {
		return vault.Time{}, err
	}
	now := vault.TimeOf(w.Now())
	d, _, err := w.Catalog.Device(w.Device.Card.Device)
	if now.Before(d.Committed) {
		now = d.Committed
	}
	return now, err
}

// segment makes the object of the open transaction.
func (w *Writer) segment() (*vault.Segment, []byte, error) {
	head := w.Journal.Head()
	s := &vault.Segment{Head: vault.Head{Device: head.Device, Seq: head.Seq + 1}, Incarnation: w.Device.Incarnation,
		Previous: head.Hash}
	var err error
	if s.Committed, err = w.time(); err != nil {
		return nil, nil, err
	}
	devices, err := w.Catalog.Devices()
	if err != nil {
		return nil, nil, err
	}
	claims, err := w.Catalog.Claims(head.Device)
	if err != nil {
		return nil, nil, err
	}
	claimed := map[seal.ID]uint64{}
	for _, h := range claims {
		claimed[h.Device] = h.Seq
	}
	for _, d := range devices {
		if d.Head.Device != head.Device && d.Head.Seq > claimed[d.Head.Device] {
			s.Claims = append(s.Claims, d.Head)
		}
	}
	object, err := w.Vault.FormatSegment(s, w.tx, w.Device.Key)
	return s, object, err
}

// doubt finds out what a Put of our segment that returned an error did: nil
// means it is committed, and durable: the Put may have failed in its last step.
func (w *Writer) doubt(ctx context.Context, s *vault.Segment, name string, putErr error) error {
	err := w.Vault.CheckHead(ctx, s.Head)
	if err == nil {
		if err := storage.Tidy(ctx, w.Vault.Store, name, w.Now()); err != nil {
			return fmt.Errorf("putting %s: %w: %w", name, putErr, err)
		}
		return nil
	}
	if errors.Is(err, vault.ErrOtherObject) {
		return fmt.Errorf("putting %s: %w", name, ErrConflict)
	}
	return fmt.Errorf("putting %s: %w", name, putErr)
}

// Close ends what the writer has started, and removes what is spooled and not
// committed.
func (w *Writer) Close() error {
	var problems []error
	if w.uploads != nil {
		if err := w.uploads.wait(); w.err == nil {
			problems = append(problems, err)
		}
	}
	if err := w.folded(); w.err == nil {
		problems = append(problems, err)
	}
	if w.file != nil {
		problems = append(problems, discard(w.file))
		w.file = nil
	}
	if w.sealers != nil {
		w.sealers.Stop()
		w.sealers = nil
	}
	if w.err == nil {
		w.err = errors.New("closed")
	}
	return errors.Join(problems...)
}
