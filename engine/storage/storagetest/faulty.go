package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"

	"holm.example/engine/storage"
)

// Verb is one of the five things one can ask of a store.
type Verb string

// The verbs.
const (
	Put      Verb = "put"
	Get      Verb = "get"
	GetRange Verb = "range"
	List     Verb = "list"
	Delete   Verb = "delete"
)

// Writes reports whether the verb changes the store.
func (v Verb) Writes() bool { return v == Put || v == Delete }

// Operation is one call of a store.
type Operation struct {
	Number int // of all calls, from 1
	Write  int // of the calls that change the store, from 1; 0 for the others
	Verb   Verb
	Name   string // of the object; of a List the prefix
}

// Fault is what becomes of an operation.
type Fault int

const (
	// None lets the operation happen.
	None Fault = iota
	// Before fails the operation; nothing has happened.
	Before
	// After lets the operation happen and reports it as failed: of a Put the
	// object is there, of a read the answer is lost.
	After
	// NoSpace fails a write as a full disk does, with syscall.ENOSPC; nothing
	// has happened. Reads are unharmed.
	NoSpace
	// Short cuts the answer of a read to half, without an error; a List ends
	// half way with an error, as List may. Writes fail as Before.
	Short
	// Flip changes one bit of the answer of a Get or GetRange: Faulty.Bit
	// says which. Other operations are unharmed.
	Flip
	// Gone takes the store away before the operation: this one and all later
	// ones fail with ErrGone and do nothing.
	Gone
	// GoneAfter lets the operation happen, reports it as failed, and takes
	// the store away: the machine stops before it hears of its success.
	GoneAfter
	// TimedOut lets the operation happen and reports
	// context.DeadlineExceeded: the answer did not come in time.
	TimedOut
	// Quota fails a write as a full account does, with syscall.EDQUOT;
	// nothing has happened. Reads are unharmed.
	Quota
	// Twice does the operation two times, as something that tries again on
	// the way does, and gives the second answer: of a Put that it exists.
	Twice
	// Half lets a Put keep only the first half of the object and report
	// success, as no store should. Other operations are unharmed.
	Half
	// Late fails a write as TimedOut does; nothing has happened yet. It
	// happens at Faulty.Deliver, if its time has not passed: a Put whose name
	// is taken by then does nothing. Reads are unharmed.
	Late
	// Stale leaves out of a List what was put through this Faulty, or through
	// one that it Follows: a listing that lags behind. Other operations are
	// unharmed.
	Stale
)

// A Plan says what becomes of each operation.
type Plan func(Operation) Fault

var (
	// ErrFault is the error of Before, After and of a short List.
	ErrFault = errors.New("fault of the test")
	// ErrGone is the error of a store that is gone. It is a
	// storage.ErrUnreachable.
	ErrGone = fmt.Errorf("store of the test is gone: %w", storage.ErrUnreachable)
)

// At lets the operation with that number suffer the fault.
func At(number int, f Fault) Plan {
	return func(op Operation) Fault { return when(op.Number == number, f) }
}

// From lets every operation from that number on suffer the fault.
func From(number int, f Fault) Plan {
	return func(op Operation) Fault { return when(op.Number >= number, f) }
}

// AtWrite lets the write with that number suffer the fault.
func AtWrite(number int, f Fault) Plan {
	return func(op Operation) Fault { return when(op.Write == number, f) }
}

// On lets every operation of that verb suffer the fault whose name contains
// part; an empty verb stands for all.
func On(v Verb, part string, f Fault) Plan {
	return func(op Operation) Fault {
		return when((v == "" || op.Verb == v) && strings.Contains(op.Name, part), f)
	}
}

// StopAfter stops the machine after that many operations.
func StopAfter(operations int) Plan { return From(operations+1, Gone) }

func when(hit bool, f Fault) Fault {
	if hit {
		return f
	}
	return None
}

// Faulty is a store that breaks as planned, and writes down what it was asked.
type Faulty struct {
	// Bit is the bit that Flip changes, counted from the start of the answer
	// and taken modulo its length in bits.
	Bit int64

	inner storage.Store
	plan  Plan

	mu      sync.Mutex
	gone    bool
	journal []Operation
	writes  int
	late    []func() error
	put     map[string]bool // names put through here, or by who was before
	hidden  []string        // what stale listings have left out
}

// NewFaulty wraps a store; a nil plan breaks nothing.
func NewFaulty(inner storage.Store, plan Plan) *Faulty {
	if plan == nil {
		plan = func(Operation) Fault { return None }
	}
	return &Faulty{inner: inner, plan: plan, put: map[string]bool{}}
}

// Follows makes what was put through earlier as recent here as there: a later
// run on a store whose listings still lag behind the run before.
func (f *Faulty) Follows(earlier *Faulty) {
	earlier.mu.Lock()
	recent := maps.Clone(earlier.put)
	earlier.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.put, recent)
}

// Hidden lists what stale listings have left out: a test of them whose store
// has hidden nothing has shown nothing.
func (f *Faulty) Hidden() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.hidden)
}

// Journal lists every operation so far, also those that failed.
func (f *Faulty) Journal() []Operation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.journal)
}

// Count is how many operations of that verb were asked for; an empty verb
// stands for all.
func (f *Faulty) Count(v Verb) int {
	n := 0
	for _, op := range f.Journal() {
		if v == "" || op.Verb == v {
			n++
		}
	}
	return n
}

// next writes an operation down and asks the plan.
func (f *Faulty) next(v Verb, name string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	op := Operation{Number: len(f.journal) + 1, Verb: v, Name: name}
	if v.Writes() {
		f.writes++
		op.Write = f.writes
	}
	f.journal = append(f.journal, op)
	if f.gone {
		return Gone
	}
	fault := f.plan(op)
	f.gone = fault == Gone || fault == GoneAfter
	return fault
}

// failed is the error of a fault at an operation on that name.
func failed(v Verb, name string, err error) error { return fmt.Errorf("%s %s: %w", v, name, err) }

// write runs a writing operation with its fault; half is what Half does.
func (f *Faulty) write(ctx context.Context, v Verb, name string, do, half func(context.Context) error) error {
	switch f.next(v, name) {
	case Before, Short:
		return failed(v, name, ErrFault)
	case NoSpace:
		return failed(v, name, syscall.ENOSPC)
	case Gone:
		return failed(v, name, ErrGone)
	case After:
		_ = do(ctx) // whatever it says is lost on the way
		return failed(v, name, ErrFault)
	case GoneAfter:
		_ = do(ctx) // as above
		return failed(v, name, ErrGone)
	case TimedOut:
		_ = do(ctx) // as above
		return failed(v, name, context.DeadlineExceeded)
	case Quota:
		return failed(v, name, syscall.EDQUOT)
	case Twice:
		_ = do(ctx) // its answer is lost
	case Late:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late = append(f.late, func() error { return do(context.WithoutCancel(ctx)) })
		return failed(v, name, context.DeadlineExceeded)
	case Half:
		if half != nil {
			return half(ctx)
		}
	}
	return do(ctx)
}

// Deliver carries out the writes that are late, in the order in which they
// were asked for, and forgets them.
func (f *Faulty) Deliver() {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, do := range late {
		_ = do() // nobody is there to hear it
	}
}

// read runs a reading operation with its fault.
func (f *Faulty) read(v Verb, name string, do func() ([]byte, error)) ([]byte, error) {
	fault := f.next(v, name)
	switch fault {
	case Before, After:
		return nil, failed(v, name, ErrFault)
	case TimedOut:
		return nil, failed(v, name, context.DeadlineExceeded)
	case Gone, GoneAfter:
		return nil, failed(v, name, ErrGone)
	}
	b, err := do()
	if err != nil {
		return nil, err
	}
	if fault == Short {
		b = b[:len(b)/2]
	}
	if fault == Flip && len(b) > 0 {
		bit := f.Bit % (8 * int64(len(b)))
		b[bit/8] ^= 1 << (bit % 8)
	}
	return b, nil
}

// Put implements storage.Store.
func (f *Faulty) Put(ctx context.Context, name string, body *io.SectionReader) error {
	whole, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size())) // the file may be gone when a late one is carried out
	if err != nil {
		return failed(Put, name, err)
	}
	put := func(ctx context.Context, b []byte) error {
		err := f.inner.Put(ctx, name, storage.Body(b))
		if err == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.put[name] = true
		}
		return err
	}
	return f.write(ctx, Put, name, func(ctx context.Context) error { return put(ctx, whole) },
		func(ctx context.Context) error { return put(ctx, whole[:len(whole)/2]) })
}

// Overwrite is storage.Overwrite. It counts as a Put, of which Half does
// nothing: half an object is never seen.
func (f *Faulty) Overwrite(ctx context.Context, name string, body *io.SectionReader) error {
	whole, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size())) // as in Put
	if err != nil {
		return failed(Put, name, err)
	}
	return f.write(ctx, Put, name, func(ctx context.Context) error {
		return storage.Overwrite(ctx, f.inner, name, storage.Body(whole))
	}, func(context.Context) error { return failed(Put, name, ErrFault) })
}

// Delete implements storage.Store.
func (f *Faulty) Delete(ctx context.Context, name string) error {
	return f.write(ctx, Delete, name, func(ctx context.Context) error { return f.inner.Delete(ctx, name) }, nil)
}

// Get implements storage.Store.
func (f *Faulty) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	return f.read(Get, name, func() ([]byte, error) { return f.inner.Get(ctx, name, limit) })
}

// GetRange implements storage.Store.
func (f *Faulty) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	return f.read(GetRange, name, func() ([]byte, error) { return f.inner.GetRange(ctx, name, offset, length) })
}

// List implements storage.Store. It counts as one operation each time it is
// ranged over.
func (f *Faulty) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		fault := f.next(List, prefix)
		switch fault {
		case Before:
			yield(storage.Object{}, failed(List, prefix, ErrFault))
			return
		case Gone:
			yield(storage.Object{}, failed(List, prefix, ErrGone))
			return
		}
		var list []storage.Object
		for o, err := range f.inner.List(ctx, prefix) {
			if err != nil {
				yield(storage.Object{}, err)
				return
			}
			if fault != Stale || !f.lags(o.Name) {
				list = append(list, o)
			}
		}
		var end error
		switch fault {
		case Short:
			list, end = list[:len(list)/2], failed(List, prefix, ErrFault)
		case After:
			end = failed(List, prefix, ErrFault)
		case GoneAfter:
			end = failed(List, prefix, ErrGone)
		case TimedOut:
			end = failed(List, prefix, context.DeadlineExceeded)
		}
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
		if end != nil {
			yield(storage.Object{}, end)
		}
	}
}

// lags reports whether a stale listing does not know the object yet, and
// writes down that it was left out.
func (f *Faulty) lags(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.put[name] {
		f.hidden = append(f.hidden, name)
	}
	return f.put[name]
}
