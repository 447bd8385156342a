package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holm.example/engine"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/testseed"
)

// Power cuts are tried on what the real program asks of the kernel: strace
// writes down every system call that changes the vault or the data directory
// (objects, state, bbolt, whatever there will be), with its data. From that
// every state of the disk can be made that a kill or a power cut may leave.
// It needs neither a special kernel nor a device, and no hook in the program.

func soak() bool { return os.Getenv("HOLM_SOAK") != "" }

// need skips a test for want of a program, by name, or fails it where all
// must be there.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// fastDir is a directory that is gone after the test, in memory where the
// system has such a place: the syncs of the checks prove nothing here.
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
func madeTables(t *testing.T, device string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(device, "catalog", "*.table"))
	if err != nil || len(tables) == 0 {
		t.Errorf("%s holds no tables, %v", device, err)
		return
	}
	slices.Sort(tables)
	newest, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(tables[len(tables)-1]), ".table"))
	if err != nil || newest <= len(tables) {
		t.Errorf("%d tables, the newest has number %d, %v: none were merged", len(tables), newest, err)
	}
}

// A left is what a disk holds after it was stopped: a file's content, or nil
// for a directory.
type left map[string][]byte

func (l left) add(name string, content []byte, dir bool) {
	if dir {
		l[name] = nil
		return
	}
	l[name] = append([]byte{}, content...)
}

// sum tells states apart.
func (l left) sum() seal.Hash {
	var all bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(l)) {
		fmt.Fprintf(&all, "%q %v %d\n", name, l[name] == nil, len(l[name]))
		all.Write(l[name])
	}
	return seal.Sum(all.Bytes())
}

// killed is what a killed process leaves: all that it did.
func (d *tracedDisk) killed() left {
	l := left{}
	for name, ino := range d.names {
		content := ino.synced
		for _, w := range ino.pending {
			content = w.on(content)
		}
		l.add(name, content, ino.dir)
	}
	return l
}

// A luck decides what became of a change that no sync has covered.
type luck interface {
	named() bool                // a change of names
	written(w written) *written // a write: as it is, a part of it, or nil
}

// nothing that was not synced is there.
type nothing struct{}

func (nothing) named() bool              { return false }
func (nothing) written(written) *written { return nil }

// onlyNames are there, of files that have their size and no content, as file
// systems without ordered data leave them.
type onlyNames struct{}

func (onlyNames) named() bool { return true }
func (onlyNames) written(w written) *written {
	w.off, w.data = w.off+int64(len(w.data)), nil
	return &w
}

// anything goes: every change for itself, in any order, writes also torn at
// any sector.
type anything struct{ *rand.Rand }

func (r anything) named() bool { return r.IntN(2) == 0 }
func (r anything) written(w written) *written {
	const sector = 512
	switch n := int64(len(w.data)); r.IntN(4) {
	case 0:
		return nil
	case 1:
		if from := sector * r.Int64N(n/sector+1); from < n {
			to := min(n, from+sector*(1+r.Int64N((n-from)/sector+1)))
			w.off, w.data = w.off+from, w.data[from:to]
		}
	}
	return &w
}

// cut is what a power cut may leave.
func (d *tracedDisk) cut(luck luck) left {
	names := maps.Clone(d.durable)
	for _, n := range d.pending {
		if luck.named() {
			apply(names, n)
		}
	}
	l := left{}
	for name, ino := range names {
		lost := false // with a directory on the way to it
		for dir := filepath.Dir(name); d.inside(dir) && !lost; dir = filepath.Dir(dir) {
			lost = names[dir] == nil
		}
		if lost {
			continue
		}
		content := ino.synced
		for _, w := range ino.pending {
			if got := luck.written(w); got != nil {
				content = got.on(content)
			}
		}
		l.add(name, content, ino.dir)
	}
	return l
}

// A life is a vault whose program is traced, and what it has reported.
type life struct {
	dir, tree string
	disk      *tracedDisk
	env       []string
	reported  map[string]map[string]string // snapshot → image of the tree
	calls     int
	states    atomic.Int64
	aside     atomic.Int64 // catalogs that were set aside
	broken    bool         // by damage, until a repair says that all is well
	again     atomic.Int64 // repairs that had something to do after a cut one
}

func (l *life) vault() string { return filepath.Join(l.dir, "vault") }

// treeImage is what a restore must give back.
func treeImage(t *testing.T, root string) map[string]string {
	t.Helper()
	image := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		image[rel] = info.Mode().String()
		if err == nil && info.Mode().IsRegular() {
			var b []byte
			b, err = os.ReadFile(path)
			image[rel] += fmt.Sprintf(" %d %x", info.ModTime().UnixNano(), seal.Sum(b))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (l *life) write(t *testing.T, name string, seed uint64, size int) {
	t.Helper()
	content := make([]byte, size)
	random := rand.New(rand.NewPCG(seed, 9))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	path := filepath.Join(l.tree, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644),
		os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000+int64(seed), 5)))
	if err != nil {
		t.Fatal(err)
	}
}

// stop is a state to start again from, and what must be in it.
type stop struct {
	name    string
	device  string
	left    left
	made    bool // the program has said that the vault is made
	killed  bool // no power was cut
	broken  bool // to be repaired first
	reports []string
}

// stops runs the program traced and gives the states in which it can be
// stopped: at every call that changes something.
func (l *life) stops(t *testing.T, random *rand.Rand, made bool, device string, args ...string) (list []stop) {
	t.Helper()
	seen := map[seal.Hash]bool{}
	reports := slices.Sorted(maps.Keys(l.reported))
	add := func(name string, state left, killed bool) {
		if sum := state.sum(); !seen[sum] {
			seen[sum] = true
			list = append(list, stop{name, device, state, made, killed, l.broken, reports})
		}
	}
	calls := trace(t, l.env, append(args, "--data-dir", filepath.Join(l.dir, device))...)
	chances := 4 // at each call
	if soak() {
		chances = 40
	}
	n := 0
	for line, c := range calls {
		changed, err := l.disk.do(c, line)
		if err != nil {
			t.Fatal(err)
		}
		if c.name == "write" && c.numbers[0] == 1 {
			made, l.broken = true, false
			if id, ok := strings.CutPrefix(c.args[1], "snapshot "); ok {
				l.reported[strings.TrimSpace(id)] = treeImage(t, l.tree)
				reports = slices.Sorted(maps.Keys(l.reported))
			}
		}
		if !changed {
			continue
		}
		n++
		at := fmt.Sprintf("%d %s", n, c.name)
		add(at+", killed", l.disk.killed(), true)
		add(at+", nothing unsynced", l.disk.cut(nothing{}), false)
		add(at+", names only", l.disk.cut(onlyNames{}), false)
		for range chances {
			add(at+", anything", l.disk.cut(anything{random}), false)
		}
	}
	add("the end, killed", l.disk.killed(), true)
	add("the end, nothing unsynced", l.disk.cut(nothing{}), false)
	l.calls += n
	return list
}

// startAgain opens what is left, without any help.
func (l *life) startAgain(t *testing.T, s stop) {
	t.Helper()
	l.states.Add(1)
	dir := fastDir(t)
	for name, content := range s.left {
		rel, err := filepath.Rel(l.dir, name)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, rel)
		err = os.MkdirAll(filepath.Dir(to), 0o700)
		if content == nil {
			err = errors.Join(err, os.MkdirAll(to, 0o700))
		} else {
			err = errors.Join(err, os.WriteFile(to, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var notes []string
	e, err := engine.Open(t.Context(), engine.OpenOptions{DataDir: filepath.Join(dir, s.device), Vault: filepath.Join(dir, "vault"), OverlayBytes: tinyOverlay,
		Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }})
	if !s.made && errors.Is(err, engine.ErrNotJoined) {
		return // and the person, who was told nothing, inits or joins again
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		for _, n := range notes {
			if strings.Contains(n, "set aside") {
				l.aside.Add(1)
			}
			if s.killed || strings.Contains(n, "becomes a new device") {
				t.Error(n)
			}
		}
	}()
	if s.broken {
		c, err := e.Check(t.Context(), engine.CheckOptions{Repair: true})
		if err != nil || len(c.Problems) > 0 {
			t.Errorf("the next repair: %v, %v", err, c.Problems)
		}
		if len(c.Repaired) > 0 {
			l.again.Add(1)
		}
	}
	for _, id := range s.reports {
		l.restores(t, e, id, l.reported[id], filepath.Join(dir, id))
	}
	r, err := e.Backup(context.Background(), engine.BackupOptions{Paths: []string{l.tree}})
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("the next backup: %v, %v", err, r.Problems)
	}
	l.restores(t, e, "latest", treeImage(t, l.tree), filepath.Join(dir, "latest"))
	c, err := e.Check(t.Context(), engine.CheckOptions{ReadData: true})
	if err != nil || len(c.Problems) > 0 {
		t.Errorf("check: %v, %v", err, c.Problems)
	}
}

// damage makes nothing of the only pack of the second device, whose files are
// still there, and takes one copy of a key away.
func (l *life) damage(t *testing.T) {
	t.Helper()
	damaged := 0
	devices, err := os.ReadDir(filepath.Join(l.vault(), "packs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		packs, err := filepath.Glob(filepath.Join(l.vault(), "packs", d.Name(), "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(packs) != 1 {
			continue
		}
		damaged++
		ino := l.disk.names[packs[0]]
		ino.synced, ino.pending = bytes.Repeat([]byte{0x5a}, len(ino.synced)), nil
		if err := os.WriteFile(packs[0], ino.synced, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copies, err := filepath.Glob(filepath.Join(l.vault(), vault.KeysCopyPrefix, "*"))
	if err != nil || len(copies) == 0 || damaged != 1 {
		t.Fatalf("%d packs of a device of one, %d copies of keys, %v", damaged, len(copies), err)
	}
	delete(l.disk.names, copies[0])
	delete(l.disk.durable, copies[0])
	if err := os.Remove(copies[0]); err != nil {
		t.Fatal(err)
	}
	l.broken = true
}

func (l *life) restores(t *testing.T, e *engine.Engine, at string, want map[string]string, to string) {
	t.Helper()
	r, err := e.Restore(t.Context(), engine.RestoreOptions{At: at, To: to})
	if err != nil || len(r.Problems) > 0 {
		t.Errorf("restoring %s: %v, %v", at, err, r.Problems)
		return
	}
	if got := treeImage(t, filepath.Join(to, filepath.Base(l.tree))); !maps.Equal(got, want) {
		t.Errorf("%s is restored as\n%v\nwant\n%v", at, got, want)
	}
}

// TestPowerCutAnywhereLosesNothingReported runs holm init, several backups and
// the repair of a damaged vault under strace, and starts again from what a kill at every system call leaves,
// and a power cut: unsynced writes and names lost, kept, torn or reordered.
func TestPowerCutAnywhereLosesNothingReported(t *testing.T) {
	need(t, "strace")
	random := testseed.Rand(t)
	l := &life{dir: t.TempDir(), reported: map[string]map[string]string{}}
	l.tree = filepath.Join(l.dir, "tree")
	l.disk = &tracedDisk{under: []string{filepath.Join(l.dir, "data"), filepath.Join(l.dir, "other"), l.vault()}, names: map[string]*inode{}, offsets: map[int64]int64{}}
	l.disk.durable = map[string]*inode{}
	pass := filepath.Join(l.dir, "passphrase")
	if err := errors.Join(os.WriteFile(pass, []byte("secret\n"), 0o600), os.Mkdir(l.tree, 0o755)); err != nil {
		t.Fatal(err)
	}
	l.env = []string{"HOLM_PASSPHRASE_FILE=" + pass, fmt.Sprint(overlayEnv, "=", tinyOverlay)}
	l.write(t, "a/one", 1, 3000)
	l.write(t, "a/two", 2, 100)
	l.write(t, "three", 3, 40_000)
	made := map[string]bool{}
	for _, run := range []struct {
		name, device string
		change       func()
		args         []string
	}{
		{"init", "data", func() {}, []string{"init", l.vault()}},
		{"first backup", "data", func() {}, []string{"backup", l.tree}},
		{"changed and new", "data", func() { l.write(t, "a/two", 4, 5000); l.write(t, "b/four", 5, 2000) }, []string{"backup", l.tree}},
		{"join", "other", func() {}, []string{"join", l.vault()}},
		{"the second device", "other", func() { l.write(t, "b/five", 6, 2000) }, []string{"backup", l.tree}},
		{"deleted", "data", func() {
			if err := os.RemoveAll(filepath.Join(l.tree, "a")); err != nil {
				t.Fatal(err)
			}
		}, []string{"backup", l.tree}},
		{"restore", "data", func() {}, []string{"restore", "--to", filepath.Join(l.dir, "out")}},
		{"check", "other", func() {}, []string{"check", "--read-data"}},
		{"repair", "other", func() { l.damage(t) }, []string{"check", "--repair"}},
	} {
		run.change()
		list := l.stops(t, random, made[run.device], run.device, run.args...)
		made[run.device] = true
		t.Run(run.name, func(t *testing.T) {
			for _, s := range list {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					l.startAgain(t, s)
				})
			}
		})
	}
	t.Logf("%d system calls that change something, %d states; %d times the catalog was built anew, %d times a repair went on",
		l.calls, l.states.Load(), l.aside.Load(), l.again.Load())
	if l.broken || l.again.Load() == 0 {
		t.Error("no repair was cut")
	}
	for device := range made {
		madeTables(t, filepath.Join(l.dir, device))
	}
	if l.calls < 200 {
		t.Errorf("only %d system calls were stopped at", l.calls)
	}
}
