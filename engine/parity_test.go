package engine

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/upkeep"
	"holm.example/engine/vault"
	"holm.example/internal/testseed"
)

// hasTail reports whether an object of a vault with parity has a tail.
func hasTail(name string) bool {
	return strings.HasPrefix(name, vault.PacksPrefix) || strings.HasPrefix(name, vault.DevicesPrefix)
}

// whole expects that a snapshot restores without an error, that every problem
// that check finds is one of that object, and that nothing of it is lost.
func whole(t *testing.T, s *scene, data string, want map[string]string, names ...string) {
	t.Helper()
	sameTrees(t, want, image(t, s.restore(data, "")))
	found := map[string]bool{}
	for _, p := range s.check(data, true) {
		if !slices.Contains(names, p.Path) || !errors.Is(p.Err, ErrRepairable) || !errors.Is(p.Err, ErrDamaged) || !strings.Contains(p.Err.Error(), p.Path) {
			t.Errorf("check finds %s: %v", p.Path, p.Err)
		}
		found[p.Path] = true
	}
	for _, name := range names {
		if !found[name] {
			t.Errorf("check does not find that %s is damaged", name)
		}
	}
}

// Package vault flips every byte of each kind of object; here that is seen by
// a person, at places by chance, in a soak at all of them.
func TestEveryFlippedByteOfAVaultWithParityRestoresRight(t *testing.T) {
	random := testseed.Rand(t)
	w := newSweep(t, true)
	kinds := map[string]bool{}
	for n, name := range w.start.Names() {
		if !hasTail(name) {
			continue
		}
		kinds[kindOf(name)] = true
		good, err := w.start.Get(t.Context(), name, vault.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		places := random.Perm(len(good))
		if !soak() {
			places = places[:min(len(places), 150)]
		}
		t.Run(fmt.Sprint(kindOf(name), " ", n), func(t *testing.T) {
			for i, at := range places {
				t.Run(fmt.Sprint("byte ", at), func(t *testing.T) {
					t.Parallel()
					s, data, store := w.again(t)
					if i%2 == 0 {
						forget(t, data)
					}
					bad := bytes.Clone(good)
					bad[at] ^= 1 << (i % 8)
					store.Replace(name, bad)
					before := store.Clone()
					whole(t, s, data, w.now, name)
					for _, n := range before.Names() {
						was, err := before.Get(t.Context(), n, vault.MaxPack)
						is, isErr := store.Get(t.Context(), n, vault.MaxPack)
						if !bytes.Equal(was, is) {
							t.Errorf("reading changed %s: %v", n, errors.Join(err, isErr))
						}
					}
				})
			}
		})
	}
	if len(kinds) != 3 {
		t.Errorf("only these were damaged: %v", slices.Collect(maps.Keys(kinds)))
	}
}

func TestDamageOfEveryObjectAtOnceCostsNothing(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.limit, s.ahead = 200_000, 1<<42
	s.write("a", noise(1, 500_000))
	s.write("b", noise(2, 300))
	s.backup(s.data)
	s.write("c", bytes.Repeat([]byte("oak "), 100_000))
	s.backup(s.data)
	want := image(t, s.src)
	random := testseed.Rand(t)
	var names []string
	for _, name := range store.Names() {
		if !hasTail(name) {
			continue
		}
		names = append(names, name)
		b, err := store.Get(t.Context(), name, vault.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		// A run as long as a shard, somewhere: what one bad track of a disk is.
		body, err := vault.ParityBody(int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		run := int(max(min(body, 1024), (body+63)/64))
		at := random.IntN(len(b) - run)
		b = bytes.Clone(b)
		clear(b[at : at+run])
		store.Replace(name, b)
	}
	if len(names) < 6 {
		t.Fatalf("only %q", names)
	}
	whole(t, s, s.data, want, names...)
	// A device that joins now reads all of it too, and goes on.
	other := filepath.Join(s.dir, "other")
	if _, err := join(t.Context(), s.options(other), s.wrap); err != nil {
		t.Fatal(err)
	}
	whole(t, s, other, want, names...)
	// The next backup gives what the damaged packs have another copy.
	if r := s.backup(other); r.NewBytes < 500_000 {
		t.Errorf("%d bytes are stored again", r.NewBytes)
	}
	s.write("d", noise(4, 1000))
	s.backup(s.data)
	for _, name := range names {
		if strings.HasPrefix(name, vault.PacksPrefix) {
			store.Replace(name, nil)
		}
	}
	sameTrees(t, want, image(t, s.restore(other, "")))
}

func TestRepairStoresAgainWhatParityMadeGoodWithoutItsSource(t *testing.T) {
	for _, how := range []string{"flipped", "trailer flipped", "longer"} {
		t.Run(how, func(t *testing.T) {
			w := newWornOf(t, true)
			w.write("dir/a", noise(1, 50_000))
			w.write("b", noise(2, 3_000))
			want := image(t, w.src)
			w.backup(w.data)
			if err := os.RemoveAll(w.src); err != nil {
				t.Fatal(err)
			}
			pack := w.packs()[0]
			w.wear(pack, how)
			r := w.checks(w.data, CheckOptions{ReadData: true})
			if len(r.Problems) != 1 || r.Problems[0].Path != pack || !errors.Is(r.Problems[0].Err, ErrRepairable) || r.Repairable != 1 ||
				len(r.LostFiles) > 0 || len(r.Warnings) > 0 {
				t.Fatalf("before: %+v", r)
			}
			r = w.checks(w.data, CheckOptions{Repair: true})
			if len(r.Problems) > 0 || r.Repairable != 0 || len(r.Repaired) != 1 || !strings.Contains(r.Repaired[0].Error(), pack) || r.RepairedChunks == 0 {
				t.Fatalf("repair: %+v", r)
			}
			if r = w.checks(w.data, CheckOptions{ReadData: true}); len(r.Problems) > 0 || len(r.Warnings) != 1 || len(w.packs()) != 2 {
				t.Errorf("after: %+v, packs %q", r, w.packs())
			}
			w.wear(pack, "missing") // the disk goes on failing
			sameTrees(t, want, image(t, w.restore(w.join("third"), "")))
		})
	}
}

func TestRepairStoresCardsAndSegmentsAgainAsTheyWere(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.write("a", noise(1, 3_000))
	s.backup(s.data)
	s.write("b", noise(2, 300))
	s.backup(s.data)
	good, random, damaged := store.Clone(), testseed.Rand(t), 0
	bytesOf := func(m *storagetest.Memory, name string) []byte {
		b, err := m.Get(t.Context(), name, vault.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, name := range store.Names() {
		if strings.HasPrefix(name, vault.DevicesPrefix) {
			b := bytes.Clone(bytesOf(store, name))
			b[random.IntN(len(b))] ^= 0x40
			store.Replace(name, b)
			damaged++
		}
	}
	check := func(o CheckOptions) (r CheckReport) {
		s.with(s.data, func(e *Engine) {
			var err error
			if r, err = e.Check(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		})
		return r
	}
	if r := check(CheckOptions{ReadData: true}); damaged < 3 || len(r.Problems) != damaged || r.Repairable != int64(damaged) {
		t.Fatalf("of %d damaged objects check finds %+v", damaged, r.Problems)
	}
	if r := check(CheckOptions{Repair: true}); len(r.Problems) > 0 || len(r.Repaired) != damaged {
		t.Errorf("repair: %+v", r)
	}
	for _, name := range good.Names() {
		if !bytes.Equal(bytesOf(store, name), bytesOf(good, name)) {
			t.Errorf("%s is not what it was", name)
		}
	}
	s.clean(s.data)
}

func TestFilesOfAPackThatParityMakesGoodAreNotLost(t *testing.T) {
	w := newWornOf(t, true)
	w.write("a", noise(1, 30_000))
	w.backup(w.data)
	good := w.packs()[0]
	w.write("b", noise(2, 30_000))
	w.backup(w.data)
	lost := w.packs()[1]
	w.wear(good, "flipped")
	w.wear(lost, "missing")
	for range 2 { // from the packs that are remembered as bad, too
		r := w.checks(w.data, CheckOptions{ReadData: true})
		if len(r.Problems) != 2 || r.Repairable != 1 || r.DamagedFiles != 1 || len(r.LostFiles) != 1 || !strings.HasSuffix(r.LostFiles[0].Path, "/b") {
			t.Errorf("%+v", r)
		}
	}
	// A check that reads no data knows it still.
	r := w.checks(w.data, CheckOptions{})
	if len(r.Problems) != 2 || r.Repairable != 1 || r.DamagedFiles != 1 {
		t.Errorf("without reading: %+v", r)
	}
	// The sources have both.
	if r = w.checks(w.data, CheckOptions{Repair: true}); len(r.Problems) > 0 || len(r.Repaired) != 2 || r.LackingChunks != 0 {
		t.Errorf("repair: %+v", r)
	}
}

// TestPackIsOneProblem has a pack of which a deep check has found more than
// parity makes good, and one that reads less finds only what it does.
func TestPackIsOneProblem(t *testing.T) {
	w := newWornOf(t, true)
	w.write("a", noise(1, 30_000))
	w.backup(w.data)
	pack := w.packs()[0]
	id, err := vault.ParsePackName(pack)
	if err != nil {
		t.Fatal(err)
	}
	w.wear(pack, "flipped")
	w.with(w.data, func(e *Engine) {
		if err := e.setBad([]upkeep.BadPack{{ID: id, Depth: upkeep.Contents}}); err != nil {
			t.Fatal(err)
		}
		r, err := e.Check(t.Context(), CheckOptions{ReadData: true})
		if err != nil || len(r.Problems) != 1 || r.Problems[0].Path != pack || r.Repairable != 0 || r.DamagedFiles != 1 {
			t.Errorf("%d repairable, %d files, %v\n%s", r.Repairable, r.DamagedFiles, err, says(r.Problems))
		}
	})
}

func TestRestoreNamesWhatWasRepairedOnce(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.ahead = 1 << 42
	s.write("a", noise(1, 3<<20))
	s.backup(s.data)
	pack := slices.IndexFunc(store.Names(), func(n string) bool { return strings.HasPrefix(n, vault.PacksPrefix) })
	name := store.Names()[pack]
	b, err := store.Get(t.Context(), name, vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Clone(b)
	b[100] ^= 1
	b[len(b)/2] ^= 1
	store.Replace(name, b)
	var notes []string
	e, err := open(t.Context(), OpenOptions{DataDir: s.data, Note: func(f string, args ...any) { notes = append(notes, fmt.Sprintf(f, args...)) }}, s.wrap)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r, err := e.Restore(t.Context(), RestoreOptions{To: filepath.Join(s.dir, fmt.Sprint("to", i))})
		if err != nil || len(r.Problems) > 0 || r.Files != 1 {
			t.Errorf("report %+v, %v", r, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], name) || !strings.Contains(notes[0], "2 of 66 shards") {
		t.Errorf("notes: %q", notes)
	}
}

func TestParityIsOnWhereOneDiskHasTheOnlyCopy(t *testing.T) {
	for place, want := range map[string]bool{"/mnt/vault": true, "sftp:nas:vault": true, "s3:https://host/bucket": false} {
		at, err := storage.ParseLocation(place)
		if err != nil || at.Redundant() == want {
			t.Errorf("%s: %v", place, err)
		}
	}
	s := newScene(t)
	for _, parity := range []bool{true, false} {
		o := s.options(filepath.Join(s.dir, fmt.Sprint("data", parity)))
		o.Vault, o.Parity = filepath.Join(s.dir, fmt.Sprint("vault", parity)), &parity
		if parity {
			o.Parity = nil
		}
		info, err := Init(t.Context(), o)
		if err != nil || info.Parity != parity {
			t.Errorf("with %v: %+v, %v", parity, info, err)
		}
		e, err := Open(t.Context(), OpenOptions{DataDir: o.DataDir})
		if err != nil {
			t.Fatal(err)
		}
		if e.Info().Parity != parity {
			t.Errorf("with %v: %+v", parity, e.Info())
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
