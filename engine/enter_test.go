package engine

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// empty is a scene without a vault.
func empty(t *testing.T, store storage.Store) *scene {
	t.Helper()
	dir := t.TempDir()
	return &scene{t: t, dir: dir, vault: filepath.Join(dir, "vault"), data: filepath.Join(dir, "data"), src: filepath.Join(dir, "src"),
		wrap: func(storage.Store) storage.Store { return store }}
}

// sound expects a vault that works and holds nothing of another one.
func (s *scene) sound(store *storagetest.Memory, data string) {
	s.t.Helper()
	s.write("letter", []byte("dear oak"))
	s.backup(data)
	s.clean(data)
	s.with(data, func(e *Engine) {
		if list, err := e.Snapshots(s.t.Context()); err != nil || len(list) != 1 {
			s.t.Errorf("%d snapshots, %v", len(list), err)
		}
		r, err := e.Check(s.t.Context(), CheckOptions{})
		if err != nil || r.Devices < 1 {
			s.t.Errorf("check: %+v, %v", r, err)
		}
	})
}

func TestKilledInitLeavesNothingThatHarmsTheNext(t *testing.T) {
	storagetest.Crashes(t, &storagetest.Memory{}, func(t *testing.T, store storage.Store) func(*testing.T, storagetest.Crash, *storagetest.Memory) {
		s := empty(t, store)
		_, err := initVault(t.Context(), s.options(s.data), s.wrap)
		return func(t *testing.T, c storagetest.Crash, left *storagetest.Memory) {
			if err != nil && !errors.Is(err, storagetest.ErrGone) && !errors.Is(err, storagetest.ErrFault) {
				t.Fatalf("killed init says %v", err)
			}
			there := slices.Contains(left.Names(), vault.ConfigName)
			old := left.Names()
			after := s.on(t, left)
			data := filepath.Join(s.dir, "second")
			_, err := initVault(t.Context(), after.options(data), after.wrap)
			if there != errors.Is(err, ErrVaultExists) || !there && err != nil {
				t.Fatalf("init again: %v", err)
			}
			if there {
				data = filepath.Join(s.dir, "third")
				if _, err := join(t.Context(), after.options(data), after.wrap); err != nil {
					t.Fatalf("join: %v", err)
				}
			}
			after.sound(left, data)
			for _, name := range old { // probes are cleared away in their own time
				if !there && !strings.HasPrefix(name, "probe/") && slices.Contains(left.Names(), name) {
					t.Errorf("%s is left of the killed init", name)
				}
			}
		}
	})
}

func TestKilledJoinLeavesNothingThatHarms(t *testing.T) {
	start := &storagetest.Memory{}
	first := newSceneOn(t, func(storage.Store) storage.Store { return start })
	storagetest.Crashes(t, start, func(t *testing.T, store storage.Store) func(*testing.T, storagetest.Crash, *storagetest.Memory) {
		run := first.on(t, store)
		data := filepath.Join(t.TempDir(), "other")
		_, err := join(t.Context(), run.options(data), run.wrap)
		return func(t *testing.T, c storagetest.Crash, left *storagetest.Memory) {
			after := first.on(t, left)
			if _, again := join(t.Context(), after.options(data), after.wrap); (err == nil) != errors.Is(again, ErrJoined) {
				t.Fatalf("join: %v; again: %v", err, again)
			}
			after.sound(left, data)
			after.clean(first.cloneData(t))
		}
	})
}

// Of two that make a vault in one place one wins; the other one's traces do
// no harm even if it dies before it can remove them.
func TestSecondOfTwoInitsLeavesNothing(t *testing.T) {
	for _, dies := range []bool{false, true} {
		store := &storagetest.Memory{}
		winner, dead := empty(t, store), false
		plan := func(op storagetest.Operation) storagetest.Fault {
			if op.Verb == storagetest.Put && op.Name == vault.ConfigName {
				if _, err := initVault(t.Context(), winner.options(winner.data), winner.wrap); err != nil {
					t.Errorf("the first: %v", err)
				}
				// Its sweep has cleared the second one away; that one's last
				// writes may come later still.
				dead = dies
			}
			if dead {
				return storagetest.Gone
			}
			return storagetest.None
		}
		loser := empty(t, storagetest.NewFaulty(store, plan))
		_, err := initVault(t.Context(), loser.options(loser.data), loser.wrap)
		if !dies && !errors.Is(err, ErrVaultExists) || dies && !errors.Is(err, storagetest.ErrGone) {
			t.Errorf("the second: %v", err)
		}
		winner.sound(store, winner.data)
		if devices := strings.Count(strings.Join(store.Names(), " "), "/card"); devices != 1 {
			t.Errorf("%d cards are left: %q", devices, store.Names())
		}
	}
}

// What a second init writes after the first has won and swept, and then dies.
func TestCardOfAVaultThatNeverWasCountsForNothing(t *testing.T) {
	store := &storagetest.Memory{}
	s := empty(t, store)
	if _, err := initVault(t.Context(), s.options(s.data), s.wrap); err != nil {
		t.Fatal(err)
	}
	late := &storagetest.Memory{}
	loser := empty(t, late)
	if _, err := initVault(t.Context(), loser.options(loser.data), loser.wrap); err != nil {
		t.Fatal(err)
	}
	var card string
	for _, name := range late.Names() {
		if strings.HasPrefix(name, vault.KeysPrefix) || strings.HasPrefix(name, vault.DevicesPrefix) {
			b, err := late.Get(t.Context(), name, vault.MaxCard<<2)
			if err != nil {
				t.Fatal(err)
			}
			store.Replace(name, b)
			if strings.HasPrefix(name, vault.DevicesPrefix) {
				card = name
			}
		}
	}
	s.sound(store, s.data)
	// With a journal it is no leftover of any init.
	store.Replace(strings.TrimSuffix(card, "card")+"journal/000000000000/0001", []byte("x"))
	if problems := s.check(s.data, false); len(problems) == 0 || !strings.Contains(problems[0].Err.Error(), card) {
		t.Errorf("check finds %v", problems)
	}
}
