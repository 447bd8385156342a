package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// A worn is a scene on a store in memory whose packs can be damaged.
type worn struct {
	*scene
	store *storagetest.Memory
}

// newWorn makes one without parity, of which any damage is a loss.
func newWorn(t *testing.T) *worn { t.Helper(); return newWornOf(t, false) }

func newWornOf(t *testing.T, parity bool) *worn {
	t.Helper()
	w := &worn{store: &storagetest.Memory{}}
	w.scene = newSceneOf(t, func(storage.Store) storage.Store { return w.store }, parity)
	w.ahead = 1 << 42
	return w
}

func (w *worn) packs() (names []string) {
	for _, name := range w.store.Names() {
		if strings.HasPrefix(name, vault.PacksPrefix) {
			names = append(names, name)
		}
	}
	return names
}

// wear damages an object.
func (w *worn) wear(name, how string) {
	w.t.Helper()
	b, err := w.store.Get(w.t.Context(), name, vault.MaxPack)
	if err != nil {
		w.t.Fatal(err)
	}
	switch how {
	case "missing":
		b = nil
	case "flipped":
		b[len(b)/3] ^= 1
	case "cut":
		b = b[:len(b)/2]
	case "longer":
		b = append(b, 0)
	case "trailer flipped":
		b[len(b)-20] ^= 1
	default:
		w.t.Fatal(how)
	}
	w.store.Replace(name, b)
}

// checks checks the vault with no error.
func (w *worn) checks(data string, o CheckOptions) (r CheckReport) {
	w.t.Helper()
	w.with(data, func(e *Engine) {
		var err error
		if r, err = e.Check(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	})
	return r
}

func (w *worn) join(name string) (data string) {
	w.t.Helper()
	data = filepath.Join(w.dir, name)
	if _, err := join(w.t.Context(), w.options(data), w.wrap); err != nil {
		w.t.Fatal(err)
	}
	return data
}

// says joins problems into one text.
func says(list []Problem) (text string) {
	for _, p := range list {
		text += p.Path + ": " + p.Err.Error() + "\n"
	}
	return text
}

func TestDamagedPackIsStoredAgainFromTheSources(t *testing.T) {
	for _, how := range []string{"missing", "flipped", "cut", "longer", "trailer flipped"} {
		t.Run(how, func(t *testing.T) {
			w := newWorn(t)
			other := w.join("other")
			w.write("dir/a", noise(1, 50_000))
			w.write("b", noise(2, 3_000))
			want := image(t, w.src)
			first := w.backup(w.data)
			pack := w.packs()[0]
			w.wear(pack, how)
			r := w.checks(w.data, CheckOptions{ReadData: true})
			if len(r.Problems) != 1 || r.Problems[0].Path != pack || !errors.Is(r.Problems[0].Err, ErrDamaged) || len(r.Warnings) > 0 {
				t.Fatalf("before: %+v", r)
			}
			if r.DamagedFiles != 2 || len(r.LostFiles) != 2 || !strings.Contains(says(r.LostFiles), first.Snapshot[:8]) {
				t.Errorf("before: these files are lost: %s", says(r.LostFiles))
			}
			r = w.checks(w.data, CheckOptions{Repair: true})
			if len(r.Problems) > 0 || len(r.Repaired) != 1 || !strings.Contains(r.Repaired[0].Error(), pack) || r.RepairedChunks == 0 || r.LackingChunks != 0 {
				t.Fatalf("repair: %+v", r)
			}
			if r.Snapshots != 1 {
				t.Errorf("%d snapshots after the repair, want the 1 there was", r.Snapshots)
			}
			for _, data := range []string{w.data, other, w.join("third")} {
				sameTrees(t, want, image(t, w.restore(data, "")))
				for _, o := range []CheckOptions{{}, {ReadData: true}, {ReadData: true, Deep: true}, {Repair: true}} {
					r := w.checks(data, o)
					if len(r.Problems) > 0 || len(r.Repaired) > 0 || len(r.LostFiles) > 0 {
						t.Errorf("%s, %+v: %+v", data, o, r)
					}
					if o.ReadData && (len(r.Warnings) != 1 || r.Warnings[0].Path != pack || !strings.Contains(says(r.Warnings), "other packs have its ")) {
						t.Errorf("%s, %+v: warnings %s", data, o, says(r.Warnings))
					}
				}
			}
			if again := w.backup(w.data); again.Changed != 0 || again.NewBytes != 0 || again.ReadBytes != 0 {
				t.Errorf("the next backup: %+v", again)
			}
		})
	}
}

func TestWhatCanStillBeReadOfADamagedPackNeedsNoSource(t *testing.T) {
	w := newWorn(t)
	w.write("kept", noise(1, 900_000))
	w.write("large", noise(2, 3<<20))
	w.backup(w.data)
	pack := w.packs()[0]
	want := image(t, w.src)
	if err := os.RemoveAll(w.src); err != nil {
		t.Fatal(err)
	}
	w.wear(pack, "trailer flipped")
	r := w.checks(w.data, CheckOptions{Repair: true})
	if len(r.Problems) > 0 || len(r.Repaired) != 1 || len(r.Unread) > 0 {
		t.Errorf("all frames whole: %+v", r)
	}
	sameTrees(t, want, image(t, w.restore(w.data, "")))
	w.store.Replace(pack, nil) // what was repaired must not need it
	sameTrees(t, want, image(t, w.restore(w.data, "")))

	// A frame that is broken costs what is in it, and nothing else.
	pack = w.packs()[0]
	b, err := w.store.Get(t.Context(), pack, vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1000_000] ^= 1
	w.store.Replace(pack, b)
	r = w.checks(w.data, CheckOptions{Repair: true})
	if len(r.Problems) == 0 || r.DamagedFiles != 1 || !strings.HasSuffix(r.LostFiles[0].Path, "/large") || r.RepairedChunks == 0 || r.LackingChunks == 0 {
		t.Errorf("a frame broken: %+v", r)
	}
	if !strings.Contains(says(r.Warnings), w.src) {
		t.Errorf("the source that is gone is not named: %s", says(r.Warnings))
	}
}

// A device that knows of no bad pack finds the other addresses as it goes, and
// reads them together: not one frame for each small chunk.
func TestRestoreThroughOtherAddressesReadsThemTogether(t *testing.T) {
	w := newWorn(t)
	const size = 3 << 20
	w.write("large", noise(1, size))
	want := image(t, w.src)
	w.backup(w.data)
	w.wear(w.packs()[0], "missing")
	w.checks(w.data, CheckOptions{Repair: true})
	other := w.join("other")
	counted := storagetest.NewFaulty(w.store, nil)
	w.wrap = func(storage.Store) storage.Store { return counted }
	sameTrees(t, want, image(t, w.restore(other, "")))
	if n := counted.Count(storagetest.GetRange); n > 20 {
		t.Errorf("%d ranges read for %d bytes", n, size)
	}
}

func TestFileThatChangedAtItsSourceRemainsDamaged(t *testing.T) {
	w := newWorn(t)
	w.write("same", noise(1, 5000))
	w.write("changed", noise(2, 5000))
	w.write("gone", noise(3, 5000))
	w.write("moved", noise(4, 5000))
	w.backup(w.data)
	w.write("changed", noise(5, 5000))
	if err := errors.Join(os.Remove(filepath.Join(w.src, "gone")), os.Rename(filepath.Join(w.src, "moved"), filepath.Join(w.src, "here now"))); err != nil {
		t.Fatal(err)
	}
	want := image(t, w.src)
	pack := w.packs()[0]
	w.wear(pack, "missing")
	for range 2 { // a second repair finds no more
		r := w.checks(w.data, CheckOptions{Repair: true})
		if len(r.Problems) != 1 || r.Problems[0].Path != pack || !strings.Contains(says(r.Problems), "no other pack has ") {
			t.Errorf("problems %s", says(r.Problems))
		}
		var names []string
		for _, p := range r.LostFiles {
			if names = append(names, filepath.Base(p.Path)); !errors.Is(p.Err, ErrDamaged) || !strings.Contains(p.Err.Error(), "is lost in snapshot ") {
				t.Errorf("%s: %v", p.Path, p.Err)
			}
		}
		if slices.Sort(names); !slices.Equal(names, []string{"changed", "gone"}) {
			t.Errorf("lost are %q", names)
		}
	}
	w.backup(w.data)
	sameTrees(t, want, image(t, w.restore(w.data, "")))
}

func TestFileOfAnotherDeviceIsRepairedThereOrHereIfItIsHereToo(t *testing.T) {
	w := newWorn(t)
	other := w.join("birch")
	both := noise(1, 5000)
	w.write("mine", both)
	theirs := filepath.Join(w.dir, "theirs")
	err := os.Mkdir(theirs, 0o755)
	for name, content := range map[string][]byte{"theirs": noise(2, 5000), "both": both} {
		err = errors.Join(err, os.WriteFile(filepath.Join(theirs, name), content, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.with(other, func(e *Engine) {
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{theirs}}); err != nil {
			t.Fatal(err)
		}
	})
	w.backup(w.data)
	if n := len(w.packs()); n != 1 {
		t.Fatalf("%d packs, want the one of the other device", n)
	}
	w.wear(w.packs()[0], "missing")
	r := w.checks(w.data, CheckOptions{Repair: true})
	if r.DamagedFiles != 1 || filepath.Base(r.LostFiles[0].Path) != "theirs" || !strings.Contains(says(r.LostFiles), "run holm check --repair there") ||
		!strings.Contains(says(r.LostFiles), "birch") || r.RepairedChunks == 0 {
		t.Errorf("here: %+v", r)
	}
	sameTrees(t, image(t, w.src), image(t, w.restore(w.data, "")))
	r = w.checks(other, CheckOptions{Repair: true})
	if len(r.Problems) > 0 || len(r.Repaired) != 1 {
		t.Errorf("there: %+v", r)
	}
	for _, data := range []string{w.data, other} {
		if r := w.checks(data, CheckOptions{ReadData: true, Deep: true}); len(r.Problems) > 0 || len(r.Warnings) != 1 {
			t.Errorf("after: %+v", r)
		}
	}
}

// stopped backs up until the first file is read, and makes no snapshot.
func (w *worn) stopped() {
	w.t.Helper()
	now := time.Now().Add(w.ahead)
	w.at = func() time.Time { now = now.Add(200 * time.Millisecond); return now }
	w.with(w.data, func(e *Engine) {
		stop := make(chan struct{})
		once := sync.OnceFunc(func() { close(stop) })
		_, err := e.Backup(w.t.Context(), BackupOptions{Paths: []string{w.src}, Stop: stop, Progress: func(p Progress) {
			if p.Files == 1 && p.Bytes == 3000 {
				once()
			}
		}})
		if !errors.Is(err, ErrStopped) {
			w.t.Fatalf("stopped: %v", err)
		}
	})
	w.at = nil
}

// sector is a store on a disk that cannot read a part of one object.
type sector struct {
	storage.Store
	name string
}

func (s sector) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if name == s.name && offset <= 500_000 && offset+length > 500_000 {
		return nil, fmt.Errorf("object %s: %w", name, storage.ErrMedium)
	}
	return s.Store.GetRange(ctx, name, offset, length)
}

func TestPackWithABadSectorIsStoredAgain(t *testing.T) {
	w := newWorn(t)
	w.write("a", noise(1, 700_000))
	w.backup(w.data)
	w.wrap = func(storage.Store) storage.Store { return sector{w.store, w.packs()[0]} }
	if r := w.checks(w.data, CheckOptions{ReadData: true}); len(r.Problems) != 1 || r.DamagedFiles != 1 || !errors.Is(r.Problems[0].Err, storage.ErrMedium) {
		t.Errorf("before: %+v", r)
	}
	if r := w.checks(w.data, CheckOptions{Repair: true}); len(r.Problems) > 0 || len(r.Repaired) != 1 {
		t.Errorf("repair: %+v", r)
	}
	sameTrees(t, image(t, w.src), image(t, w.restore(w.join("other"), "")))
}

func TestLossIsOneIfASnapshotHasItOrTheNextOneWill(t *testing.T) {
	w := newWorn(t)
	w.write("a", noise(1, 3000))
	w.write("b", noise(2, 3000))
	w.stopped()
	if n := len(w.packs()); n != 1 {
		t.Fatalf("%d packs", n)
	}
	first := w.packs()[0]
	whole := w.store.Clone()
	w.wear(first, "missing")
	r := w.checks(w.data, CheckOptions{})
	if len(r.Problems) != 1 || len(r.LostFiles) != 1 || !strings.HasSuffix(r.LostFiles[0].Path, "src/a") || strings.Contains(says(r.LostFiles), "snapshot") {
		t.Errorf("of the next snapshot: %+v", r)
	}
	w.store = whole
	w.write("a", noise(3, 3000))
	w.backup(w.data)
	w.wear(first, "missing")
	r = w.checks(w.data, CheckOptions{})
	if len(r.Problems) > 0 || len(r.Warnings) != 1 || r.DamagedFiles != 0 || !strings.Contains(says(r.Warnings), "no file needs them") {
		t.Errorf("of no snapshot: %+v", r)
	}
	sameTrees(t, image(t, w.src), image(t, w.restore(w.data, "")))
}

func TestBackupAfterACheckStoresAgainWhatAVanishedPackHad(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		w := newWorn(t)
		w.write("a", noise(1, 50_000))
		w.write("b", noise(2, 3_000))
		w.backup(w.data)
		w.wear(w.packs()[0], "missing")
		if forgotten { // the file of bad packs, and with it the reason to read again
			w.checks(w.data, CheckOptions{})
			if err := os.Remove(badPath(w.data)); err != nil {
				t.Fatal(err)
			}
			if r := w.backup(w.data); r.NewBytes != 0 {
				t.Errorf("nobody knows of the loss, and %d bytes are new", r.NewBytes)
			}
		}
		if r := w.checks(w.data, CheckOptions{}); len(r.Problems) != 1 {
			t.Fatalf("check: %+v", r)
		}
		r := w.backup(w.data)
		if r.NewBytes != 53_000 || r.Changed != 0 || r.Unchanged != 3 {
			t.Errorf("backup: %+v", r)
		}
		sameTrees(t, image(t, w.src), image(t, w.restore(w.data, "")))
		if r := w.checks(w.data, CheckOptions{}); len(r.Problems) > 0 || len(r.Warnings) != 1 {
			t.Errorf("after: %+v", r)
		}
	}
}

func TestRepairStoppedAtAnyOperationIsDoneByTheNext(t *testing.T) {
	w := newWorn(t)
	w.limit = 20_000
	for i := range 6 {
		w.write(fmt.Sprint("file", i), noise(uint64(i), 15_000))
	}
	want := image(t, w.src)
	w.backup(w.data)
	for i, pack := range w.packs() {
		w.wear(pack, []string{"missing", "flipped", "cut"}[i%3])
	}
	start := w.store
	data, err := take(w.data)
	if err != nil {
		t.Fatal(err)
	}
	run := func(n int, plan storagetest.Plan) (operations int, repairErr error) {
		w.store = start.Clone()
		at := filepath.Join(w.dir, fmt.Sprint("data", n))
		data.lay(t, at)
		f := storagetest.NewFaulty(w.store, plan)
		w.wrap = func(storage.Store) storage.Store { return f }
		e, err := w.open(at)
		if err == nil {
			_, err = e.Check(t.Context(), CheckOptions{Repair: true})
			e.Close()
		}
		w.wrap = func(storage.Store) storage.Store { return w.store }
		r := w.checks(at, CheckOptions{Repair: true})
		if len(r.Problems) > 0 || r.LackingChunks != 0 {
			t.Errorf("stopped after %d operations (%v): %s", n, err, says(r.Problems))
		}
		if r.DeadPacks > 1 {
			t.Errorf("stopped after %d operations: %d dead packs", n, r.DeadPacks)
		}
		sameTrees(t, want, image(t, w.restore(at, "")))
		return f.Count(""), err
	}
	all, err := run(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopped := 0
	for n := 1; n < all; n += 1 + all/40 {
		for _, plan := range []storagetest.Plan{storagetest.StopAfter(n), storagetest.At(n, storagetest.GoneAfter)} {
			if _, err := run(n, plan); err != nil {
				stopped++
			}
		}
	}
	if stopped < 40 {
		t.Errorf("only %d repairs were stopped", stopped)
	}
	t.Logf("%d operations, %d repairs stopped", all, stopped)
}
