package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/catalog"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// A gapScene is a vault of two devices that have committed in turn, each its
// own tree, and what each snapshot held.
type gapScene struct {
	*scene
	store  *storagetest.Memory
	other  string
	images map[string]map[string]string // by snapshot
	texts  map[string]bool              // what files ever were, by base name and content
}

func newGapScene(t *testing.T) *gapScene {
	t.Helper()
	g := &gapScene{store: &storagetest.Memory{}, images: map[string]map[string]string{}, texts: map[string]bool{}}
	// Without parity: that would make good what is flipped or cut here.
	g.scene = newSceneOf(t, func(storage.Store) storage.Store { return g.store }, false)
	g.ahead = 1 << 42
	g.other = filepath.Join(g.dir, "other")
	if _, err := join(t.Context(), g.options(g.other), g.wrap); err != nil {
		t.Fatal(err)
	}
	for n, change := range []func(){
		func() { g.write("a/one", noise(1, 3000)) },
		func() { g.write("b/two", noise(2, 3000)); g.write("b/three", noise(5, 3000)) }, // a new directory
		func() { g.write("a/one", noise(3, 3000)); g.write("b/three", noise(4, 3000)) }, // in it
		func() { g.write("again", noise(2, 3000)) },                                     // the content of b/two
	} {
		change()
		for _, data := range []string{g.data, g.other} {
			if data == g.other { // content of its own
				g.write("mine", noise(uint64(100+n), 3000))
			} else if err := os.RemoveAll(filepath.Join(g.src, "mine")); err != nil {
				t.Fatal(err)
			}
			now := image(t, g.src)
			g.images[g.backup(data).Snapshot] = now
			for name, text := range now {
				g.texts[filepath.Base(name)+text] = true
			}
		}
	}
	return g
}

// journal is the names of the segments of a device.
func (g *gapScene) journal(data string) (names []string) {
	g.with(data, func(e *Engine) {
		for _, name := range g.store.Names() {
			if strings.HasPrefix(name, vault.JournalPrefix(e.state.Head().Device)) {
				names = append(names, name)
			}
		}
	})
	return names
}

// gaps are ways in which a segment becomes unreadable.
func gaps(good []byte) map[string][]byte {
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 4
	return map[string][]byte{"flipped": flipped, "deleted": nil, "truncated": good[:len(good)/3]}
}

// forgetting is a device that has to fold the vault anew.
func (g *gapScene) forgetting(t *testing.T, data string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(to, "catalog")); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestReadingGoesOnAfterAGapAndHealsWithIt(t *testing.T) {
	g := newGapScene(t)
	for who, data := range map[string]string{"own": g.other, "another device's": g.data} {
		journal := g.journal(data)
		for n, name := range journal[:len(journal)-1] {
			good, err := g.store.Get(t.Context(), name, vault.MaxSegment)
			if err != nil {
				t.Fatal(err)
			}
			for how, bad := range gaps(good) {
				t.Run(fmt.Sprintf("%s segment %d %s", who, n+1, how), func(t *testing.T) {
					reader := g.forgetting(t, g.other)
					g.store.Replace(name, bad)
					g.expectGap(t, reader, name, len(journal)-1-n)
					g.store.Replace(name, good)
					expectFreshFold(t, g.scene, reader)
					for id, want := range g.images {
						sameTrees(t, want, image(t, g.restore(reader, id)))
					}
					g.clean(reader)
				})
			}
		}
	}
}

// expectGap expects that a reader tells of the unreadable segment, of as many
// incomplete snapshots as lie behind it, and gives whatever stands.
func (g *gapScene) expectGap(t *testing.T, reader, segment string, behind int) {
	t.Helper()
	g.with(reader, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), segment) || len(list) != len(g.images)-1 {
			t.Errorf("%d snapshots, %v", len(list), err)
		}
		incomplete := 0
		for _, s := range list {
			to := filepath.Join(t.TempDir(), "to")
			r, err := e.Restore(t.Context(), RestoreOptions{At: s.ID, To: to})
			if len(r.Problems) > 0 || !r.Complete {
				t.Errorf("%s: %+v, %v", s.ID, r, err)
			}
			got := image(t, to)
			if s.Incomplete == "" {
				sameTrees(t, g.images[s.ID], image(t, filepath.Join(to, "src")))
				continue
			}
			incomplete++
			if !strings.Contains(s.Incomplete, segment) || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "incomplete") {
				t.Errorf("%s: %q, %v", s.ID, s.Incomplete, err)
			}
			for name, text := range got {
				if strings.HasPrefix(text, "file") && !g.texts[filepath.Base(name)+text] {
					t.Errorf("%s: %s is %s, which it never was", s.ID, name, text)
				}
			}
		}
		if incomplete != behind {
			t.Errorf("%d snapshots are incomplete, want %d", incomplete, behind)
		}
	})
	names, err := os.ReadDir(reader)
	for _, n := range names {
		if strings.HasPrefix(n.Name(), "catalog-") {
			t.Errorf("%s is left", n.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// What we have folded we know for good: a gap that came later in what was
// folded takes nothing from it, not even while another journal has to be read
// beyond a gap of its own.
func TestWhatIsFoldedStaysCompleteWhileAnotherJournalHasAGap(t *testing.T) {
	g := newGapScene(t)
	reader := filepath.Join(g.dir, "reader")
	if _, err := join(t.Context(), g.options(reader), g.wrap); err != nil {
		t.Fatal(err)
	}
	want := g.answers(t, reader) // folds all that there is
	g.write("new", noise(200, 3000))
	g.backup(g.other)
	g.write("new", noise(201, 3000))
	behind := g.backup(g.other).Snapshot
	gap := g.journal(g.other)[4]
	g.store.Replace(gap, nil)
	for n, name := range g.journal(g.data) {
		good, err := g.store.Get(t.Context(), name, vault.MaxSegment)
		if err != nil {
			t.Fatal(err)
		}
		for how, bad := range gaps(good) {
			t.Run(fmt.Sprintf("segment %d %s", n+1, how), func(t *testing.T) {
				g.store.Replace(name, bad)
				defer g.store.Replace(name, good)
				if got := g.answers(t, reader); got != want {
					t.Errorf("the device answers\n%s\nbefore the gap it was\n%s", got, want)
				}
				g.expectWhole(t, reader, behind, gap, how == "deleted")
			})
		}
	}
}

// answers is what a device answers about the snapshots of the scene, as text.
func (g *gapScene) answers(t *testing.T, reader string) (text string) {
	t.Helper()
	say := func(format string, args ...any) error { text += fmt.Sprintf(format+"\n", args...); return nil }
	damaged := func(err error) {
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	}
	g.with(reader, func(e *Engine) {
		totals, err := e.SnapshotTotals(t.Context())
		damaged(err)
		last := ""
		for _, id := range slices.Sorted(maps.Keys(g.images)) {
			_ = say("%s holds %+v", id, totals[id])
			damaged(e.List(t.Context(), ListOptions{At: id, Recursive: true}, func(entry Entry) error { return say("  %+v", entry) }))
			if last != "" {
				_, _, err := e.Diff(t.Context(), DiffOptions{Old: last, New: id}, func(c Change) error {
					return say("  %d %v", c.Kind, cmp.Or(c.New, c.Old).Path)
				})
				damaged(err)
			}
			last = id
		}
		damaged(e.Find(t.Context(), FindOptions{All: true, Fits: func(*Entry) bool { return true }}, func(m Match) error {
			if g.images[m.Snapshots[0]] != nil { // not what came after
				return say("%+v in %d", m.Entry, len(m.Snapshots))
			}
			return nil
		}))
	})
	return text
}

// expectWhole expects that a reader gives the snapshots of the scene whole, and
// one that lies behind the gap as incomplete.
func (g *gapScene) expectWhole(t *testing.T, reader, behind, gap string, told bool) {
	t.Helper()
	g.with(reader, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), gap) || len(list) != len(g.images)+1 {
			t.Errorf("%d snapshots, %v", len(list), err)
		}
		for _, s := range list {
			if (s.Incomplete != "") != (s.ID == behind) {
				t.Errorf("%s of %s: incomplete is %q", s.ID, s.DeviceName, s.Incomplete)
			}
			if s.ID == behind {
				continue
			}
			to := filepath.Join(t.TempDir(), "to")
			r, err := e.Restore(t.Context(), RestoreOptions{At: s.ID, To: to})
			wantErr := s.DeviceName == "other" || told // its journal is not known to its end
			if len(r.Problems) > 0 || !r.Complete || errors.Is(err, ErrDamaged) != wantErr {
				t.Errorf("%s of %s: %+v, %v", s.ID, s.DeviceName, r, err)
			}
			sameTrees(t, g.images[s.ID], image(t, filepath.Join(to, "src")))
		}
	})
}

// A catalog that is thrown away anyhow is no reason to fold the lasting one
// again.
func TestDamagedCatalogBeyondAGapIsMadeAnewAlone(t *testing.T) {
	g := newGapScene(t)
	name := g.journal(g.data)[1]
	reader := g.forgetting(t, g.other)
	g.store.Replace(name, nil)
	g.with(reader, func(e *Engine) {
		const noPack = 1 << 40 // a catalog that is whole refers to none
		for name, c := range map[string]struct {
			damaged      func() *catalog.Catalog
			times        int // that it turns out so
			calls        int
			anew, failed bool
		}{
			"beyond":              {func() *catalog.Catalog { return e.beyond.Catalog }, 1, 2, false, false},
			"beyond, for good":    {func() *catalog.Catalog { return e.beyond.Catalog }, 9, 2, false, true},
			"the one that lasts":  {func() *catalog.Catalog { return e.catalog }, 1, 2, true, false},
			"that one, for good":  {func() *catalog.Catalog { return e.catalog }, 9, 2, true, true},
			"neither, as a check": {nil, 0, 1, false, false},
		} {
			lasting, calls := e.catalog, 0
			err := e.withCatalog(t.Context(), func() error {
				calls++
				if _, err := e.marks(t.Context()); err != nil || e.beyond == nil {
					t.Fatalf("nothing is beyond, %v", err)
				}
				if calls > c.times {
					return nil
				}
				_, err := c.damaged().Pack(noPack)
				return err
			})
			if calls != c.calls || errors.Is(err, catalog.ErrDamaged) != c.failed || (e.catalog != lasting) != c.anew {
				t.Errorf("%s: called %d times, the lasting one is new: %v, %v", name, calls, e.catalog != lasting, err)
			}
		}
	})
}

// What was put into a directory that nobody knows the name of is in
// lost+found, and content that only the unreadable segment has added is found
// by the trailer of its pack.
func TestWhatStandsAloneAfterAGapIsRestored(t *testing.T) {
	g := newGapScene(t)
	name := g.journal(g.data)[1] // puts b and what is in it
	last := ""
	g.with(g.data, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.DeviceName == "data" {
				last = s.ID
			}
		}
	})
	want := g.images[last]
	reader := g.forgetting(t, g.other)
	g.store.Replace(name, nil)
	to := filepath.Join(t.TempDir(), "to")
	g.with(reader, func(e *Engine) {
		if _, err := e.Restore(t.Context(), RestoreOptions{At: last, To: to}); !errors.Is(err, ErrDamaged) {
			t.Errorf("got %v", err)
		}
	})
	got := image(t, filepath.Join(to, "src"))
	for _, path := range []string{"a/one", "again"} {
		if got[path] != want[path] || want[path] == "" {
			t.Errorf("%s is %q, want %q", path, got[path], want[path])
		}
	}
	found, err := filepath.Glob(filepath.Join(to, "lost+found", "*", "three"))
	if err != nil || len(found) != 1 {
		t.Fatalf("b/three is in %q, %v", found, err)
	}
	if text := image(t, filepath.Dir(found[0]))["three"]; text != want["b/three"] {
		t.Errorf("b/three is %q, want %q", text, want["b/three"])
	}
	if _, known := got["b/two"]; known {
		t.Error("b/two is there, which only the missing segment has put")
	}
}

// Our own gap is a refusal, whether the catalog is beyond it or not; a snapshot
// of another device is nothing that a commit relies on.
func TestNoBackupGoesOnAfterAGapInItsOwnJournal(t *testing.T) {
	g := newGapScene(t)
	name := g.journal(g.other)[1]
	reader := g.forgetting(t, g.other)
	g.store.Replace(name, nil)
	before := g.store.Names()
	g.with(reader, func(e *Engine) {
		if _, err := e.Snapshots(t.Context()); !errors.Is(err, ErrDamaged) { // looks beyond
			t.Errorf("got %v", err)
		}
		_, err := e.Backup(t.Context(), BackupOptions{Paths: []string{g.src}})
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v", err)
		}
	})
	if after := g.store.Names(); len(after) != len(before) {
		t.Errorf("the store holds %q, before %q", after, before)
	}
}

// What a store lists is not what a device wrote: one name must not keep a
// reader busy for ever, nor fill its memory.
func TestObjectWithAHugeNumberInAJournalIsOneProblem(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOf(t, func(storage.Store) storage.Store { return store }, false)
	s.write("a", noise(1, 300))
	s.backup(s.data)
	for _, name := range store.Names() {
		if device, seq, err := vault.ParseSegmentName(name); err == nil && seq == 1 {
			store.Replace(vault.SegmentName(device, 9_999_999_999_999_999), []byte("stray"))
		}
	}
	if problems := s.check(s.data, true); len(problems) < 1 || len(problems) > 3 {
		t.Errorf("check finds %v", problems)
	}
	s.with(s.data, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if err != nil && !errors.Is(err, ErrDamaged) || len(list) != 1 || list[0].Incomplete != "" {
			t.Errorf("snapshots: %+v, %v", list, err)
		}
	})
}
