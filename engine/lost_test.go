package engine

import (
	"errors"
	"fmt"
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

// What stands of the other journal after each loss: the segments before this
// one.
func firstLost() map[string]int {
	return map[string]int{"set back": 2, "newest flipped": 3, "newest gone": 3, "middle gone": 2, "first gone": 1, "journal gone": 1}
}

// A device goes on while another one's journal is damaged, and shares nothing
// that only the damaged part has: also the packs of that part may be gone.
func TestNoBackupReliesOnALostPartOfAnotherJournal(t *testing.T) {
	for how, lose := range losses() {
		for _, catalog := range []string{"with the catalog", "without the catalog"} {
			t.Run(how+", "+catalog, func(t *testing.T) {
				h := newHistory(t)
				other, third := filepath.Join(h.dir, "other"), filepath.Join(h.dir, "third")
				if _, err := join(t.Context(), h.options(other), h.wrap); err != nil {
					t.Fatal(err)
				}
				if r := h.backup(other); r.NewBytes != 0 {
					t.Fatalf("%d bytes were not shared", r.NewBytes)
				}
				// Everything of the other device stays; only the first one loses.
				whole := h.store.Clone()
				h.earlier = whole.Clone()
				for _, name := range h.journal[1:] {
					h.earlier.Replace(name, nil)
				}
				lose(t, h)
				first := firstLost()[how]
				for _, name := range h.store.Names() {
					if id, err := vault.ParsePackName(name); err == nil && id.Seq >= uint64(first) {
						h.store.Replace(name, nil)
					}
				}
				if catalog == "without the catalog" {
					if err := os.RemoveAll(filepath.Join(other, "catalog")); err != nil {
						t.Fatal(err)
					}
				}
				want := image(t, h.src)
				r := h.backup(other)
				if kept := int64(5000 * (first - 1)); r.NewBytes != 15_000-kept || r.ReadBytes != r.NewBytes {
					t.Errorf("read %d bytes, stored %d; %d of 15000 stand", r.ReadBytes, r.NewBytes, kept)
				}
				if _, err := join(t.Context(), h.options(third), h.wrap); err != nil {
					t.Fatal(err)
				}
				sameTrees(t, want, image(t, h.restore(third, r.Snapshot)))
				if again := h.backup(other); again.ReadBytes != 0 || again.NewBytes != 0 || again.Changed != 0 {
					t.Errorf("the next backup reads %d bytes again and stores %d", again.ReadBytes, again.NewBytes)
				}
				h.backup(third)
				expectClaims(t, h, third, first-1)

				// What was lost is put back.
				for _, name := range whole.Names() {
					b, err := whole.Get(t.Context(), name, vault.MaxPack)
					if err != nil {
						t.Fatal(err)
					}
					h.store.Replace(name, b)
				}
				h.backup(h.data)
				h.backup(other)
				h.clean(other)
				expectFreshFold(t, h.scene, other)
			})
		}
	}
}

// expectClaims expects that a device has claimed the first device's journal up
// to that seq.
func expectClaims(t *testing.T, h *history, data string, seq int) {
	t.Helper()
	h.with(data, func(e *Engine) {
		first, _, err := vault.ParseSegmentName(h.journal[0])
		if err != nil {
			t.Fatal(err)
		}
		claims, err := e.catalog.Claims(e.state.Head().Device)
		got := 0
		for _, c := range claims {
			if c.Device == first {
				got = int(c.Seq)
			}
		}
		if err != nil || got != seq {
			t.Errorf("claims %v, %v, want the first device up to %d", claims, err, seq)
		}
	})
}

// expectFreshFold expects that a device knows what one knows that has folded
// the vault anew.
func expectFreshFold(t *testing.T, s *scene, data string) {
	t.Helper()
	fresh := filepath.Join(t.TempDir(), "fresh")
	if err := os.CopyFS(fresh, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(fresh, "catalog")); err != nil {
		t.Fatal(err)
	}
	if got, want := known(t, s, data), known(t, s, fresh); got != want {
		t.Errorf("the device knows\n%s\none that folds anew knows\n%s", got, want)
	}
}

// known is all that a device knows of all snapshots, as text.
func known(t *testing.T, s *scene, data string) (text string) {
	t.Helper()
	s.with(data, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, snapshot := range list {
			text += fmt.Sprintf("%+v\n", snapshot)
			err := e.List(t.Context(), ListOptions{At: snapshot.ID, Recursive: true}, func(entry Entry) error {
				text += fmt.Sprintf("  %+v\n", entry)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		devices, err := e.catalog.Devices()
		if err != nil {
			t.Error(err)
		}
		for _, d := range devices {
			text += fmt.Sprintf("%+v\n", d)
		}
	})
	return text
}

// Readers answer with what there is, and say that there may be more.
func TestReadersOfADamagedJournalAnswerAndSayIt(t *testing.T) {
	type answer struct {
		snapshots, incomplete int
		damaged               bool
		files                 int // of the latest snapshot
	}
	// One that has folded everything knows everything. One that joins later
	// cannot tell when an end is missing that nobody claims.
	want := map[string]struct{ old, fresh answer }{
		"set back":       {answer{3, 0, true, 1}, answer{1, 0, false, 1}}, // the packs are gone too
		"newest flipped": {answer{3, 0, false, 3}, answer{2, 0, true, 2}},
		"newest gone":    {answer{3, 0, true, 3}, answer{2, 0, false, 2}},
		"middle gone":    {answer{3, 0, true, 3}, answer{2, 1, true, 1}},
		"first gone":     {answer{3, 0, true, 3}, answer{2, 2, true, 2}},
		"journal gone":   {answer{3, 0, true, 3}, answer{0, 0, false, 0}},
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
				incomplete := 0
				for _, s := range list {
					if s.Incomplete != "" {
						incomplete++
					}
				}
				if incomplete != want.incomplete {
					t.Errorf("%s, %s: %d snapshots are incomplete: %+v", how, data, incomplete, list)
				}
				names := 0
				err = e.List(t.Context(), ListOptions{}, func(Entry) error { names++; return nil })
				if names != min(1, want.snapshots) || errors.Is(err, ErrDamaged) != want.damaged {
					t.Errorf("%s, %s: %d sources, %v", how, data, names, err)
				}
				r, err := e.Restore(t.Context(), RestoreOptions{To: filepath.Join(t.TempDir(), "to")})
				if errors.Is(err, ErrDamaged) != want.damaged || int(r.Files) != want.files {
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
