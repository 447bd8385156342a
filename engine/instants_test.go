package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// soak reports whether the long versions of the tests are wanted.
func soak() bool { return os.Getenv("HOLM_SOAK") != "" }

// fastDir is a directory that is gone after the test, in memory where the
// system has such a place: what is asked of it is not what a sync does.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "holm-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// tinyOverlay makes catalogs write tables, and merge them, in small vaults.
const tinyOverlay = 1024

// madeTables expects that the catalog of a data directory has written tables,
// and has merged some: the numbers of those that are gone are never used again.
func madeTables(t *testing.T, data string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(data, "catalog", "*.table"))
	if err != nil || len(tables) == 0 {
		t.Errorf("%s holds no tables, %v", data, err)
		return
	}
	slices.Sort(tables)
	newest, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(tables[len(tables)-1]), ".table"))
	if err != nil || newest <= len(tables) {
		t.Errorf("%d tables, the newest has number %d, %v: none were merged", len(tables), newest, err)
	}
}

// files is a directory tree in memory.
type files map[string][]byte

// take reads a tree that somebody may be changing.
func take(dir string) (files, error) {
	tree := files{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var content []byte
			if content, err = os.ReadFile(path); err == nil {
				tree[strings.TrimPrefix(path, dir+string(filepath.Separator))] = content
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // removed meanwhile, or not made yet
		}
		return err
	})
	return tree, err
}

// lay writes a tree to an empty place.
func (tree files) lay(t *testing.T, dir string) {
	t.Helper()
	if len(tree) == 0 {
		return
	}
	for name, content := range tree {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// An instant is all that is left when a machine stops there.
type instant struct {
	name  string
	vault *storagetest.Memory
	data  files // of the device that was at work
}

// A play is a script on a vault of two devices, and what was reported so far.
type play struct {
	*scene
	store    *storagetest.Memory
	reported map[string]map[string]string // snapshot → image
	order    []string
	devices  int
	counted  int // operations at which the machine was stopped

	mu       sync.Mutex
	sentMost float64 // of the bytes of an undisturbed run
}

// A step of the script: one verb of one device.
type step struct {
	name   string
	device string
	change func(p *play)              // of the source, before
	run    func(*scene, string) error // on that data directory
	backup bool
}

// backUp is the verb of most steps.
func backUp(s *scene, data string) error {
	e, err := s.open(data)
	if err != nil {
		return err
	}
	_, err = e.Backup(s.t.Context(), BackupOptions{Paths: []string{s.src}})
	return errors.Join(err, e.Close())
}

func joinAgain(s *scene, data string) error {
	_, err := join(s.t.Context(), s.options(data), s.wrap)
	if errors.Is(err, ErrJoined) {
		return nil // all was done but the answer
	}
	return err
}

func checkAll(s *scene, data string) error {
	e, err := s.open(data)
	if err != nil {
		return err
	}
	r, err := e.Check(s.t.Context(), CheckOptions{ReadData: true})
	for _, p := range r.Problems {
		err = errors.Join(err, p.Err)
	}
	return errors.Join(err, e.Close())
}

func restoreAll(s *scene, data string) error {
	e, err := s.open(data)
	if err != nil {
		return err
	}
	_, err = e.Restore(s.t.Context(), RestoreOptions{To: filepath.Join(s.dir, fmt.Sprintf("to-%x", rand.Uint64()))})
	return errors.Join(err, e.Close())
}

// script is what the two devices do.
func script() []step {
	write := func(names string, seed uint64, size int) func(p *play) {
		return func(p *play) {
			for i, name := range strings.Fields(names) {
				p.write(name, noise(seed+uint64(i), size))
			}
		}
	}
	remove := func(names string) func(p *play) {
		return func(p *play) {
			for _, name := range strings.Fields(names) {
				if err := os.RemoveAll(filepath.Join(p.src, name)); err != nil {
					p.t.Fatal(err)
				}
			}
		}
	}
	both := func(all ...func(*play)) func(*play) {
		return func(p *play) {
			for _, f := range all {
				f(p)
			}
		}
	}
	nothing := func(*play) {}
	return []step{
		{"first backup", "data", write("a/one a/two b/three four", 10, 9000), backUp, true},
		{"new and changed files", "data", both(write("a/two c/five c/six", 20, 9000), write("empty", 0, 0)), backUp, true},
		{"deleted and replaced", "data", both(remove("a/one b four"), write("b four/was-a-file", 30, 7000)), backUp, true},
		{"join", "other", nothing, joinAgain, false},
		{"first backup of the second device", "other", write("d/seven", 40, 9000), backUp, true},
		{"check", "data", nothing, checkAll, false},
		{"restore", "other", nothing, restoreAll, false},
		{"the first device again", "data", both(remove("c/five"), write("a/two e/eight", 50, 12_000)), backUp, true},
		{"unchanged", "data", nothing, backUp, true},
		{"the second device again", "other", both(remove("d"), write("d e2/nine", 60, 9000)), backUp, true},
	}
}

// record runs a step undisturbed and takes down every instant of it: before
// each operation of the store, and, of those that change it, after.
func (p *play) record(t *testing.T, s step) (list []instant) {
	t.Helper()
	data := filepath.Join(p.dir, s.device)
	take1 := func(name string) {
		d, err := take(data)
		if err != nil {
			t.Error(err)
		}
		list = append(list, instant{name, p.store.Clone(), d})
	}
	var before *instant // a write whose effect is taken down at the next operation
	f := storagetest.NewFaulty(p.store, func(op storagetest.Operation) storagetest.Fault {
		if before != nil {
			list = append(list, instant{before.name + ", after", p.store.Clone(), before.data})
			before = nil
		}
		take1(fmt.Sprintf("%d %s %s", op.Number, op.Verb, op.Name))
		if op.Verb.Writes() {
			last := list[len(list)-1]
			before = &last
		}
		return storagetest.None
	})
	run := p.on(t, f)
	if err := s.run(run, data); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	take1("the end")
	p.counted += len(f.Journal())
	return list
}

// packBytes is the size of all packs of a vault, and their number.
func packBytes(t *testing.T, store storage.Store) (bytes int64, packs int64) {
	t.Helper()
	for o, err := range store.List(t.Context(), vault.PacksPrefix) {
		if err != nil {
			t.Fatal(err)
		}
		bytes += o.SizeBytes
		packs++
	}
	return bytes, packs
}

// resume starts again from what an instant left, without any help, and
// expects everything that was reported, and the step to come to its end.
func (p *play) resume(t *testing.T, s step, at instant, number int) {
	t.Helper()
	run := p.on(t, at.vault)
	run.dir = fastDir(t)
	data := filepath.Join(run.dir, s.device)
	at.data.lay(t, data)
	joined := s.name != "join"
	some := func(n int) bool { return soak() || n == len(p.order)-1 || n == number%len(p.order) }
	reported := func() {
		for n, id := range p.order {
			if some(n) {
				sameTrees(t, p.reported[id], image(t, run.restore(data, id)))
			}
		}
	}
	if joined && len(p.order) > 0 {
		reported()
	}
	if err := s.run(run, data); err != nil {
		t.Fatal(err)
	}
	if s.backup {
		sameTrees(t, image(t, p.src), image(t, run.restore(data, "latest")))
	}
	reported()
	run.with(data, func(e *Engine) {
		r, err := e.Check(t.Context(), CheckOptions{ReadData: true})
		if err != nil || len(r.Problems) > 0 {
			t.Errorf("check: %v, %v", r.Problems, err)
		}
		if _, there := packBytes(t, at.vault); r.Packs+r.DeadPacks != there {
			t.Errorf("check knows %d packs and %d dead ones; there are %d", r.Packs, r.DeadPacks, there)
		}
		// A join that was stopped leaves a device that has nothing to say.
		if int(r.Devices) != p.devices && joined {
			t.Errorf("%d devices, want %d: a killed run was taken for a clone", r.Devices, p.devices)
		}
	})
	if p.devices == 2 && joined && (soak() || number%4 == 0) {
		p.goOn(t, run, map[string]string{"data": "other", "other": "data"}[s.device])
	}
}

// goOn lets the other device, which nothing happened to, back up and restore.
func (p *play) goOn(t *testing.T, run *scene, device string) {
	t.Helper()
	d, err := take(filepath.Join(p.dir, device))
	if err != nil || len(d) == 0 {
		return // it has not joined yet
	}
	data := filepath.Join(run.dir, device)
	d.lay(t, data)
	run.backup(data)
	sameTrees(t, image(t, p.src), image(t, run.restore(data, "latest")))
	run.clean(data)
}

// A whole pack is never sent twice: what is put by the stopped run and the
// next one together is what one run would have put, but for padding, which
// is less than a hundredth here.
func (p *play) sentOnce(t *testing.T, at instant, undisturbed int64) {
	t.Helper()
	sent, _ := packBytes(t, at.vault)
	if sent > undisturbed+undisturbed/100 {
		t.Errorf("%d bytes of packs are there, undisturbed it is %d", sent, undisturbed)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sentMost = max(p.sentMost, float64(sent)/float64(undisturbed))
}

// TestStoppedAtAnyOperationOfALifeNothingIsLost stops the machine at every
// operation of the store in a script of two devices: before it, and after it
// but before the answer, with the data directory as it was then.
func TestStoppedAtAnyOperationOfALifeNothingIsLost(t *testing.T) {
	p := &play{store: &storagetest.Memory{}, reported: map[string]map[string]string{}, devices: 1}
	p.scene = newSceneOn(t, func(storage.Store) storage.Store { return p.store })
	p.limit, p.ahead, p.overlay = 20_000, time.Hour, tinyOverlay
	states := 0
	for _, s := range script() {
		s.change(p)
		if s.name == "join" {
			p.devices++
		}
		instants := p.record(t, s)
		states += len(instants)
		undisturbed, _ := packBytes(t, p.store)
		t.Run(s.name, func(t *testing.T) {
			for n, at := range instants {
				t.Run(at.name, func(t *testing.T) {
					t.Parallel()
					p.resume(t, s, at, n)
					if undisturbed > 0 {
						p.sentOnce(t, at, undisturbed)
					}
				})
			}
		})
		if s.backup {
			p.with(filepath.Join(p.dir, s.device), func(e *Engine) {
				list, err := e.Snapshots(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				id := list[len(list)-1].ID
				p.reported[id], p.order = image(t, p.src), append(p.order, id)
			})
		}
	}
	t.Logf("stopped at %d operations of the store, %d states; at most %.3f of the bytes were sent", p.counted, states, p.sentMost)
	for _, device := range []string{"data", "other"} {
		madeTables(t, filepath.Join(p.dir, device))
	}
	if p.counted < 200 {
		t.Errorf("the script has only %d operations", p.counted)
	}
}
