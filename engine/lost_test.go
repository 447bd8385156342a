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

func flipped(t *testing.T, store *storagetest.Memory, name string) []byte {
	t.Helper()
	b, err := store.Get(t.Context(), name, vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	b = slices.Clone(b)
	b[len(b)/2] ^= 1
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
					if err := os.Remove(filepath.Join(h.data, "catalog.db")); err != nil {
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
