package vault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"holm.example/engine/storage"
)

// flagParity says in a head that a parity tail follows the body.
const flagParity = 1

// maxPatches is how many patches are remembered: readers of one pack come soon after each other.
const maxPatches = 4

// ObjectSize is the size of an object, other than a wrapped key, whose body has that many bytes.
func (v *Vault) ObjectSize(body int64) int64 {
	if v.parity {
		return ParitySize(body)
	}
	return body
}

// bodySize is the size of the body of an object that has size bytes.
func (v *Vault) bodySize(size int64) (int64, error) {
	if v.parity {
		return ParityBody(size)
	}
	return size, nil
}

// AppendTail writes what follows the body of an object behind it into the spool, and returns the size of the object.
func (v *Vault) AppendTail(spool ReadWriterAt, body int64) (size int64, err error) {
	if !v.parity {
		return body, nil
	}
	return ParitySize(body), AppendParity(spool, body)
}

// Whole is an object as the store gets it: its body and what follows it.
func (v *Vault) Whole(body []byte) ([]byte, error) {
	if !v.parity {
		return body, nil
	}
	whole := inMemory(make([]byte, ParitySize(int64(len(body)))))
	copy(whole, body)
	return whole, AppendParity(whole, int64(len(body)))
}

// inMemory is a spool of a size that is known.
type inMemory []byte

func (m inMemory) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(m).ReadAt(b, at) }

func (m inMemory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

// Strict is a handle of the same vault for who checks it: it reads the tails too, tells only repaired of what parity made good, and shares no memory of
// repairs with others.
func (v *Vault) Strict(repaired func(object string, err error)) *Vault {
	s := *v
	s.strict, s.Repaired, s.patches = true, repaired, &patches{}
	return &s
}

// tell says that the damage of an object is made good.
func (v *Vault) tell(name, what string) {
	if v.Repaired != nil {
		v.Repaired(name, fmt.Errorf("%s: %w: %s, %w", name, ErrDamaged, what, ErrRepairable))
	}
}

// patch is what parity makes good of the body of an object.
type patch struct {
	name string
	body int64 // its size
	lost losses
	runs []run
	err  error // ErrBeyondParity
}

// run are bytes and where they belong.
type run struct {
	at int64
	b  []byte
}

// WriteAt takes a shard; they come in their order.
func (p *patch) WriteAt(b []byte, at int64) (int, error) {
	p.runs = append(p.runs, run{at, bytes.Clone(b)})
	return len(b), nil
}

// patches are the last ones that were made. One is made at a time, which bounds the memory for it.
type patches struct {
	mu   sync.Mutex
	last []*patch
}

// patch returns what parity makes good of an object with a body of that size, or ErrBeyondParity. What is found is remembered where everything was read,
// and who checks is given no other: what could not be read now may be whole.
func (v *Vault) patch(ctx context.Context, name string, body int64) (*patch, error) {
	if body < 1 || body > MaxPack {
		return nil, ErrBeyondParity
	}
	all := v.patches
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, p := range all.last {
		if p.name == name && p.body == body {
			return p, p.err
		}
	}
	p, shape := &patch{name: name, body: body}, shapeOf(body)
	p.lost, p.err = shape.repair(stored{ctx, v, name}, p)
	if p.err != nil && !errors.Is(p.err, ErrBeyondParity) {
		return nil, p.err
	}
	if p.lost.unread != nil {
		if v.strict {
			return nil, p.lost.unread
		}
		return p, nil
	}
	if len(all.last) == maxPatches {
		all.last = all.last[1:]
	}
	all.last = append(all.last, p)
	if p.err == nil && p.lost.shards > 0 {
		v.tell(name, shape.say(p.lost.shards))
	}
	return p, p.err
}

// say is how much of an object is damaged, for people.
func (p parityShape) say(damaged int) string {
	return fmt.Sprintf("%d of %d shards", damaged, p.shards())
}

// stored reads an object in the store.
type stored struct {
	ctx  context.Context
	v    *Vault
	name string
}

func (s stored) ReadAt(b []byte, at int64) (int, error) {
	got, err := s.v.readRange(s.ctx, s.name, at, int64(len(b)))
	return copy(b, got), err
}

// repairedRange reads a range of the body of an object, made good from its parity, for who found it damaged and says why.
func (v *Vault) repairedRange(ctx context.Context, name string, body, offset, length int64, why error) ([]byte, error) {
	if !v.parity || storeGone(why) || errors.Is(why, storage.ErrNotFound) {
		return nil, why
	}
	p, err := v.patch(ctx, name, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", why, err)
	}
	return v.readPatched(ctx, p, offset, length)
}

// readPatched reads a range around what a patch has of it.
func (v *Vault) readPatched(ctx context.Context, p *patch, offset, length int64) ([]byte, error) {
	b, end := make([]byte, 0, length), offset+length
	read := func(to int64) error {
		if to <= offset {
			return nil
		}
		got, err := v.readRange(ctx, p.name, offset, to-offset)
		b, offset = append(b, got...), to
		return err
	}
	for _, r := range p.runs {
		stop := min(r.at+int64(len(r.b)), end)
		if stop <= offset || r.at >= end {
			continue
		}
		if err := read(r.at); err != nil {
			return nil, err
		}
		b, offset = append(b, r.b[offset-r.at:stop-r.at]...), stop
	}
	return b, read(end)
}

// CheckSize compares the size of a pack's object in the store with what it has to be. A wrong one is ErrDamaged, unless parity makes that good.
func (v *Vault) CheckSize(ctx context.Context, p *Pack, size int64) error {
	name := p.ID.Name()
	if p.SizeBytes > MaxPack {
		return fmt.Errorf("%s: a pack of %d bytes: %w", name, p.SizeBytes, ErrDamaged)
	}
	want := v.ObjectSize(int64(p.SizeBytes))
	if size == want {
		return nil
	}
	what := fmt.Sprintf("%d bytes, not %d", size, want)
	if !v.parity {
		return fmt.Errorf("%s: %s: %w", name, what, ErrDamaged)
	}
	if size < int64(p.SizeBytes) { // else the body is there, whatever is behind it
		if _, err := v.patch(ctx, name, int64(p.SizeBytes)); err != nil {
			return packError(name, fmt.Errorf("%s: %w", what, err))
		}
	}
	v.tell(name, what)
	return nil
}

// CheckTail reads the parity tail of a pack whose size is checked, and tells of damage in it.
func (v *Vault) CheckTail(ctx context.Context, p *Pack) error {
	if !v.parity {
		return nil
	}
	name := p.ID.Name()
	whole, err := shapeOf(int64(p.SizeBytes)).tailWhole(stored{ctx, v, name})
	if err != nil {
		return packError(name, err)
	}
	if !whole {
		v.tell(name, tailDamaged)
	}
	return nil
}

// Renew stores a card or a segment again under its name, in one step, with the bytes that it had: what parity made good of it, verified, and a new tail. It
// reports whether it did: not if the name is that of no such object, or the damage does not show a second time.
func (v *Vault) Renew(ctx context.Context, name string) (done bool, err error) {
	var body []byte
	damaged := false
	v = v.Strict(func(object string, _ error) { damaged = damaged || object == name })
	if device, seq, err := ParseSegmentName(name); err == nil {
		card, err := v.ReadCard(ctx, device)
		if err != nil {
			return false, err
		}
		if _, body, err = v.readSegment(ctx, card, seq); err != nil {
			return false, err
		}
	} else if device, err := ParseCardName(name); err == nil {
		if _, body, err = v.readCard(ctx, device); err != nil {
			return false, err
		}
	} else {
		return false, nil
	}
	if !damaged {
		return false, nil
	}
	whole, err := v.Whole(body)
	if err == nil {
		err = storage.Overwrite(ctx, v.Store, name, storage.Body(whole))
	}
	if err != nil {
		return false, fmt.Errorf("storing %s again: %w", name, err)
	}
	return true, nil
}

// tailDamaged is what is said of an object whose body is whole.
const tailDamaged = "its parity tail"

// fetched is an object that was read in one piece, as far as that went.
type fetched struct {
	v    *Vault
	name string
	from io.ReaderAt
	size int64
	b    []byte
	err  error // why there are no bytes
}

// fetch gets an object whose body has at most limit bytes. The error is one that parity cannot help against.
func (v *Vault) fetch(ctx context.Context, name string, limit int64) (*fetched, error) {
	b, err := getObject(ctx, v.Store, name, v.ObjectSize(limit))
	if err == nil {
		return &fetched{v, name, bytes.NewReader(b), int64(len(b)), b, nil}, nil
	}
	if !v.parity || storeGone(err) || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrTooLarge) {
		return nil, err
	}
	for o, listErr := range v.Store.List(ctx, name) { // a part of it may be unreadable
		if listErr != nil || o.Name != name {
			break
		}
		return &fetched{v, name, stored{ctx, v, name}, o.SizeBytes, nil, err}, nil
	}
	return nil, err
}

// body has take verify the body of the object, and again what parity makes of it if it is damaged. If that does not help the size may be damaged: next
// gives the sizes that a body of this kind can have, from the one after 0 on. Only of bytes that are there: each size would be read anew.
func (o *fetched) body(ctx context.Context, next func(int64) int64, take func(body []byte) error) error {
	if !o.v.parity {
		return take(o.b)
	}
	body, err := ParityBody(o.size)
	switch {
	case err == nil:
		if err = o.try(ctx, body, take); err == nil || outOfReach(err) {
			return err
		}
	case o.err != nil:
		err = fmt.Errorf("%w: %w", o.err, err)
	}
	if o.err != nil {
		return err
	}
	for body := next(0); body <= o.size; body = next(body) {
		if tryErr := o.try(ctx, body, take); tryErr == nil || outOfReach(tryErr) {
			return tryErr
		}
	}
	return err
}

// try is body for one size.
func (o *fetched) try(ctx context.Context, body int64, take func([]byte) error) error {
	shape, why := shapeOf(body), cmp.Or(o.err, storage.ErrShort)
	if int64(len(o.b)) >= body {
		if why = take(o.b[:body]); why == nil {
			return o.checkTail(shape)
		}
		if outOfReach(why) {
			return why
		}
	}
	p := &patch{name: o.name}
	lost, err := shape.repair(o.from, p)
	if err == nil && o.v.strict {
		err = lost.unread
	}
	if err != nil {
		return fmt.Errorf("%w: %w", why, err)
	}
	if lost.shards == 0 && o.err == nil {
		return why
	}
	var b []byte
	if o.err == nil {
		b = make([]byte, body)
		copy(b, o.b)
		for _, r := range p.runs {
			copy(b[r.at:], r.b)
		}
	} else if b, err = o.v.readPatched(ctx, p, 0, body); err != nil {
		return err
	}
	if err := take(b); err != nil {
		return err
	}
	switch {
	case lost.shards == 0:
		return o.checkTail(shape)
	case lost.unread == nil:
		o.v.tell(o.name, shape.say(lost.shards))
	}
	return nil
}

// checkTail tells of a tail that is damaged, if anybody wants to know or the size says so already.
func (o *fetched) checkTail(shape parityShape) error {
	if shape.size() == o.size {
		if !o.v.strict {
			return nil
		}
		if whole, err := shape.tailWhole(o.from); whole || err != nil {
			return err
		}
	}
	o.v.tell(o.name, tailDamaged)
	return nil
}
