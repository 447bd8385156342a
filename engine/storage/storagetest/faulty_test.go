package storagetest

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	"holm.example/engine/storage"
)

// filled is a store that holds an object "a/one" of 8 bytes.
func filled(t *testing.T) *Memory {
	t.Helper()
	m := &Memory{}
	if err := m.Put(context.Background(), "a/one", storage.Body([]byte("01234567"))); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryFaultOfAPutLeavesWhatItsNameSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault Fault
		err   error
		there bool // the object, afterwards
		later bool // the next operation succeeds
	}{
		{"none", None, nil, true, true},
		{"before", Before, ErrFault, false, true},
		{"after", After, ErrFault, true, true},
		{"no space", NoSpace, syscall.ENOSPC, false, true},
		{"short", Short, ErrFault, false, true},
		{"flip", Flip, nil, true, true},
		{"gone", Gone, storage.ErrUnreachable, false, false},
		{"gone after", GoneAfter, ErrGone, true, false},
		{"timed out", TimedOut, context.DeadlineExceeded, true, true},
		{"quota", Quota, syscall.EDQUOT, false, true},
		{"twice", Twice, storage.ErrExists, true, true},
		{"half", Half, nil, true, true},
		{"late", Late, context.DeadlineExceeded, false, true},
		{"stale", Stale, nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &Memory{}
			f := NewFaulty(m, At(1, c.fault))
			if err := f.Put(context.Background(), "b", storage.Body([]byte("x"))); !errors.Is(err, c.err) {
				t.Errorf("Put: %v, want %v", err, c.err)
			}
			if got := slices.Contains(m.Names(), "b"); got != c.there {
				t.Errorf("object there: %v, want %v", got, c.there)
			}
			if err := f.Put(context.Background(), "c", storage.Body(nil)); (err == nil) != c.later {
				t.Errorf("the next Put: %v", err)
			}
		})
	}
}

func TestEveryFaultOfAReadGivesWhatItsNameSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault Fault
		want  string
		err   error
	}{
		{"none", None, "01234567", nil},
		{"before", Before, "", ErrFault},
		{"after", After, "", ErrFault},
		{"no space", NoSpace, "01234567", nil},
		{"short", Short, "0123", nil},
		{"flip", Flip, "00234567", nil}, // bit 8 is the lowest of the second byte
		{"gone", Gone, "", ErrGone},
		{"timed out", TimedOut, "", context.DeadlineExceeded},
		{"twice", Twice, "01234567", nil},
		{"half", Half, "01234567", nil},
		{"late", Late, "01234567", nil},
		{"stale", Stale, "01234567", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := NewFaulty(filled(t), On("", "one", c.fault))
			f.Bit = 8 + 64 // counted modulo the length
			whole, err := f.Get(context.Background(), "a/one", 100)
			if string(whole) != c.want || !errors.Is(err, c.err) {
				t.Errorf("Get: %q, %v, want %q, %v", whole, err, c.want, c.err)
			}
			part, err := f.GetRange(context.Background(), "a/one", 0, 8)
			if string(part) != c.want || !errors.Is(err, c.err) {
				t.Errorf("GetRange: %q, %v, want %q, %v", part, err, c.want, c.err)
			}
		})
	}
}

func TestFaultyListEndsWithItsErrorAfterWhatItYielded(t *testing.T) {
	for fault, want := range map[Fault]int{None: 2, Before: 0, After: 2, Short: 1, Gone: 0, GoneAfter: 2, NoSpace: 2, Flip: 2, TimedOut: 2, Stale: 2} {
		m := filled(t)
		m.Replace("a/two", []byte("2"))
		var last error
		n := 0
		for _, err := range NewFaulty(m, At(1, fault)).List(context.Background(), "a/") {
			if last = err; err == nil {
				n++
			}
		}
		wantErr := !slices.Contains([]Fault{None, NoSpace, Flip, Stale}, fault)
		if n != want || (last != nil) != wantErr {
			t.Errorf("fault %d: %d objects, then %v; want %d", fault, n, last, want)
		}
	}
}

func TestLatePutHappensWhenItIsDeliveredUnlessItsNameIsTaken(t *testing.T) {
	ctx := context.Background()
	m := &Memory{}
	f := NewFaulty(m, func(op Operation) Fault { return when(op.Number <= 2, Late) })
	for _, name := range []string{"a", "b"} {
		if err := f.Put(ctx, name, storage.Body([]byte("late"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("late: %v", err)
		}
	}
	if err := f.Put(ctx, "b", storage.Body([]byte("in time"))); err != nil {
		t.Error(err)
	}
	f.Deliver()
	for name, want := range map[string]string{"a": "late", "b": "in time"} {
		if b, err := m.Get(ctx, name, 10); string(b) != want {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
}

func TestHalfPutKeepsTheFirstHalfAndStaleListLagsBehind(t *testing.T) {
	ctx := context.Background()
	m := filled(t)
	f := NewFaulty(m, func(op Operation) Fault {
		return map[Verb]Fault{Put: Half, List: Stale}[op.Verb]
	})
	if err := f.Put(ctx, "a/two", storage.Body([]byte("abcdef"))); err != nil {
		t.Fatal(err)
	}
	if b, err := m.Get(ctx, "a/two", 10); string(b) != "abc" {
		t.Errorf("half of abcdef is %q, %v", b, err)
	}
	for o := range f.List(ctx, "") {
		if o.Name != "a/one" {
			t.Errorf("%s is listed already", o.Name)
		}
	}
}

func TestStaleListHidesWhatAnEarlierRunHasPutAndSaysWhat(t *testing.T) {
	ctx := context.Background()
	m := filled(t)
	earlier := NewFaulty(m, AtWrite(2, GoneAfter))
	_ = earlier.Put(ctx, "a/two", storage.Body([]byte("2")))
	_ = earlier.Put(ctx, "a/three", storage.Body([]byte("3"))) // nobody hears that it is there
	f := NewFaulty(m, On(List, "", Stale))
	f.Follows(earlier)
	var listed []string
	for o := range f.List(ctx, "a/") {
		listed = append(listed, o.Name)
	}
	if !slices.Equal(listed, []string{"a/one"}) || !slices.Equal(f.Hidden(), []string{"a/three", "a/two"}) {
		t.Errorf("listed %v, hidden %v", listed, f.Hidden())
	}
	if len(earlier.Hidden()) > 0 {
		t.Errorf("the earlier run has hidden %v", earlier.Hidden())
	}
}

func TestJournalCountsEveryOperationAlsoThoseThatFail(t *testing.T) {
	ctx := context.Background()
	f := NewFaulty(filled(t), StopAfter(2))
	_ = f.Put(ctx, "b", storage.Body(nil))
	_, _ = f.Get(ctx, "a/one", 100)
	err := f.Delete(ctx, "a/one")
	if !errors.Is(err, ErrGone) {
		t.Errorf("the third operation: %v, want ErrGone", err)
	}
	want := []Operation{{1, 1, Put, "b"}, {2, 0, Get, "a/one"}, {3, 2, Delete, "a/one"}}
	if got := f.Journal(); !slices.Equal(got, want) {
		t.Errorf("journal %v, want %v", got, want)
	}
	if f.Count(Delete) != 1 || f.Count("") != 3 {
		t.Errorf("%d deletes of %d operations", f.Count(Delete), f.Count(""))
	}
}

func TestCrashesStopBeforeAndAfterEachWrite(t *testing.T) {
	start := filled(t)
	states := map[string][]string{}
	Crashes(t, start, func(t *testing.T, s storage.Store) func(*testing.T, Crash, *Memory) {
		ctx := context.Background()
		err := s.Put(ctx, "b", storage.Body(nil))
		if err == nil {
			err = s.Delete(ctx, "a/one")
		}
		return func(t *testing.T, c Crash, left *Memory) {
			if (err == nil) != (c.Write == 0) {
				t.Errorf("error %v", err)
			}
			states[c.String()] = left.Names()
		}
	})
	for crash, want := range map[string][]string{
		"undisturbed":            {"b"},
		"stopped before write 1": {"a/one"},
		"stopped after write 1":  {"a/one", "b"},
		"stopped before write 2": {"a/one", "b"},
		"stopped after write 2":  {"b"},
	} {
		if !slices.Equal(states[crash], want) {
			t.Errorf("%s: %v, want %v", crash, states[crash], want)
		}
		delete(states, crash)
	}
	if len(states) != 0 {
		t.Errorf("more crashes than writes: %v", states)
	}
	if got := start.Names(); !slices.Equal(got, []string{"a/one"}) {
		t.Errorf("the start changed to %v", got)
	}
}
