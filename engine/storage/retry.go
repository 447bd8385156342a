package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// How long a Retry goes on: waits double from the first to the longest, with
// jitter, about three minutes in all. A store that has never answered is most
// often one that is misspelt or switched off: it gets a few seconds.
const (
	firstWait     = 500 * time.Millisecond
	longestWait   = 40 * time.Second
	maxAttempts   = 10
	firstAttempts = 4
)

// compareSize is how much of an object is read at once to compare it.
const compareSize = 1 << 20

// passing marks an error that may be gone when the same is asked again.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// again is an ErrUnreachable that may pass.
func again(err error) error { return passing{fmt.Errorf("%w: %w", ErrUnreachable, err)} }

// RetryOptions say how a Retry works; the zero value will do.
type RetryOptions struct {
	// Passing reports further errors that may pass, besides those that the
	// stores of this package mark as such.
	Passing func(error) bool
	// Note tells the person why nothing seems to happen; nil tells nobody.
	Note func(format string, args ...any)
	// Sleep waits; nil means a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Retry is a store that asks another one again when an error may pass, by the
// rule of the package comment.
type Retry struct {
	inner    Store
	o        RetryOptions
	answered atomic.Bool // the store has answered once
}

// NewRetry wraps a store.
func NewRetry(inner Store, o RetryOptions) *Retry {
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	return &Retry{inner: inner, o: o}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (r *Retry) mayPass(err error) bool {
	var p passing
	return errors.As(err, &p) || r.o.Passing != nil && r.o.Passing(err)
}

// do tries until there is an answer, or an error that does not pass, or
// enough was tried.
func (r *Retry) do(ctx context.Context, try func() error) error {
	return r.doWhile(ctx, func() bool { return false }, try)
}

// doWhile is do that counts attempts, and waits, anew after one that has moved
// on.
func (r *Retry) doWhile(ctx context.Context, moved func() bool, try func() error) error {
	wait := firstWait
	for n := 1; ; n++ {
		err := try()
		if moved() {
			r.answered.Store(true)
			n, wait = 1, firstWait
		}
		if err == nil || !r.mayPass(err) {
			if err == nil || ctx.Err() == nil {
				r.answered.Store(true)
			}
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if n >= maxAttempts || n >= firstAttempts && !r.answered.Load() {
			return fmt.Errorf("after %d attempts: %w", n, err)
		}
		jittered := wait/2 + rand.N(wait)
		if n > 1 { // one hiccup is not worth a line
			r.o.Note("%v; trying again in %v", err, jittered.Round(time.Second/10))
		}
		if sleepErr := r.o.Sleep(ctx, jittered); sleepErr != nil {
			return fmt.Errorf("%w: %w", sleepErr, err)
		}
		wait = min(2*wait, longestWait)
	}
}

// Put implements Store.
func (r *Retry) Put(ctx context.Context, name string, body *io.SectionReader) error {
	unknown := false // an earlier attempt ended without an answer
	return r.do(ctx, func() error {
		if unknown {
			// It is most often there: that costs less than sending it again.
			_, err := r.inner.GetRange(ctx, name, 0, 0)
			if err == nil {
				return r.ours(ctx, name, body, fmt.Errorf("object %s: %w", name, ErrExists))
			}
			if !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		err := r.inner.Put(ctx, name, body)
		if unknown && errors.Is(err, ErrExists) {
			return r.ours(ctx, name, body, err)
		}
		unknown = unknown || err != nil && r.mayPass(err)
		return err
	})
}

// ours returns nil if the object that is there has exactly the bytes of the
// body and its name is durable, which the attempt that made it may not have
// come to; exists if it has other bytes, and any other error if that is not
// known.
func (r *Retry) ours(ctx context.Context, name string, body *io.SectionReader, exists error) error {
	size := body.Size()
	want := make([]byte, min(size, compareSize))
	for at := int64(0); at < size; at += compareSize {
		want = want[:min(size-at, compareSize)]
		if _, err := body.ReadAt(want, at); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("object %s: %w", name, err)
		}
		got, err := r.inner.GetRange(ctx, name, at, int64(len(want)))
		if errors.Is(err, ErrShort) || err == nil && !bytes.Equal(got, want) {
			return exists
		}
		if err != nil {
			return taken(err)
		}
	}
	_, err := r.inner.GetRange(ctx, name, size, 1)
	switch {
	case errors.Is(err, ErrShort):
		return Tidy(ctx, r.inner, name, time.Time{}) // removes nothing
	case err == nil:
		return exists
	}
	return taken(err)
}

// taken is the error of reading an object whose name was taken a moment ago:
// if it is gone, the name is free to be tried again.
func taken(err error) error {
	if errors.Is(err, ErrNotFound) {
		return again(err)
	}
	return err
}

// Get implements Store.
func (r *Retry) Get(ctx context.Context, name string, limit int64) (b []byte, err error) {
	err = r.do(ctx, func() error {
		b, err = r.inner.Get(ctx, name, limit)
		return err
	})
	return b, err
}

// GetRange implements Store.
func (r *Retry) GetRange(ctx context.Context, name string, offset, length int64) (b []byte, err error) {
	err = r.do(ctx, func() error {
		b, err = r.inner.GetRange(ctx, name, offset, length)
		return err
	})
	return b, err
}

// List implements Store. One that breaks goes on behind the last name it gave;
// what counts are the attempts that give none, however long the listing is.
func (r *Retry) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		last, before := "", ""
		moved := func() bool {
			is := last != before
			before = last
			return is
		}
		err := r.doWhile(ctx, moved, func() error {
			for o, err := range r.inner.List(ctx, prefix) {
				if err != nil {
					return err
				}
				if o.Name <= last {
					continue
				}
				last = o.Name
				if !yield(o, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(Object{}, err)
		}
	}
}

// Delete implements Store.
func (r *Retry) Delete(ctx context.Context, name string) error {
	return r.do(ctx, func() error { return r.inner.Delete(ctx, name) })
}

// Overwrite is Overwrite of this package.
func (r *Retry) Overwrite(ctx context.Context, name string, body *io.SectionReader) error {
	return r.do(ctx, func() error { return Overwrite(ctx, r.inner, name, body) })
}

// Tidy is Tidy of this package.
func (r *Retry) Tidy(ctx context.Context, name string, before time.Time) error {
	return r.do(ctx, func() error { return Tidy(ctx, r.inner, name, before) })
}

// Close is Close of this package.
func (r *Retry) Close() error { return Close(r.inner) }
