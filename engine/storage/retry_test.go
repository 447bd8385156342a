package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// noSleep stands in for waiting.
func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// stubborn asks again after faults of the test, without waiting.
func stubborn(s storage.Store) *storage.Retry {
	return storage.NewRetry(s, storage.RetryOptions{Sleep: noSleep,
		Passing: func(err error) bool { return errors.Is(err, storagetest.ErrFault) }})
}

// troubled lets the first calls about each name fail: Puts twice, once after
// the object was stored; all others once.
func troubled() storagetest.Plan {
	var mu sync.Mutex
	calls := map[string]int{}
	return func(op storagetest.Operation) storagetest.Fault {
		if op.Name == storagetest.SameBytes {
			return storagetest.None
		}
		mu.Lock()
		defer mu.Unlock()
		key := fmt.Sprintf("%s %s", op.Verb, op.Name)
		calls[key]++
		switch n := calls[key]; {
		case op.Verb == storagetest.List && n == 1:
			return storagetest.Short
		case op.Verb == storagetest.Put && n == 2, n == 1 && op.Verb == storagetest.GetRange:
			return storagetest.Before
		case n == 1:
			return storagetest.After
		}
		return storagetest.None
	}
}

func TestEveryStorePassesTheSuiteThroughFaults(t *testing.T) {
	places := map[string]func(t *testing.T) storagetest.Place{
		"memory": func(*testing.T) storagetest.Place {
			m := &storagetest.Memory{}
			return func() storage.Store { return m }
		},
		"directory": func(t *testing.T) storagetest.Place {
			root := t.TempDir()
			return func() storage.Store { return open(t, root) }
		},
		"sftp": func(t *testing.T) storagetest.Place {
			needServer(t, sftpServer)
			return sftpPlace(t, filepath.Join(t.TempDir(), "vault"), sftpServer)
		},
	}
	for name, handler := range s3Servers() {
		places[name] = func(t *testing.T) storagetest.Place {
			c := serveS3(t, handler())
			return func() storage.Store { return openS3(t, c) }
		}
	}
	for name, empty := range places {
		t.Run(name, func(t *testing.T) {
			storagetest.Suite(t, func(t *testing.T) storagetest.Place {
				place, plan := empty(t), troubled()
				return func() storage.Store { return stubborn(storagetest.NewFaulty(place(), plan)) }
			})
		})
	}
}

func TestPutWhoseAnswerWasLostIsResolvedByWhatIsThere(t *testing.T) {
	const body = "the body of a segment"
	for _, c := range []struct {
		name  string
		there string // before the Put; "-" for nothing
		plan  storagetest.Plan
		want  error
	}{
		{"ours arrived", "-", storagetest.At(1, storagetest.After), nil},
		{"ours did not arrive", "-", storagetest.At(1, storagetest.Before), nil},
		{"another was first", "the body of another", storagetest.At(1, storagetest.After), storage.ErrExists},
		{"another of the same length", strings.Repeat("x", len(body)), storagetest.At(1, storagetest.Before), storage.ErrExists},
		{"another that begins like ours", body + ".", storagetest.At(1, storagetest.Before), storage.ErrExists},
		{"another that ours begins with", body[:5], storagetest.At(1, storagetest.Before), storage.ErrExists},
		{"an empty one", "", storagetest.At(1, storagetest.Before), storage.ErrExists},
		{"the same bytes without a fault", body, nil, storage.ErrExists},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &storagetest.Memory{}
			want := body
			if c.there != "-" {
				want = c.there
				put(t, m, "a", c.there)
			}
			f := storagetest.NewFaulty(m, c.plan)
			if err := stubborn(f).Put(t.Context(), "a", storage.Body([]byte(body))); !errors.Is(err, c.want) {
				t.Errorf("Put: %v, want %v", err, c.want)
			}
			if got, err := m.Get(t.Context(), "a", 100); err != nil || string(got) != want {
				t.Errorf("there is %q, %v, want %q", got, err, want)
			}
			if c.plan == nil && f.Count("") != 1 {
				t.Errorf("%d operations for an answer that was clear", f.Count(""))
			}
		})
	}
}

func TestPutThatCannotBeResolvedIsNeitherSuccessNorExists(t *testing.T) {
	m := &storagetest.Memory{}
	f := storagetest.NewFaulty(m, func(op storagetest.Operation) storagetest.Fault {
		switch op.Verb {
		case storagetest.Put:
			return storagetest.After
		case storagetest.GetRange:
			return storagetest.Before
		}
		return storagetest.None
	})
	err := stubborn(f).Put(t.Context(), "a", storage.Body([]byte("x")))
	if !errors.Is(err, storagetest.ErrFault) || errors.Is(err, storage.ErrExists) {
		t.Errorf("Put: %v, want the fault alone", err)
	}
	if n := f.Count(storagetest.Put); n != 1 {
		t.Errorf("%d Puts while it is not known what the first did", n)
	}
}

func TestLongBodiesAreComparedToTheirEnd(t *testing.T) {
	body := []byte(strings.Repeat("0123456789abcdef", 3<<16)) // 3 MiB
	for _, differs := range []int{-1, 0, 1 << 20, len(body) - 1} {
		m := &storagetest.Memory{}
		there := slices.Clone(body)
		want := error(nil)
		if differs >= 0 {
			there[differs]++
			want = storage.ErrExists
		}
		m.Replace("a", there)
		err := stubborn(storagetest.NewFaulty(m, storagetest.At(1, storagetest.Before))).Put(t.Context(), "a", storage.Body(body))
		if !errors.Is(err, want) {
			t.Errorf("one byte differs at %d: %v, want %v", differs, err, want)
		}
	}
}

func TestAskingAgainIsBoundedAndWaitsLonger(t *testing.T) {
	var waits []time.Duration
	o := storage.RetryOptions{Sleep: func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}, Passing: func(err error) bool { return errors.Is(err, storagetest.ErrGone) }}

	f := storagetest.NewFaulty(&storagetest.Memory{}, storagetest.StopAfter(0))
	if _, err := storage.NewRetry(f, o).Get(t.Context(), "a", 1); !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("Get: %v, want ErrUnreachable", err)
	}
	if f.Count("") != 4 || len(waits) != 3 {
		t.Errorf("%d attempts and %d waits for a store that never answered", f.Count(""), len(waits))
	}

	f, waits = storagetest.NewFaulty(&storagetest.Memory{}, storagetest.StopAfter(1)), nil
	r := storage.NewRetry(f, o)
	for range 2 { // the first finds nothing, which is an answer
		if _, err := r.Get(t.Context(), "a", 1); err == nil {
			t.Error("Get: nothing is there")
		}
	}
	if f.Count("") != 11 || len(waits) != 9 {
		t.Errorf("%d attempts and %d waits for a store that went away", f.Count(""), len(waits))
	}
	var sum time.Duration
	for i, wait := range waits {
		sum += wait
		if low := min(500*time.Millisecond<<i, 40*time.Second) / 2; wait < low || wait > 3*low {
			t.Errorf("wait %d is %v, want %v to %v", i, wait, low, 3*low)
		}
	}
	if sum < time.Minute || sum > 5*time.Minute {
		t.Errorf("%v of waits in all", sum)
	}
}

func TestErrorThatDoesNotPassIsNotAskedAgain(t *testing.T) {
	f := storagetest.NewFaulty(&storagetest.Memory{}, storagetest.AtWrite(1, storagetest.NoSpace))
	if err := stubborn(f).Put(t.Context(), "a", storage.Body(nil)); err == nil || f.Count("") != 1 {
		t.Errorf("Put on a full disk: %v after %d operations", err, f.Count(""))
	}
}

func TestEndOfTheContextEndsTheWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := storagetest.NewFaulty(&storagetest.Memory{}, func(storagetest.Operation) storagetest.Fault {
		cancel() // while it is asked
		return storagetest.Before
	})
	r := storage.NewRetry(f, storage.RetryOptions{Passing: func(error) bool { return true }}) // real waits
	if _, err := r.Get(ctx, "a", 1); !errors.Is(err, context.Canceled) || f.Count("") != 1 {
		t.Errorf("Get: %v after %d operations", err, f.Count(""))
	}
}

func TestListThatBreaksGoesOnBehindTheLastName(t *testing.T) {
	m := &storagetest.Memory{}
	var want []string
	for i := range 9 {
		want = append(want, fmt.Sprintf("a/%d", i))
		put(t, m, want[i], "x")
	}
	f := storagetest.NewFaulty(m, storagetest.At(1, storagetest.Short))
	if got := names(t, stubborn(f)); !slices.Equal(got, want) || f.Count("") != 2 {
		t.Errorf("%q in %d lists, want %q in 2", got, f.Count(""), want)
	}
}

func TestListThatGetsOnIsNotGivenUp(t *testing.T) {
	m := &storagetest.Memory{}
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("a/%02d", i))
		put(t, m, want[i], "x")
	}
	s := &pages{Store: m}
	if got := names(t, stubborn(s)); !slices.Equal(got, want) || s.lists != 40 {
		t.Errorf("%q in %d lists, want %d names in 40", got, s.lists, len(want))
	}
}

// pages is a store whose every List breaks after one name more than the last.
type pages struct {
	storage.Store
	lists int
}

func (p *pages) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		p.lists++
		n := 0
		for o, err := range p.Store.List(ctx, prefix) {
			if n++; n > p.lists {
				yield(storage.Object{}, storagetest.ErrFault)
				return
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// syncing is a store that writes down what it is asked to make durable, and
// fails the first time.
type syncing struct {
	storage.Store
	tidied []string
	before time.Time
}

func (s *syncing) Tidy(_ context.Context, name string, before time.Time) error {
	s.tidied, s.before = append(s.tidied, name), before
	if len(s.tidied) == 1 {
		return storagetest.ErrFault
	}
	return nil
}

func TestPutThatIsFoundThereIsMadeDurableBeforeItSucceeds(t *testing.T) {
	for _, c := range []struct {
		there string
		want  []string
		err   error
	}{{"x", []string{"d/a", "d/a"}, nil}, {"y", nil, storage.ErrExists}} {
		m := &storagetest.Memory{}
		put(t, m, "d/a", c.there)
		// The name is there, and the connection broke before it was synced.
		s := &syncing{Store: storagetest.NewFaulty(m, storagetest.At(1, storagetest.Before))}
		if err := stubborn(s).Put(t.Context(), "d/a", storage.Body([]byte("x"))); !errors.Is(err, c.err) {
			t.Errorf("Put where %q is: %v, want %v", c.there, err, c.err)
		}
		if !slices.Equal(s.tidied, c.want) || !s.before.IsZero() {
			t.Errorf("made durable where %q is: %q, before %v, want %q and nothing removed", c.there, s.tidied, s.before, c.want)
		}
	}
}

// closing counts how often it is closed and tidied.
type closing struct {
	storage.Store
	closed, tidied int
}

func (c *closing) Close() error { c.closed++; return nil }

func (c *closing) Tidy(context.Context, string, time.Time) error { c.tidied++; return nil }

var _ io.Closer = &closing{}

func TestRetryClosesAndTidiesWhatItWraps(t *testing.T) {
	c := &closing{Store: &storagetest.Memory{}}
	r := stubborn(c)
	if err := errors.Join(storage.Tidy(t.Context(), r, "a", time.Now()), storage.Close(r)); err != nil || c.closed != 1 || c.tidied != 1 {
		t.Errorf("%v; closed %d, tidied %d times", err, c.closed, c.tidied)
	}
}
