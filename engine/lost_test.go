package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// A history is a vault of one device after three backups.
type history struct {
	*scene
	store   *storagetest.Memory
	earlier *storagetest.Memory // after the first backup
	journal []string            // names of the segments
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{store: &storagetest.Memory{}}
	h.scene = newSceneOn(t, func(storage.Store) storage.Store { return h.store })
	h.ahead = 1 << 42
	for i, name := range []string{"a", "b", "c"} {
		h.write(name, noise(uint64(i+1), 5000))
		h.backup(h.data)
		if i == 0 {
			h.earlier = h.store.Clone()
		}
	}
	for _, name := range h.store.Names() {
		if strings.Contains(name, "/journal/") {
			h.journal = append(h.journal, name)
		}
	}
	return h
}

// flipped is an object with bits flipped in more places than parity repairs.
func flipped(t *testing.T, store *storagetest.Memory, name string) []byte {
	t.Helper()
	b, err := store.Get(t.Context(), name, vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	b = slices.Clone(b)
	for i := range 8 {
		b[len(b)*(2*i+1)/16] ^= 1
	}
	return b
}

// losses are ways in which a vault can lose what its devices rely on.
func losses() map[string]func(t *testing.T, h *history) {
	return map[string]func(*testing.T, *history){
		"set back":       func(_ *testing.T, h *history) { h.store = h.earlier },
		"newest flipped": func(t *testing.T, h *history) { h.store.Replace(h.journal[2], flipped(t, h.store, h.journal[2])) },
		"newest gone":    func(_ *testing.T, h *history) { h.store.Replace(h.journal[2], nil) },
		"middle gone":    func(_ *testing.T, h *history) { h.store.Replace(h.journal[1], nil) },
		"first gone":     func(_ *testing.T, h *history) { h.store.Replace(h.journal[0], nil) },
		"journal gone": func(_ *testing.T, h *history) {
			for _, name := range h.journal {
				h.store.Replace(name, nil)
			}
		},
	}
}

// What is committed above a gap, or deduplicated against what is gone, nobody
// could restore.
func TestNoBackupGoesOnOverALostPartOfItsJournalAndANewDeviceDoes(t *testing.T) {
	for how, lose := range losses() {
		for _, catalog := range []string{"with the catalog", "without the catalog"} {
			t.Run(how+", "+catalog, func(t *testing.T) {
				h := newHistory(t)
				want := image(t, h.src)
				lose(t, h)
				if catalog == "without the catalog" {
					if err := os.RemoveAll(filepath.Join(h.data, "catalog")); err != nil {
						t.Fatal(err)
					}
				}
				before := h.store.Names()
				h.with(h.data, func(e *Engine) {
					r, err := e.Backup(t.Context(), BackupOptions{Paths: []string{h.src}})
					if !errors.Is(err, ErrLost) || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "/journal/") || r.Snapshot != "" {
						t.Errorf("report %+v, %v", r, err)
					}
				})
				if after := h.store.Names(); !slices.Equal(before, after) {
					t.Errorf("the store holds %q, before %q", after, before)
				}
				other := filepath.Join(h.dir, "other")
				if _, err := join(t.Context(), h.options(other), h.wrap); err != nil {
					t.Fatal(err)
				}
				h.backup(other)
				sameTrees(t, want, image(t, h.restore(other, "")))
			})
		}
	}
}

func TestNoBackupReliesOnALostPartOfAnotherJournal(t *testing.T) {
	for how, lose := range losses() {
		t.Run(how, func(t *testing.T) {
			h := newHistory(t)
			other := filepath.Join(h.dir, "other")
			if _, err := join(t.Context(), h.options(other), h.wrap); err != nil {
				t.Fatal(err)
			}
			h.backup(other)
			// Everything of the other device stays; only the first one loses.
			whole := h.store.Clone()
			h.earlier = whole.Clone()
			for _, name := range h.journal[1:] {
				h.earlier.Replace(name, nil)
			}
			lose(t, h)
			h.with(other, func(e *Engine) {
				_, err := e.Backup(t.Context(), BackupOptions{Paths: []string{h.src}})
				if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), h.journal[0][:40]) {
					t.Errorf("got %v", err)
				}
			})
			h.store = whole // a newer copy is put back
			h.backup(other)
			h.backup(h.data)
			h.clean(other)
		})
	}
}

// Readers answer with what there is, and say that there may be more.
func TestReadersOfADamagedJournalAnswerAndSayIt(t *testing.T) {
	type answer struct {
		snapshots int
		damaged   bool
	}
	// One that has folded everything knows everything. One that joins later
	// cannot tell when an end is missing that nobody claims.
	want := map[string]struct{ old, fresh answer }{
		"set back":       {answer{3, true}, answer{1, false}},
		"newest flipped": {answer{3, false}, answer{2, true}},
		"newest gone":    {answer{3, true}, answer{2, false}},
		"middle gone":    {answer{3, true}, answer{1, true}},
		"first gone":     {answer{3, true}, answer{0, true}},
		"journal gone":   {answer{3, true}, answer{0, false}},
	}
	for how, lose := range losses() {
		h := newHistory(t)
		lose(t, h)
		other := filepath.Join(h.dir, "other")
		if _, err := join(t.Context(), h.options(other), h.wrap); err != nil {
			t.Fatal(err)
		}
		for data, want := range map[string]answer{h.data: want[how].old, other: want[how].fresh} {
			h.with(data, func(e *Engine) {
				list, err := e.Snapshots(t.Context())
				if len(list) != want.snapshots || errors.Is(err, ErrDamaged) != want.damaged {
					t.Errorf("%s, %s: %d snapshots, %v", how, data, len(list), err)
				}
				names := 0
				err = e.List(t.Context(), ListOptions{}, func(Entry) error { names++; return nil })
				if names != min(1, want.snapshots) || errors.Is(err, ErrDamaged) != want.damaged {
					t.Errorf("%s, %s: %d sources, %v", how, data, names, err)
				}
				r, err := e.Restore(t.Context(), RestoreOptions{To: filepath.Join(t.TempDir(), "to")})
				if errors.Is(err, ErrDamaged) != want.damaged || int(r.Files) != want.snapshots && how != "set back" {
					t.Errorf("%s, %s: %d files, %v", how, data, r.Files, err)
				}
			})
		}
	}
}

// What another device claims to have folded must be there, also for who never
// folded it.
func TestShortJournalThatAnotherDeviceClaimsIsNoticed(t *testing.T) {
	h := newHistory(t)
	other, third := filepath.Join(h.dir, "other"), filepath.Join(h.dir, "third")
	if _, err := join(t.Context(), h.options(other), h.wrap); err != nil {
		t.Fatal(err)
	}
	h.backup(other)
	h.store.Replace(h.journal[2], nil)
	if _, err := join(t.Context(), h.options(third), h.wrap); err != nil {
		t.Fatal(err)
	}
	h.with(third, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), h.journal[2]) || len(list) != 3 {
			t.Errorf("%d snapshots, %v", len(list), err)
		}
	})
	h.backup(third) // it relies on nothing that is gone
	sameTrees(t, image(t, h.src), image(t, h.restore(third, "")))
}
