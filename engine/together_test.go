package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A party is a data directory with a source of its own.
type party struct {
	*scene
	order []string
	want  map[string]map[string]string // snapshot → image
}

func newParty(t *testing.T, s *scene, name string) *party {
	t.Helper()
	p := &party{scene: s.on(t, nil), want: map[string]map[string]string{}}
	p.wrap = s.wrap
	p.data, p.src = filepath.Join(s.dir, name), filepath.Join(s.dir, name+"-src")
	if err := os.MkdirAll(p.src, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.data); err != nil {
		if _, err := join(t.Context(), p.options(p.data), p.wrap); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// round changes the source and backs it up; it is called from a goroutine of
// its own.
func (p *party) round(n uint64) error {
	for i, content := range [][]byte{noise(n, 3000), noise(n/2, 2000), noise(n*7+uint64(len(p.data)), 1000)} {
		if err := os.WriteFile(filepath.Join(p.src, fmt.Sprint(i)), content, 0o644); err != nil {
			return err
		}
	}
	e, err := p.open(p.data)
	if err != nil {
		return err
	}
	r, err := e.Backup(p.t.Context(), BackupOptions{Paths: []string{p.src}})
	if err == nil {
		p.order = append(p.order, r.Snapshot)
		p.want[r.Snapshot] = image(p.t, p.src)
	}
	return errors.Join(err, e.Close())
}

// history expects that a device can restore all snapshots of a party.
func (p *party) history(t *testing.T, by string) {
	t.Helper()
	for _, id := range p.order {
		s := p.on(t, nil)
		s.wrap, s.dir = p.wrap, fastDir(t)
		sameTrees(t, p.want[id], image(t, s.restore(by, id)))
	}
}

func TestTwoDevicesCommitInTurnAndAtOnceAndBothHistoriesRestore(t *testing.T) {
	s := newScene(t)
	s.limit = 4000 // several transactions a round
	a, b := newParty(t, s, "data"), newParty(t, s, "other")
	rounds := uint64(12)
	if soak() {
		rounds = 300
	}
	for n := range rounds {
		done := make(chan error, 2)
		for _, p := range []*party{a, b} {
			go func() { done <- p.round(n) }()
			if n%3 == 0 { // in turn
				done <- <-done
			}
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*party{a, b} {
		if len(p.order) != int(rounds) {
			t.Errorf("%d snapshots, want %d", len(p.order), rounds)
		}
		p.history(t, a.data)
		p.history(t, b.data)
		p.clean(p.data)
	}
	a.with(a.data, func(e *Engine) {
		if devices, err := e.vault.Journals(t.Context()); err != nil || len(devices) != 2 {
			t.Errorf("%d devices, %v: one was taken for a clone", len(devices), err)
		}
	})
}

// A machine that was copied whole, and both copies that go on, at once.
func TestCloneAtWorkAtOnceIsFoundOutAndNothingIsLost(t *testing.T) {
	s := newScene(t)
	s.limit = 4000
	a := newParty(t, s, "data")
	if err := a.round(1); err != nil {
		t.Fatal(err)
	}
	copied := a.cloneData(t)
	b := newParty(t, s, "clone")
	if err := errors.Join(os.RemoveAll(b.data), os.Rename(copied, b.data)); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(6) {
		done := make(chan error, 2)
		for _, p := range []*party{a, b} {
			go func() { done <- p.round(n + 2) }()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
	}
	a.history(t, b.data)
	b.history(t, a.data)
	a.clean(a.data)
	b.clean(b.data)
	if x, y := deviceOf(t, a), deviceOf(t, b); x == y {
		t.Errorf("both are still %s", x)
	}
}

func deviceOf(t *testing.T, p *party) (id string) {
	t.Helper()
	p.with(p.data, func(e *Engine) { id = e.Info().DeviceID })
	return id
}

// A data directory that is restored from a backup of the machine, to each
// state that it once had. Nobody wrote in its name after the newest one: that
// goes on as the device it is.
func TestRestoredDataDirectoryGoesOnWhereverItWasSetBackTo(t *testing.T) {
	s := newScene(t)
	a := newParty(t, s, "data")
	var states []files
	for n := range uint64(4) {
		if err := a.round(n); err != nil {
			t.Fatal(err)
		}
		d, err := take(a.data)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, d)
	}
	for n, state := range states {
		if err := os.RemoveAll(a.data); err != nil {
			t.Fatal(err)
		}
		state.lay(t, a.data)
		before := deviceOf(t, a)
		if err := a.round(uint64(10 + n)); err != nil {
			t.Fatal(err)
		}
		if after := deviceOf(t, a); (after == before) != (n == len(states)-1) {
			t.Errorf("set back to state %d it was %s and goes on as %s", n, before, after)
		}
		a.history(t, a.data)
		a.clean(a.data)
	}
}

// A clock that is wrong by years, in either direction, costs nothing.
func TestClockWrongByYearsLosesNothing(t *testing.T) {
	s := newScene(t)
	a, b := newParty(t, s, "data"), newParty(t, s, "other")
	for n, year := range []int{2026, 2040, 1999, 1960, 1970, 2200, 2300, 9999, 1, 2027} {
		for _, p := range []*party{a, b} {
			p.ahead = 0
			if p == a {
				now := time.Now()
				p.at = func() time.Time {
					return time.Date(year, 3, 4, 5, 6, 7, 8, time.UTC).Add(time.Since(now))
				}
			}
			if err := p.round(uint64(n)); err != nil {
				t.Fatalf("in the year %d: %v", year, err)
			}
			latest := p.order[len(p.order)-1]
			p.with(p.data, func(e *Engine) {
				list, err := e.Snapshots(t.Context())
				found := false
				for _, snapshot := range list {
					found = found || snapshot.ID == latest
				}
				if err != nil || !found {
					t.Errorf("in the year %d: %d snapshots, %v, without the one just made", year, len(list), err)
				}
			})
		}
	}
	a.history(t, b.data)
	b.history(t, a.data)
	a.clean(b.data)
	b.clean(a.data)
}
