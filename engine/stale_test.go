package engine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// staleRows are what a listing does not know yet.
var staleRows = map[string]string{
	"packs":    vault.PacksPrefix,
	"journals": vault.DevicesPrefix,
	"keys":     vault.KeysPrefix[:4], // with their copies
	"all":      "",
}

// A lag is a vault whose listings lag behind the run before.
type lag struct {
	*trouble
	mu     sync.Mutex
	hidden map[string]int // of each row
}

// run runs a verb whose listings of one kind hide what the run before has put.
// What it says is an error that names what is missing, or right.
func (l *lag) run(t *testing.T, row, verb, data string, s *scene, store *storagetest.Memory, earlier *storagetest.Faulty) {
	t.Helper()
	f := storagetest.NewFaulty(store, func(op storagetest.Operation) storagetest.Fault {
		if op.Verb == storagetest.List && strings.HasPrefix(op.Name, staleRows[row]) {
			return storagetest.Stale
		}
		return storagetest.None
	})
	f.Follows(earlier)
	on := s.on(t, f)
	var err error
	switch verb {
	case "backup":
		if err = backUp(on, data); err == nil {
			sameTrees(t, l.now, image(t, s.restore(data, "latest")))
		}
	case "check":
		err = checkAll(on, data)
	case "join":
		err = joinAgain(on, filepath.Join(s.dir, "third"))
	case "restore":
		err = l.restored(t, on, data)
	}
	if err != nil && !errors.Is(err, storage.ErrNotListed) && !strings.Contains(err.Error(), "/") {
		t.Errorf("%s says only %q", verb, err)
	}
	if err != nil && len(f.Hidden()) == 0 {
		t.Errorf("nothing was hidden, and %s says %v", verb, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hidden[row] += len(f.Hidden())
}

// restored restores the newest snapshot: it is one of the two that there are.
func (l *lag) restored(t *testing.T, s *scene, data string) error {
	t.Helper()
	e, err := s.open(data)
	if err != nil {
		return err
	}
	to := filepath.Join(s.dir, "restored")
	r, err := e.Restore(t.Context(), RestoreOptions{To: to})
	got := map[string]string{}
	if _, statErr := os.Stat(filepath.Join(to, filepath.Base(l.src))); statErr == nil {
		got = image(t, filepath.Join(to, filepath.Base(l.src)))
	}
	if err == nil && len(r.Problems) == 0 && !maps.Equal(got, l.before) && !maps.Equal(got, l.now) {
		t.Errorf("without an error %v is restored", got)
	}
	for _, p := range r.Problems {
		err = errors.Join(err, p.Err)
	}
	return errors.Join(err, e.Close())
}

// well expects that nothing was lost, whatever the listings hid, when they
// have caught up: also not a pack that a killed run had put and this one did
// not see.
func (l *lag) well(t *testing.T, s *scene, data string, store *storagetest.Memory) {
	t.Helper()
	sameTrees(t, l.before, image(t, s.restore(data, l.id)))
	s.backup(data)
	sameTrees(t, l.now, image(t, s.restore(data, "latest")))
	sameTrees(t, l.before, image(t, s.restore(data, l.id)))
	s.with(data, func(e *Engine) {
		r, err := e.Check(t.Context(), CheckOptions{ReadData: true})
		if err != nil || len(r.Problems) > 0 {
			t.Errorf("check: %+v, %v", r, err)
		}
		if _, there := packBytes(t, store); r.Packs+r.DeadPacks != there {
			t.Errorf("check knows %d packs and %d dead ones; there are %d", r.Packs, r.DeadPacks, there)
		}
	})
}

// A listing may lag behind what the run before has put, before it was killed or
// when it was done.
func TestListingsThatLagBehindTheRunBeforeCostNothing(t *testing.T) {
	l := &lag{trouble: newTrouble(t), hidden: map[string]int{}}
	writes := func(run func(*scene, string) error) int {
		s, data, store := l.again(t)
		f := storagetest.NewFaulty(store, nil)
		if err := run(s.on(t, f), data); err != nil {
			t.Fatal(err)
		}
		return f.Count(storagetest.Put) + f.Count(storagetest.Delete)
	}
	another := func(data string) string { return data + "-of-another" }
	joins := func(s *scene, data string) error { return joinAgain(s, another(data)) }
	for before, run := range map[string]func(*scene, string) error{"backup": backUp, "join": joins} {
		for number := 1; number <= writes(run)+1; number++ { // the last is not killed
			for row := range staleRows {
				for n, verb := range []string{"backup", "check", "restore", "join"} {
					for _, fresh := range []bool{false, true} {
						if !soak() && fresh != ((number+n)%2 == 0) {
							continue
						}
						name := fmt.Sprintf("%s killed after write %d, %s are hidden, %s, without a catalog %v", before, number, row, verb, fresh)
						t.Run(name, func(t *testing.T) {
							t.Parallel()
							s, data, store := l.again(t)
							earlier := storagetest.NewFaulty(store, storagetest.AtWrite(number, storagetest.GoneAfter))
							at := data
							if err := run(s.on(t, earlier), data); err == nil && before == "join" {
								at = another(data)
							}
							if fresh {
								forget(t, at)
							}
							l.run(t, row, verb, at, s, store, earlier)
							l.well(t, s, data, store)
							if at != data {
								s.backup(at)
								sameTrees(t, l.now, image(t, s.restore(at, "latest")))
							}
						})
					}
				}
			}
		}
	}
	t.Cleanup(func() {
		for row := range staleRows {
			if l.hidden[row] == 0 {
				t.Errorf("%s: nothing was hidden", row)
			}
		}
		t.Logf("hidden names by row: %v", l.hidden)
	})
}
