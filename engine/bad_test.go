package engine

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
	"holm.example/internal/testseed"
)

func TestPackThatIsThereAgainIsGoodAgain(t *testing.T) {
	w := newWorn(t)
	w.write("a", noise(1, 50_000))
	w.backup(w.data)
	pack := w.packs()[0]
	good, err := w.store.Get(t.Context(), pack, vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	for how, o := range map[string]struct {
		finds CheckOptions
		less  []CheckOptions // that say nothing when the pack is whole again
	}{
		"missing": {CheckOptions{}, nil},
		"cut":     {CheckOptions{}, nil},
		"flipped": {CheckOptions{ReadData: true}, []CheckOptions{{}}},
	} {
		w.wear(pack, how)
		if r := w.checks(w.data, o.finds); len(r.Problems) != 1 {
			t.Errorf("%s: %+v", how, r)
		}
		w.store.Replace(pack, good)
		for _, less := range o.less {
			if r := w.checks(w.data, less); len(r.Problems) != 1 || !strings.Contains(says(r.Problems), "earlier check") {
				t.Errorf("%s, a check that reads less: %+v", how, r)
			}
		}
		if r := w.checks(w.data, o.finds); len(r.Problems)+len(r.Warnings) > 0 {
			t.Errorf("%s, put back: %+v", how, r)
		}
		if _, err := os.Stat(badPath(w.data)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file of bad packs is still there: %v", how, err)
		}
		if r := w.backup(w.data); r.NewBytes != 0 {
			t.Errorf("%s: %d bytes are stored again", how, r.NewBytes)
		}
	}
}

func TestStoreThatCannotReadMakesNoPackBad(t *testing.T) {
	for _, parity := range []bool{false, true} {
		t.Run(fmt.Sprint("parity ", parity), func(t *testing.T) { makesNoneBad(t, newWornOf(t, parity)) })
	}
}

func makesNoneBad(t *testing.T, w *worn) {
	w.write("a", noise(1, 50_000))
	w.backup(w.data)
	whole := w.store.Clone()
	broken := func(f storagetest.Fault) storagetest.Plan {
		return storagetest.On(storagetest.GetRange, vault.PacksPrefix, f)
	}
	plans := map[string]func() storagetest.Plan{
		"errors":             func() storagetest.Plan { return broken(storagetest.Before) },
		"timeouts":           func() storagetest.Plan { return broken(storagetest.TimedOut) },
		"short answers":      func() storagetest.Plan { return broken(storagetest.Short) },
		"away":               func() storagetest.Plan { return broken(storagetest.Gone) },
		"away when listed":   func() storagetest.Plan { return storagetest.On(storagetest.List, vault.PacksPrefix, storagetest.Gone) },
		"a list that breaks": func() storagetest.Plan { return storagetest.On(storagetest.List, vault.PacksPrefix, storagetest.Short) },
	}
	for n := range 8 { // parity makes good what some of these do
		plans[fmt.Sprint("an error after ", n)] = func() storagetest.Plan { return after(n, 1, broken(storagetest.Before)) }
		plans[fmt.Sprint("two errors after ", n)] = func() storagetest.Plan { return after(n, 2, broken(storagetest.Before)) }
		plans[fmt.Sprint("a wrong answer after ", n)] = func() storagetest.Plan { return after(n, 1, broken(storagetest.Flip)) }
	}
	for name, plan := range plans {
		for _, o := range []CheckOptions{{}, {ReadData: true}, {Deep: true, ReadData: true}, {Repair: true}} {
			w.wrap = func(storage.Store) storage.Store { return storagetest.NewFaulty(whole.Clone(), plan()) }
			e, err := w.open(w.data)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = e.Check(t.Context(), o) // an error or a problem, as may be
			if e.Close(); len(e.bad) > 0 {
				t.Errorf("%s, %+v: %+v", name, o, e.bad)
			}
			if _, err := os.Stat(badPath(w.data)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s, %+v: there is a file of bad packs: %v", name, o, err)
			}
		}
	}
	// A vault that is taken away while it is checked loses no pack.
	w.wrap = func(storage.Store) storage.Store { return whole }
	e, err := w.open(w.data)
	if err != nil {
		t.Fatal(err)
	}
	away := &storagetest.Memory{}
	e.vault.Store = away
	if _, err := e.Check(t.Context(), CheckOptions{}); !errors.Is(err, ErrUnreachable) || len(e.bad) > 0 {
		t.Errorf("taken away: %v, %v", e.bad, err)
	}
	away.Replace(vault.ConfigName, []byte("{}"))
	if _, err := e.Check(t.Context(), CheckOptions{}); err != nil || len(e.bad) > 0 {
		t.Errorf("another in its place: %v, %v", e.bad, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// after lets a plan happen that many times, after it would have happened as
// often as skip says.
func after(skip, times int, plan storagetest.Plan) storagetest.Plan {
	return func(op storagetest.Operation) storagetest.Fault {
		f := plan(op)
		if f == storagetest.None {
			return f
		}
		if skip--; skip >= 0 || times == 0 {
			return storagetest.None
		}
		times--
		return f
	}
}

func TestDamagedFileOfBadPacksIsSaidAndCostsNothing(t *testing.T) {
	w := newWorn(t)
	w.write("a", noise(1, 5_000))
	w.backup(w.data)
	w.wear(w.packs()[0], "missing")
	w.checks(w.data, CheckOptions{})
	good, err := os.ReadFile(badPath(w.data))
	if err != nil {
		t.Fatal(err)
	}
	random := testseed.Rand(t)
	for _, c := range corruptions(random, good, 1000) {
		if err := os.WriteFile(badPath(w.data), c.b, 0o600); err != nil {
			t.Fatal(err)
		}
		said := ""
		if list := loadBad(w.data, func(format string, args ...any) { said += fmt.Sprintf(format, args...) }); list != nil || said == "" {
			t.Errorf("%s: %+v, said %q", c.what, list, said)
		}
	}
	if r := w.checks(w.data, CheckOptions{}); len(r.Problems) != 1 {
		t.Errorf("check: %+v", r)
	}
	if again, err := os.ReadFile(badPath(w.data)); err != nil || string(again) != string(good) {
		t.Errorf("the file is not as it was: %v", err)
	}
}

func FuzzParseBad(f *testing.F) {
	f.Add(formatBad(nil))
	f.Add([]byte(badMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseBad(b)
		if err == nil && string(formatBad(list)) != string(b) {
			t.Errorf("%x is not what its list is written as", b)
		}
	})
}
