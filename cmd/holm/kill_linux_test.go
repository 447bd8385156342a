package main

import (
	"bytes"
	"errors"
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

	"golang.org/x/sys/unix"

	"holm.example/engine"
	"holm.example/engine/seal"
	"holm.example/internal/durable"
)

// A watch counts what happens to the files of some directories, and calls
// someone at a chosen count: chance picks a place in the work of the program
// and not a time, of which most would pass while it starts.
type watch struct {
	fd    int
	count atomic.Int64
	done  chan error
}

func newWatch(t *testing.T, at int64, call func(), dirs ...string) *watch {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{fd: fd, done: make(chan error, 1)}
	for _, root := range dirs {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_, err = unix.InotifyAddWatch(fd, path, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_CLOSE|unix.IN_OPEN)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	go func() { w.done <- w.run(at, call, dirs[0]) }()
	return w
}

// run ends when the first directory is touched by stop.
func (w *watch) run(at int64, call func(), dir string) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(w.fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if bytes.Contains(buffer[:n], []byte(stopName)) {
			return os.Remove(filepath.Join(dir, stopName))
		}
		for events := buffer[:n]; len(events) >= unix.SizeofInotifyEvent; {
			if w.count.Add(1) == at {
				call()
			}
			length := int(uint32(events[12]) | uint32(events[13])<<8 | uint32(events[14])<<16 | uint32(events[15])<<24)
			events = events[unix.SizeofInotifyEvent+length:]
		}
	}
}

const stopName = "stop-watching"

// stop ends the watch and returns how much happened.
func (w *watch) stop(t *testing.T, dir string) int64 {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, stopName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-w.done, unix.Close(w.fd)); err != nil {
		t.Fatal(err)
	}
	return w.count.Load()
}

// A killing is a vault of two devices whose program is killed again and again
// while its sources change, and the model of what must restore.
type killing struct {
	dir, tree, vault string
	devices          [2]string
	random           *rand.Rand
	reported         map[string]map[string]string // snapshot → image
	order            []string
	long             map[string]int64 // events of an undisturbed run, by verb
	files            int              // made so far

	kills, done, unsent int // unsent: bytes of packs that were half put
}

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

// run starts a verb of the program and kills it at a random place of its
// work, or lets it come to its end, which must be a good one. It reports
// whether it did.
func (k *killing) run(t *testing.T, device string, verb string, args ...string) bool {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("holm", append([]string{verb, "--data-dir", device}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	at := int64(-1)
	if length := k.long[verb]; length > 0 {
		at = 1 + k.random.Int64N(length+length/2)
	}
	// The goroutine of the watch kills a process that is started already.
	started := make(chan struct{})
	w := newWatch(t, at, func() { <-started; cmd.Process.Kill() }, device, k.vault)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	length := w.stop(t, device)
	if cmd.ProcessState.Sys().(interface{ Signaled() bool }).Signaled() {
		k.kills++
		k.long[verb] = max(k.long[verb], length)
		k.halfPut(t)
		return false
	}
	text := stderr.String()
	if err != nil || strings.Contains(text, "set aside") || strings.Contains(text, "new device") {
		t.Fatalf("after %d kills: holm %s: %v\n%s", k.kills, verb, err, text)
	}
	k.done++
	k.long[verb] = length
	if _, rest, ok := strings.Cut(stdout.String(), "snapshot "); ok && verb == "backup" {
		id := strings.Fields(rest)[0]
		k.reported[id] = treeImage(t, k.tree)
		k.order = append(k.order, id)
	}
	return true
}

// halfPut adds up the packs that the killed run had begun to put: their bytes
// are sent again. A run has at most three on the way.
func (k *killing) halfPut(t *testing.T) {
	t.Helper()
	half := 0
	err := filepath.WalkDir(filepath.Join(k.vault, "packs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !durable.IsTemporary(d.Name()) {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(time.Now().Add(-time.Second)) {
			half++
			k.unsent += int(info.Size())
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) || half > 3*len(k.devices) {
		t.Fatalf("%d packs are half put, %v", half, err)
	}
}

// compare restores snapshots and compares them with the model.
func (k *killing) compare(t *testing.T, ids []string) {
	t.Helper()
	for _, id := range ids {
		to := filepath.Join(k.dir, "out")
		device := k.devices[k.random.IntN(2)]
		if out, err := exec.Command("holm", "restore", "--data-dir", device, "--at", id, "--to", to).CombinedOutput(); err != nil {
			t.Fatalf("after %d kills, restoring %s: %v\n%s", k.kills, id, err, out)
		}
		if got := treeImage(t, filepath.Join(to, "tree")); !maps.Equal(got, k.reported[id]) {
			t.Fatalf("after %d kills, %s is restored as\n%v\nwant\n%v", k.kills, id, got, k.reported[id])
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}

// newKilling makes the vault, the first backups of both devices, and learns
// how much happens in a run of each verb.
func newKilling(t *testing.T, random *rand.Rand) *killing {
	t.Helper()
	k := &killing{dir: fastDir(t), random: random, reported: map[string]map[string]string{}, long: map[string]int64{}}
	k.tree, k.vault = filepath.Join(k.dir, "tree"), filepath.Join(k.dir, "vault")
	k.devices = [2]string{filepath.Join(k.dir, "first"), filepath.Join(k.dir, "second")}
	for i, enter := range []func() (engine.Info, error){
		func() (engine.Info, error) { return engine.Init(t.Context(), k.options(0)) },
		func() (engine.Info, error) { return engine.Join(t.Context(), k.options(1)) },
	} {
		if _, err := enter(); err != nil {
			t.Fatal(err)
		}
		k.mutate(t)
		clear(k.long)
		if !k.run(t, k.devices[i], "backup", k.tree) {
			t.Fatal("nobody was to be killed yet")
		}
	}
	return k
}

func (k *killing) options(device int) engine.Options {
	return engine.Options{Vault: k.vault, DataDir: k.devices[device], Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
}

// live kills the program that many times and lets it end well at last: all
// that was reported restores, and the vault is sound.
func (k *killing) live(t *testing.T, kills, every int) {
	t.Helper()
	for next := every; k.kills < kills; {
		device := k.devices[k.random.IntN(2)]
		switch k.random.IntN(8) {
		case 0:
			to := filepath.Join(k.dir, "killed-restore")
			k.run(t, device, "restore", "--to", to)
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
		case 1:
			k.run(t, device, "check", "--read-data")
		default:
			k.mutate(t)
			k.run(t, device, "backup", k.tree)
		}
		if k.kills >= next {
			next += every
			some := slices.Clone(k.order[max(0, len(k.order)-5):])
			k.compare(t, append(some, k.order[k.random.IntN(len(k.order))]))
		}
	}
	for _, device := range k.devices {
		if out, err := exec.Command("holm", "backup", "--data-dir", device, k.tree).CombinedOutput(); err != nil {
			t.Fatalf("the last backup: %v\n%s", err, out)
		}
	}
	k.compare(t, k.order)
	for _, device := range k.devices {
		madeTables(t, device)
	}
	e, err := engine.Open(t.Context(), engine.OpenOptions{DataDir: k.devices[0], Overlay: tinyOverlay})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r, err := e.Check(t.Context(), engine.CheckOptions{ReadData: true})
	if err != nil || len(r.Problems) > 0 || r.Devices != 2 {
		t.Errorf("check: %+v, %v", r, err)
	}
	t.Logf("%d kills, %d runs came to their end, %d snapshots reported and restored, %d packs and %d dead ones, %d bytes of packs put in vain",
		k.kills, k.done, len(k.order), r.Packs, r.DeadPacks, k.unsent)
}

// TestProgramKilledAgainAndAgainLosesNothingAndNeedsNoRepair kills backups,
// restores and checks of two devices with SIGKILL at random places while the
// source changes. The next run works without any help, and what was reported
// restores.
func TestProgramKilledAgainAndAgainLosesNothingAndNeedsNoRepair(t *testing.T) {
	random := seeded(t)
	t.Setenv(overlayEnv, strconv.Itoa(tinyOverlay))
	if !soak() {
		newKilling(t, random).live(t, 200, 40)
		return
	}
	for n := range 20 {
		t.Run(strconv.Itoa(n), func(t *testing.T) { newKilling(t, random).live(t, 500, 100) })
	}
}
