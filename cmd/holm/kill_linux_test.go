package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"holm.example/engine"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
	"holm.example/internal/testseed"
)

// A killing is a vault of two devices whose program is killed again and again
// while its sources change, and the model of what must restore. The spool of
// the second device lies on another file system than the vault, where there is
// one: its packs are copied there, and those of the first are linked.
type killing struct {
	dir, tree, vault string
	devices, spools  [2]string
	copies           bool // the second device copies
	random           *rand.Rand
	reported         map[string]map[string]string // snapshot → image
	order            []string
	long             map[string]int64 // events of an undisturbed run, by what is watched
	files            int              // made so far

	kills, done, printed int // printed: killed when the snapshot was reported
	onTheWay             onTheWay
	seen                 map[string]bool // packs that no segment named, and parts of packs, after an earlier kill
}

// onTheWay counts the kills that hit a pack on its way.
type onTheWay struct {
	kills                  int   // at least one of:
	spooled, half, unnamed int   // in the spool, put in part, put and not yet named by a segment
	again                  int64 // bytes that were put in part
}

// These are what docs/vault-format.md, section 13, and engine/backup promise of a kill.
const (
	mostUploads = 2               // at the same time
	mostSpooled = mostUploads + 1 // with the one that is being filled
	mostPack    = 16<<20 + 1<<20  // bytes: a pack is full behind the end of a frame
)

// mutate changes the source in some ways a person would.
func (k *killing) mutate(t *testing.T) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(k.tree, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for range 1 + k.random.IntN(4) {
		dir := filepath.Join(k.tree, strconv.Itoa(k.random.IntN(6)))
		name := filepath.Join(dir, strconv.Itoa(k.files))
		k.files++
		what := k.random.IntN(8)
		if len(all) > 120 {
			what = 7 // it is a small tree
		}
		switch old := ""; {
		case len(all) > 0 && what < 5:
			old = all[k.random.IntN(len(all))]
			err = os.RemoveAll(old)
			if what < 2 && err == nil { // replaced by what it was not
				err = errors.Join(os.MkdirAll(filepath.Join(old, "deep"), 0o755), os.WriteFile(filepath.Join(old, "deep", "file"), k.content(), 0o644))
			} else if what < 4 && err == nil {
				err = os.WriteFile(old, k.content(), 0o644)
			}
		case what == 7 && len(all) > 20:
			err = os.RemoveAll(dir)
			all = nil
		default:
			err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(name, k.content(), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// content is of a file: mostly small, sometimes larger than a frame.
func (k *killing) content() []byte {
	n := k.random.IntN(6 << 10)
	if k.random.IntN(25) == 0 {
		n = 1<<20 + k.random.IntN(1<<20)
	}
	b := make([]byte, n)
	for i := 0; i+8 < n; i += 8 {
		copy(b[i:], strconv.FormatUint(k.random.Uint64()|1<<63, 16))
	}
	return b
}

// A trigger says which files are watched for a place to kill a run at.
type trigger struct {
	name string // of the runs that are as long
	mask uint32
	dirs []string
}

// anywhere is in all of the work of a verb.
func (k *killing) anywhere(device int, verb string) trigger {
	return trigger{verb, everything, []string{k.devices[device], k.vault}}
}

// atPacks is where packs are put, or, not only, where they are spooled.
func (k *killing) atPacks(device int, large, put bool) trigger {
	at := trigger{fmt.Sprint("packs ", device, large, put), changes, []string{filepath.Join(k.vault, "packs")}}
	if !put {
		at.dirs = append(at.dirs, k.spools[device])
	}
	return at
}

// run starts a verb of the program and kills it at a random place of what the
// trigger watches, if anything, or lets it come to its end, which must be a
// good one. It reports whether it did. What was reported before the kill counts.
func (k *killing) run(t *testing.T, device int, at trigger, verb string, args ...string) bool {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("holm", append([]string{verb, "--data-dir", k.devices[device]}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	place := int64(-1)
	if length := k.long[at.name]; length > 0 {
		place = 1 + k.random.Int64N(length+length/2)
	}
	// The goroutine of the watch kills a process that is started already.
	started := make(chan struct{})
	stops := filepath.Join(k.dir, "stops")
	w := newWatch(t, at.mask|unix.IN_CREATE, place, func() { <-started; cmd.Process.Kill() }, append([]string{stops}, at.dirs...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	length := w.stop(t, stops)
	killed := cmd.ProcessState.Sys().(interface{ Signaled() bool }).Signaled()
	if m := snapshotLine.FindStringSubmatch(stdout.String()); m != nil && verb == "backup" {
		k.reported[m[1]] = treeImage(t, k.tree)
		k.order = append(k.order, m[1])
		if killed {
			k.printed++
		}
	}
	if killed {
		k.kills++
		k.long[at.name] = max(k.long[at.name], length)
		k.look(t, device)
		return false
	}
	text := stderr.String()
	if err != nil || strings.Contains(text, "set aside") || strings.Contains(text, "new device") {
		t.Fatalf("after %d kills: holm %s: %v\n%s", k.kills, verb, err, text)
	}
	k.done++
	k.long[at.name] = length
	return true
}

var snapshotLine = regexp.MustCompile(`(?m)^snapshot ([0-9a-z]+)\n`)

// look counts what a killed run has left on its way: of each upload at most
// one pack that is not finished, and the one that was being filled.
func (k *killing) look(t *testing.T, device int) {
	t.Helper()
	spooled, err := filepath.Glob(filepath.Join(k.spools[device], "*"))
	if err != nil {
		t.Fatal(err)
	}
	lost := int64(0)
	for _, path := range spooled {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		lost += info.Size()
	}
	half, unnamed, again := 0, 0, int64(0)
	k.packs(t, func(name string, size int64) {
		if k.seen[name] {
			return
		}
		if durable.IsTemporary(path.Base(name)) {
			half++
			again += size
		} else if id, err := vault.ParsePackName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if _, err := os.Stat(filepath.Join(k.vault, vault.SegmentName(id.Device, id.Seq))); errors.Is(err, fs.ErrNotExist) {
			unnamed++
		} else {
			return
		}
		k.seen[name] = true
	})
	if len(spooled) > mostSpooled || lost > mostSpooled*mostPack || half > mostUploads || again > mostUploads*mostPack {
		t.Fatalf("after %d kills, %d packs of %d bytes are spooled, and %d of %d bytes are put in part", k.kills, len(spooled), lost, half, again)
	}
	o := &k.onTheWay
	o.again += again
	for _, c := range []struct{ n, count *int }{{new(len(spooled)), &o.spooled}, {&half, &o.half}, {&unnamed, &o.unnamed}} {
		if *c.n > 0 {
			*c.count++
		}
	}
	if len(spooled)+half+unnamed > 0 {
		o.kills++
	}
}

// packs visits what lies where packs are put.
func (k *killing) packs(t *testing.T, visit func(name string, size int64)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(k.vault, "packs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(k.vault, path)
		visit(filepath.ToSlash(name), info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// packBytes is the size of all whole packs without their parity.
func (k *killing) packBytes(t *testing.T) (sum int64) {
	t.Helper()
	k.packs(t, func(name string, size int64) {
		if durable.IsTemporary(path.Base(name)) {
			return
		}
		body, err := vault.ParityBody(size)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sum += body
	})
	return sum
}

// large kills the backup of larger files where their packs are on their way,
// until it comes to its end. A pack that was put whole is not put again; padding
// and what packs say of themselves are less than a sixteenth.
func (k *killing) large(t *testing.T, device int, many bool) {
	t.Helper()
	if !k.run(t, device, trigger{}, "backup", k.tree) { // what has changed before
		t.Fatal("nobody was to be killed")
	}
	before, written := k.packBytes(t), int64(0)
	dir := filepath.Join(k.tree, "large")
	n := 1 + k.random.IntN(2)
	if many {
		n = 12 // of more than one pack
	}
	for i := range n {
		content := make([]byte, 2<<20+k.random.IntN(2<<20))
		for at := 0; at+8 <= len(content); at += 8 {
			binary.NativeEndian.PutUint64(content[at:], k.random.Uint64())
		}
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), content, 0o644)); err != nil {
			t.Fatal(err)
		}
		written += int64(len(content))
	}
	for tries := 0; ; tries++ {
		at := trigger{}
		if tries < 6 {
			at = k.atPacks(device, many, k.random.IntN(2) == 0)
		}
		if k.run(t, device, at, "backup", k.tree) {
			break
		}
	}
	if grown := k.packBytes(t) - before; grown < written || grown > written+written/16 {
		t.Fatalf("after %d kills, %d bytes of packs have come of %d bytes of files: packs are missing, or whole ones were put again", k.kills, grown, written)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// compare restores snapshots and compares them with the model.
func (k *killing) compare(t *testing.T, ids []string) {
	t.Helper()
	for _, id := range ids {
		k.restores(t, id, func(to string) error {
			device := k.devices[k.random.IntN(2)]
			out, err := exec.Command("holm", "restore", "--data-dir", device, "--at", id, "--to", to).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			}
			return err
		})
	}
}

// restores compares a snapshot that restore has brought back with the model.
func (k *killing) restores(t *testing.T, id string, restore func(to string) error) {
	t.Helper()
	to := filepath.Join(k.dir, "out")
	if err := restore(to); err != nil {
		t.Fatalf("after %d kills, restoring %s: %v", k.kills, id, err)
	}
	if got := treeImage(t, filepath.Join(to, "tree")); !maps.Equal(got, k.reported[id]) {
		t.Fatalf("after %d kills, %s is restored as\n%v\nwant\n%v", k.kills, id, got, k.reported[id])
	}
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
}

// newKilling makes the vault, the first backups of both devices, and learns
// how much happens in a run of each verb.
func newKilling(t *testing.T, random *rand.Rand) *killing {
	t.Helper()
	k := &killing{dir: fastDir(t), random: random, reported: map[string]map[string]string{}, long: map[string]int64{}, seen: map[string]bool{}}
	k.tree, k.vault = filepath.Join(k.dir, "tree"), filepath.Join(k.dir, "vault")
	k.devices = [2]string{filepath.Join(k.dir, "first"), filepath.Join(k.dir, "second")}
	if err := os.Mkdir(filepath.Join(k.dir, "stops"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, enter := range []func() (engine.Info, error){
		func() (engine.Info, error) { return engine.Init(t.Context(), k.options(0)) },
		func() (engine.Info, error) { return engine.Join(t.Context(), k.options(1)) },
	} {
		_, err := enter()
		if err != nil {
			t.Fatal(err)
		}
		k.mutate(t)
		clear(k.long)
		if k.spools[i], err = k.spool(t, i); err != nil {
			t.Fatal(err)
		}
		if !k.run(t, i, k.anywhere(i, "backup"), "backup", k.tree) {
			t.Fatal("nobody was to be killed yet")
		}
	}
	return k
}

// spool gives a device its spool, the second one elsewhere.
func (k *killing) spool(t *testing.T, device int) (string, error) {
	dir := filepath.Join(k.devices[device], "spool")
	if device == 0 {
		return dir, os.MkdirAll(dir, 0o700)
	}
	elsewhere := t.TempDir()
	probe := filepath.Join(elsewhere, "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return "", err
	}
	k.copies = errors.Is(os.Link(probe, filepath.Join(k.vault, "probe")), unix.EXDEV)
	return elsewhere, errors.Join(os.RemoveAll(filepath.Join(k.vault, "probe")), os.Remove(probe), os.RemoveAll(dir), os.Symlink(elsewhere, dir))
}

func (k *killing) options(device int) engine.Options {
	return engine.Options{Vault: k.vault, DataDir: k.devices[device], Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
}

// live kills the program that many times and lets it end well at last: all
// that was reported restores, and the vault is sound. A third of the kills, or
// more, hit packs on their way.
func (k *killing) live(t *testing.T, kills, every int) {
	t.Helper()
	for next, larger := every, 0; k.kills < kills; {
		device := k.random.IntN(2)
		what := k.random.IntN(8)
		switch {
		case 3*k.onTheWay.kills <= k.kills:
			if larger++; larger > kills {
				t.Fatalf("%d kills of %d hit a pack on its way", k.onTheWay.kills, k.kills)
			}
			k.large(t, device, larger%6 == 0)
		case what == 0:
			to := filepath.Join(k.dir, "killed-restore")
			k.run(t, device, k.anywhere(device, "restore"), "restore", "--to", to)
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
		case what == 1:
			k.run(t, device, k.anywhere(device, "check"), "check", "--read-data")
		default:
			k.mutate(t)
			k.run(t, device, k.anywhere(device, "backup"), "backup", k.tree)
		}
		if k.kills >= next {
			next += every
			some := slices.Clone(k.order[max(0, len(k.order)-5):])
			k.compare(t, append(some, k.order[k.random.IntN(len(k.order))]))
		}
	}
	k.end(t)
}

// end lets both devices come to their end, and looks at everything.
func (k *killing) end(t *testing.T) {
	t.Helper()
	for device := range k.devices {
		k.run(t, device, trigger{}, "backup", k.tree)
	}
	k.packs(t, func(name string, size int64) {
		if durable.IsTemporary(path.Base(name)) {
			t.Errorf("%s, %d bytes, was not cleared away", name, size)
		}
	})
	for _, device := range k.devices {
		madeTables(t, device)
	}
	e, err := engine.Open(t.Context(), engine.OpenOptions{DataDir: k.devices[0], OverlayBytes: tinyOverlay})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, id := range k.order {
		k.restores(t, id, func(to string) error {
			r, err := e.Restore(t.Context(), engine.RestoreOptions{At: id, To: to})
			if len(r.Problems) > 0 {
				err = errors.Join(err, fmt.Errorf("%v", r.Problems))
			}
			return err
		})
	}
	r, err := e.Check(t.Context(), engine.CheckOptions{ReadData: true})
	if err != nil || len(r.Problems) > 0 || r.Devices != 2 || r.DeadPacks > 0 {
		t.Errorf("check: %+v, %v", r, err)
	}
	o := k.onTheWay
	t.Logf("%d kills, %d runs came to their end, %d snapshots reported, %d of them before a kill, and restored; %d packs and %d dead ones",
		k.kills, k.done, len(k.order), k.printed, r.Packs, r.DeadPacks)
	t.Logf("%d kills hit a pack on its way: %d in the spool, %d put in part, %d put and not yet named; %d bytes were put in vain",
		o.kills, o.spooled, o.half, o.unnamed, o.again)
	if o.spooled == 0 || o.unnamed == 0 || k.copies && o.half == 0 {
		t.Error("no kill hit one of these")
	}
}

// TestProgramKilledAgainAndAgainLosesNothingAndNeedsNoRepair kills backups,
// restores and checks of two devices with SIGKILL at random places while the
// source changes, a third of them while packs are spooled or put. The next run
// works without any help, what was reported restores, and packs that were put
// whole are not put again.
func TestProgramKilledAgainAndAgainLosesNothingAndNeedsNoRepair(t *testing.T) {
	random := testseed.Rand(t)
	t.Setenv(overlayEnv, strconv.Itoa(tinyOverlay))
	if !soak() {
		newKilling(t, random).live(t, 200, 40)
		return
	}
	for n := range 20 {
		t.Run(strconv.Itoa(n), func(t *testing.T) { newKilling(t, random).live(t, 500, 100) })
	}
}
