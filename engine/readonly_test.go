package engine

import (
	"path/filepath"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// Whoever may only read a vault, or must not touch it because it is evidence,
// can do all that reads: also while the journal of another device is damaged.
func TestReadersWriteNothingIntoTheStore(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.write("one", noise(1, 3000))
	s.backup(s.data)
	s.write("two", noise(2, 3000))
	s.backup(s.data)
	other := filepath.Join(s.dir, "other")
	if _, err := join(t.Context(), s.options(other), s.wrap); err != nil {
		t.Fatal(err)
	}
	s.backup(other)
	g := &gapScene{scene: s, store: store, other: other}
	first := g.journal(s.data)[0]
	for _, c := range []struct {
		what    string
		prepare func()
	}{
		{"whole", func() {}},
		{"with a gap", func() { store.Replace(first, nil) }},
		{"with a gap, folding anew", func() { forget(t, other) }},
	} {
		what := c.what
		c.prepare()
		f := storagetest.NewFaulty(store, func(op storagetest.Operation) storagetest.Fault {
			if op.Verb.Writes() {
				t.Errorf("%s: %s %s", what, op.Verb, op.Name)
			}
			return storagetest.None
		})
		before := store.Names()
		s.on(t, f).with(other, func(e *Engine) {
			list, _ := e.Snapshots(t.Context()) // that there is damage is told elsewhere
			if len(list) < 2 {
				t.Errorf("%s: %d snapshots", what, len(list))
			}
			_ = e.List(t.Context(), ListOptions{Recursive: true}, func(Entry) error { return nil })
			_ = e.Find(t.Context(), FindOptions{All: true, Fits: func(*Entry) bool { return true }}, func(Match) error { return nil })
			_, _, _ = e.Diff(t.Context(), DiffOptions{Old: list[0].ID, New: list[1].ID}, func(Change) error { return nil })
			if r, _ := e.Restore(t.Context(), RestoreOptions{To: filepath.Join(t.TempDir(), "to")}); r.Files != 2 {
				t.Errorf("%s: %d files restored", what, r.Files)
			}
			if _, err := e.Check(t.Context(), CheckOptions{Deep: true}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
		if after := store.Names(); len(after) != len(before) {
			t.Errorf("%s: the store holds %q, before %q", what, after, before)
		}
	}
}
