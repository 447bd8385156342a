package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// What is expected of a run whose store breaks at one operation.
type expected int

const (
	// mends: the run may fail or not. The next one needs no help, all that
	// was reported restores, and nothing is damaged.
	mends expected = iota
	// succeeds: as mends, and the run itself comes to its end.
	succeeds
	// told: the store has said that it keeps what it does not keep. Nothing
	// wrong is ever restored, and whoever looks is told the object: the run,
	// or the next one, or the check.
	told
)

// faultTable is what becomes of a backup, a restore and a check whose store
// has that fault at any one operation, each in turn.
var faultTable = []struct {
	name   string
	fault  storagetest.Fault
	writes bool // only writes are asked
	want   expected
}{
	{"error, nothing happened", storagetest.Before, false, mends},
	{"error, but it happened", storagetest.After, false, mends},
	{"time-out, but it happened", storagetest.TimedOut, false, mends},
	{"disk full", storagetest.NoSpace, true, mends},
	{"quota used up", storagetest.Quota, true, mends},
	{"done twice on the way", storagetest.Twice, true, succeeds},
	{"short answer", storagetest.Short, false, mends},
	{"flipped bit in an answer", storagetest.Flip, false, mends},
	{"list that lags behind", storagetest.Stale, false, mends},
	{"store gone from here on", storagetest.Gone, false, mends},
	{"PUT that arrives hours late", storagetest.Late, true, mends},
	{"PUT that keeps half and says ok", storagetest.Half, true, told},
}

// A trouble is a vault with one snapshot, and a source that has changed since.
type trouble struct {
	*scene
	start  *storagetest.Memory
	made   *storagetest.Faulty // through which all of start was put
	data   files
	before map[string]string // image of the snapshot
	now    map[string]string // image of the source
	id     string
}

func newTrouble(t *testing.T) *trouble {
	t.Helper()
	tr := &trouble{start: &storagetest.Memory{}}
	tr.made = storagetest.NewFaulty(tr.start, nil)
	tr.scene = newSceneOn(t, func(storage.Store) storage.Store { return tr.made })
	tr.limit, tr.ahead = 12_000, time.Hour
	tr.write("a/one", noise(1, 9000))
	tr.write("two", noise(2, 300))
	tr.id = tr.backup(tr.scene.data).Snapshot
	tr.before = image(t, tr.src)
	tr.write("a/one", noise(3, 9000))
	tr.write("b/three", noise(4, 9000))
	if err := os.Remove(filepath.Join(tr.src, "two")); err != nil {
		t.Fatal(err)
	}
	tr.now = image(t, tr.src)
	var err error
	if tr.data, err = take(tr.scene.data); err != nil {
		t.Fatal(err)
	}
	return tr
}

// again is a copy of everything, for one subtest.
func (tr *trouble) again(t *testing.T) (s *scene, data string, store *storagetest.Memory) {
	t.Helper()
	store = tr.start.Clone()
	s = tr.on(t, store)
	s.dir = fastDir(t)
	data = filepath.Join(s.dir, "data")
	tr.data.lay(t, data)
	return s, data, store
}

// operations is how many a run of a verb asks of the store.
func (tr *trouble) operations(t *testing.T, verb func(*scene, string) error) int {
	t.Helper()
	s, data, store := tr.again(t)
	f := storagetest.NewFaulty(store, nil)
	if err := verb(s.on(t, f), data); err != nil {
		t.Fatal(err)
	}
	return len(f.Journal())
}

func TestBackupOnAStoreThatBreaksAtAnyOperation(t *testing.T) {
	tr := newTrouble(t)
	n := tr.operations(t, backUp)
	if n < 20 {
		t.Fatalf("a backup asks only %d things", n)
	}
	for _, row := range faultTable {
		t.Run(row.name, func(t *testing.T) {
			var hidden atomic.Int64
			t.Cleanup(func() {
				if row.fault == storagetest.Stale && hidden.Load() == 0 {
					t.Error("nothing was hidden")
				}
			})
			for number := 1; number <= n; number++ {
				t.Run(fmt.Sprint(number), func(t *testing.T) {
					t.Parallel()
					s, data, store := tr.again(t)
					f := storagetest.NewFaulty(store, func(op storagetest.Operation) storagetest.Fault {
						if op.Number == number && (op.Verb.Writes() || !row.writes) {
							return row.fault
						}
						return storagetest.None
					})
					f.Bit = int64(77 * number)
					f.Follows(tr.made)
					err := backUp(s.on(t, f), data)
					hidden.Add(int64(len(f.Hidden())))
					switch row.want {
					case told:
						halved := f.Journal()[number-1]
						if halved.Verb == storagetest.Put {
							tr.told(t, s, data, halved.Name, err)
						}
						return
					case succeeds:
						if err != nil {
							t.Errorf("the run says %v", err)
						}
					}
					if row.fault == storagetest.NoSpace && err != nil && !errors.Is(err, syscall.ENOSPC) ||
						row.fault == storagetest.Quota && err != nil && !errors.Is(err, syscall.EDQUOT) {
						t.Errorf("the run says %v", err)
					}
					if number%2 == 0 {
						f.Deliver() // before the next run; else after it
					}
					tr.mends(t, s, data, err == nil)
					f.Deliver()
					s.backup(data)
					s.clean(data)
				})
			}
		})
	}
}

// mends expects that all is well after a run that broke, and after the next.
func (tr *trouble) mends(t *testing.T, s *scene, data string, reported bool) {
	t.Helper()
	if reported {
		sameTrees(t, tr.now, image(t, s.restore(data, "latest")))
	}
	sameTrees(t, tr.before, image(t, s.restore(data, tr.id)))
	s.backup(data)
	sameTrees(t, tr.now, image(t, s.restore(data, "latest")))
	sameTrees(t, tr.before, image(t, s.restore(data, tr.id)))
	s.with(data, func(e *Engine) {
		r, err := e.Check(t.Context(), CheckOptions{ReadData: true})
		if err != nil || len(r.Problems) > 0 || r.Devices != 1 {
			t.Errorf("check: %+v, %v", r, err)
		}
	})
}

// told expects of a store that has lost half an object that this is said by
// its name, and that nothing wrong is restored.
func (tr *trouble) told(t *testing.T, s *scene, data, halved string, runErr error) {
	t.Helper()
	sameTrees(t, tr.before, image(t, s.restore(data, tr.id)))
	e, err := s.open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	check, err := e.Check(t.Context(), CheckOptions{ReadData: true})
	if err != nil {
		t.Error(err)
	}
	to := filepath.Join(s.dir, "half")
	r, err := e.Restore(t.Context(), RestoreOptions{To: to})
	whole := err == nil && len(r.Problems) == 0
	if got := image(t, filepath.Join(to, filepath.Base(tr.src))); !maps.Equal(got, tr.now) && whole && runErr == nil {
		t.Errorf("half is restored as all: %v", got)
	}
	for name, text := range image(t, filepath.Join(to, filepath.Base(tr.src))) {
		if !strings.HasPrefix(text, "dir") && text != tr.now[name] && text != tr.before[name] {
			t.Errorf("%s is restored as %q", name, text)
		}
	}
	if !whole && runErr == nil && len(check.Problems) == 0 {
		t.Error("the restore fails, and neither the run nor the check says why")
	}
	said := fmt.Sprint(runErr)
	for _, p := range check.Problems {
		said += fmt.Sprintln(p.Path, p.Err)
	}
	probe := strings.HasPrefix(halved, "probe/") // gone again: at most the run has met it
	if !probe && !strings.Contains(said, halved) {
		t.Errorf("half of %s is kept, and it is said: %s", halved, said)
	}
}

// Restoring and checking write nothing, and what they say after a fault is an
// error or right.
func TestReadersOnAStoreThatBreaksAtAnyOperation(t *testing.T) {
	tr := newTrouble(t)
	restore := func(s *scene, data string) error {
		e, err := s.open(data)
		if err != nil {
			return err
		}
		to := filepath.Join(s.dir, "restored")
		r, err := e.Restore(s.t.Context(), RestoreOptions{To: to})
		got := map[string]string{}
		if _, statErr := os.Stat(filepath.Join(to, filepath.Base(tr.src))); statErr == nil {
			got = image(s.t, filepath.Join(to, filepath.Base(tr.src)))
		}
		for name, text := range got {
			if want := tr.before[name]; text != want && !strings.HasPrefix(want, "dir") {
				s.t.Errorf("%s is restored as %q", name, text)
			}
		}
		if err == nil && len(r.Problems) == 0 && !maps.Equal(got, tr.before) {
			s.t.Errorf("without an error %v is restored", got)
		}
		return errors.Join(err, e.Close())
	}
	for verb, run := range map[string]func(*scene, string) error{"restore": restore, "check": checkAll} {
		n := tr.operations(t, run)
		for _, row := range faultTable {
			if row.writes {
				continue
			}
			var hidden atomic.Int64
			t.Cleanup(func() {
				if row.fault == storagetest.Stale && hidden.Load() == 0 {
					t.Errorf("%s, %s: nothing was hidden", verb, row.name)
				}
			})
			for _, fresh := range []bool{false, true} {
				for number := 1; number <= n; number++ {
					t.Run(fmt.Sprintf("%s, %s, %d, without a catalog %v", verb, row.name, number, fresh), func(t *testing.T) {
						t.Parallel()
						s, data, store := tr.again(t)
						if fresh {
							forget(t, data)
						}
						f := storagetest.NewFaulty(store, storagetest.At(number, row.fault))
						f.Bit = int64(31 * number)
						f.Follows(tr.made)
						_ = run(s.on(t, f), data) // an error, or what was compared
						hidden.Add(int64(len(f.Hidden())))
						if writes := f.Count(storagetest.Put) + f.Count(storagetest.Delete); writes > 0 {
							t.Errorf("%s writes to the store %d times", verb, writes)
						}
						sameTrees(t, tr.before, image(t, s.restore(data, tr.id)))
					})
				}
			}
		}
	}
}

// forget removes from a data directory all that is derived.
func forget(t *testing.T, data string) {
	t.Helper()
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "state.") && e.Name() != "lock" {
			if err := os.RemoveAll(filepath.Join(data, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A segment that was given up for lost and arrives while the next run is
// about to put another one for the same slot is one of ours.
func TestSegmentThatArrivesLateInTheWayOfTheNextOneIsFolded(t *testing.T) {
	tr := newTrouble(t)
	s, data, store := tr.again(t)
	isSegment := func(op storagetest.Operation) bool {
		return op.Verb == storagetest.Put && strings.Contains(op.Name, "/journal/")
	}
	late := storagetest.NewFaulty(store, func(op storagetest.Operation) storagetest.Fault {
		if isSegment(op) {
			return storagetest.Late
		}
		return storagetest.None
	})
	if err := backUp(s.on(t, late), data); err == nil {
		t.Fatal("nothing was late")
	}
	delivered := false
	meets := storagetest.NewFaulty(store, func(op storagetest.Operation) storagetest.Fault {
		if isSegment(op) && !delivered {
			delivered = true
			late.Deliver()
		}
		return storagetest.None
	})
	if err := backUp(s.on(t, meets), data); err != nil || !delivered {
		t.Fatalf("the next run: %v, met %v", err, delivered)
	}
	tr.mends(t, s, data, true)
}

// unsynced is a store whose Tidy, which makes durable what Puts have finished,
// fails when told to.
type unsynced struct {
	storage.Store
	fails *bool
}

var errUnsynced = errors.New("the directory cannot be synced")

func (u unsynced) Tidy(context.Context, string, time.Time) error {
	if *u.fails {
		return errUnsynced
	}
	return nil
}

// A segment that is there although its Put failed counts as committed only
// when it is durable: the Put may have failed in the last step, the sync.
func TestCommitInDoubtIsMadeDurableBeforeItIsReported(t *testing.T) {
	for _, fails := range []bool{false, true} {
		tr := newTrouble(t)
		s, data, store := tr.again(t)
		doubt := false
		f := storagetest.NewFaulty(store, func(op storagetest.Operation) storagetest.Fault {
			if op.Verb == storagetest.Put && strings.Contains(op.Name, "/journal/") {
				doubt = fails
				return storagetest.After
			}
			return storagetest.None
		})
		err := backUp(s.on(t, unsynced{f, &doubt}), data)
		if fails != errors.Is(err, errUnsynced) || !fails && err != nil {
			t.Errorf("sync fails %v: the backup says %v", fails, err)
		}
		tr.mends(t, s, data, err == nil)
	}
}
