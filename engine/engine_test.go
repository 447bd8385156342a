package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// cheap is the least that the format allows for a passphrase.
func cheap() seal.Derivation {
	return seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}
}

// small chunks, so that small files have many.
func small() vault.ChunkSizes { return vault.ChunkSizes{Minimum: 256, Average: 1024, Maximum: 4096} }

const passphrase = "correct horse"

// scene is a vault with a device, and a source.
type scene struct {
	t       *testing.T
	dir     string
	vault   string
	data    string
	src     string
	wrap    storeOf
	ahead   time.Duration    // of the engine's clock
	at      func() time.Time // the engine's clock, in place of ahead
	limit   uint64           // pack bytes that close a transaction; 0: the default
	overlay int              // of OpenOptions
	plain   bool             // the vault has no parity
}

func newScene(t *testing.T) *scene { t.Helper(); return newSceneOn(t, same) }

// newSceneOn makes a scene whose store is wrapped.
func newSceneOn(t *testing.T, wrap storeOf) *scene { t.Helper(); return newSceneOf(t, wrap, true) }

// newSceneOf makes a scene whose vault has parity, as is usual, or none.
func newSceneOf(t *testing.T, wrap storeOf, parity bool) *scene {
	t.Helper()
	dir := t.TempDir()
	s := &scene{t: t, plain: !parity, dir: dir, vault: filepath.Join(dir, "vault"), data: filepath.Join(dir, "data"), src: filepath.Join(dir, "src"), wrap: wrap}
	if err := os.Mkdir(s.src, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := initVault(t.Context(), s.options(s.data), wrap)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) options(data string) Options {
	parity := !s.plain
	return Options{Parity: &parity, DataDir: data, Vault: s.vault, Passphrase: []byte(passphrase), DeviceName: filepath.Base(data),
		Derivation: cheap(), Chunker: small()}
}

func (s *scene) open(data string) (*Engine, error) {
	now := s.at
	if now == nil {
		now = func() time.Time { return time.Now().Add(s.ahead) }
	}
	e, err := open(s.t.Context(), OpenOptions{DataDir: data, Note: s.t.Logf, Now: now, OverlayBytes: s.overlay}, s.wrap)
	if err == nil && s.limit > 0 {
		e.limits.PackBytes = s.limit
	}
	return e, err
}

// with opens the engine for one function.
func (s *scene) with(data string, f func(*Engine)) {
	s.t.Helper()
	e, err := s.open(data)
	if err != nil {
		s.t.Fatal(err)
	}
	f(e)
	if err := e.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) backup(data string) (r BackupReport) {
	s.t.Helper()
	s.with(data, func(e *Engine) {
		var err error
		if r, err = e.Backup(s.t.Context(), BackupOptions{Paths: []string{s.src}}); err != nil {
			s.t.Fatal(err)
		}
	})
	for _, p := range r.Problems {
		s.t.Errorf("backup: %q: %v", p.Path, p.Err)
	}
	return r
}

// restore restores into a new directory and returns where the source is in it.
func (s *scene) restore(data, at string) string {
	s.t.Helper()
	to := filepath.Join(s.dir, fmt.Sprintf("to-%x", rand.Uint64()))
	s.with(data, func(e *Engine) {
		r, err := e.Restore(s.t.Context(), RestoreOptions{At: at, To: to})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, p := range r.Problems {
			s.t.Errorf("restore: %q: %v", p.Path, p.Err)
		}
	})
	return filepath.Join(to, filepath.Base(s.src))
}

// check expects that many problems and returns them.
func (s *scene) check(data string, readData bool) (problems []Problem) {
	s.t.Helper()
	s.with(data, func(e *Engine) {
		r, err := e.Check(s.t.Context(), CheckOptions{ReadData: readData, Deep: readData})
		if err != nil {
			s.t.Fatal(err)
		}
		problems = r.Problems
	})
	return problems
}

func (s *scene) clean(data string) {
	s.t.Helper()
	for _, p := range s.check(data, true) {
		s.t.Errorf("check: %s: %v", p.Path, p.Err)
	}
}

func (s *scene) write(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.src, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
	// Long enough ago to count as settled.
	if err := os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000, 123456789)); err != nil {
		s.t.Fatal(err)
	}
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// image is a tree in memory: what a restore must reproduce.
func image(t *testing.T, root string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		e, err := source.Lstat(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		text := fmt.Sprintf("%v %v %o %d", e.Kind, e.FileMode(), e.Mode, e.ModTime)
		switch e.Kind {
		case source.File:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %d %x", len(b), seal.Sum(b))
		case source.Symlink:
			text += " -> " + e.Target
		case source.Special:
			text += fmt.Sprintf(" %v %d %d", e.Special, e.Major, e.Minor)
		}
		tree[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func sameTrees(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%q: restored as %q, want %q", name, got[name], text)
		}
	}
	for name, text := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q was not in the source: %q", name, text)
		}
	}
}

func TestBackupRestoresWhatWasThere(t *testing.T) {
	s := newScene(t)
	s.write("a/b/letter.txt", []byte("dear oak"))
	s.write("a/empty", nil)
	s.write("big.bin", noise(1, 3<<20))
	s.write("zeros", make([]byte, 5<<20))
	if err := os.MkdirAll(filepath.Join(s.src, "no/thing/here"), 0o750); err != nil {
		t.Fatal(err)
	}
	want := image(t, s.src)
	r := s.backup(s.data)
	if r.Snapshot == "" || r.Files != 4 || r.NewBytes == 0 {
		t.Fatalf("report %+v", r)
	}
	sameTrees(t, want, image(t, s.restore(s.data, "latest")))
	s.clean(s.data)
}

func TestUnchangedTreeIsNeitherReadNorStoredAgain(t *testing.T) {
	s := newScene(t)
	s.write("a/one", noise(1, 100_000))
	s.write("a/two", noise(2, 100))
	s.ahead = time.Hour // what was written just now counts as settled
	s.backup(s.data)
	r := s.backup(s.data)
	if r.ReadBytes != 0 || r.NewBytes != 0 || r.Changed != 0 || r.Files != 2 {
		t.Fatalf("second run: %+v", r)
	}
}

func TestFileTouchedJustNowIsReadAgain(t *testing.T) {
	s := newScene(t)
	s.write("a", noise(1, 1000))
	s.backup(s.data)
	if r := s.backup(s.data); r.ReadBytes != 1000 {
		t.Fatalf("second run read %d bytes, want 1000", r.ReadBytes)
	}
	s.ahead = time.Hour
	s.backup(s.data)
	if r := s.backup(s.data); r.ReadBytes != 0 {
		t.Fatalf("settled file was read again")
	}
}

func TestMarksKeepTheirTime(t *testing.T) {
	s := newScene(t)
	s.write("keep", []byte("same"))
	s.write("change", []byte("first"))
	s.write("dir/gone", []byte("gone"))
	first := image(t, s.src)
	r1 := s.backup(s.data)
	s.write("change", []byte("second"))
	s.write("new", []byte("new"))
	if err := os.RemoveAll(filepath.Join(s.src, "dir")); err != nil {
		t.Fatal(err)
	}
	second := image(t, s.src)
	r2 := s.backup(s.data)
	s.write("dir/gone", []byte("back"))
	third := image(t, s.src)
	s.backup(s.data)
	sameTrees(t, first, image(t, s.restore(s.data, r1.Snapshot)))
	sameTrees(t, second, image(t, s.restore(s.data, r2.Snapshot[:8])))
	sameTrees(t, third, image(t, s.restore(s.data, "latest")))
	s.clean(s.data)
}

func TestJoinedDeviceSeesAndRestoresEverything(t *testing.T) {
	s := newScene(t)
	s.write("x", noise(3, 50_000))
	want := image(t, s.src)
	s.backup(s.data)
	other := filepath.Join(s.dir, "other")
	if _, err := Join(t.Context(), s.options(other)); err != nil {
		t.Fatal(err)
	}
	sameTrees(t, want, image(t, s.restore(other, "")))
	r := s.backup(other)
	if r.NewBytes != 0 {
		t.Errorf("second device stored %d bytes that the vault had", r.NewBytes)
	}
	s.with(s.data, func(e *Engine) {
		list, err := e.Snapshots(context.Background())
		if err != nil || len(list) != 2 || list[0].DeviceName != "data" || list[1].DeviceName != "other" {
			t.Errorf("snapshots %v, %v", list, err)
		}
	})
	s.clean(s.data)
}

func TestWrongPassphraseIsSaid(t *testing.T) {
	s := newScene(t)
	o := s.options(filepath.Join(s.dir, "other"))
	o.Passphrase = []byte("battery staple")
	if _, err := Join(t.Context(), o); !errors.Is(err, ErrWrongPassphrase) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.open(o.DataDir); !errors.Is(err, ErrNotJoined) {
		t.Fatalf("got %v", err)
	}
}

func TestVaultAndDataDirectoryAreNotBackedUpIntoThemselves(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("x"))
	s.src = s.dir
	r := s.backup(s.data)
	if r.Files != 1 {
		t.Errorf("%d files, want the one that is neither in the vault nor in the data directory", r.Files)
	}
}

func TestCommitTimeNeverRunsBackwards(t *testing.T) {
	s := newScene(t)
	s.write("a", []byte("1"))
	s.ahead = 48 * time.Hour
	s.backup(s.data)
	s.ahead = 0 // the clock is set right
	s.backup(s.data)
	s.with(s.data, func(e *Engine) {
		var last vault.Time
		for seq := uint64(1); seq <= e.state.Head().Seq; seq++ {
			g, err := e.vault.ReadSegment(t.Context(), e.device.Card, seq)
			if err != nil || g.Committed.Before(last) {
				t.Fatalf("segment %d: %v, committed at %v after %v", seq, err, g, last)
			}
			last = g.Committed
		}
	})
}

func TestLatestIsWhatWasBackedUpLastWhateverTheClockSays(t *testing.T) {
	s := newScene(t)
	s.ahead = 1 << 42
	var last string
	for i, ahead := range []time.Duration{24 * time.Hour, 4 * 365 * 24 * time.Hour, 0, time.Hour} {
		s.ahead = ahead
		s.write("file", noise(uint64(i), 300))
		last = s.backup(s.data).Snapshot
		s.with(s.data, func(e *Engine) {
			list, err := e.Snapshots(t.Context())
			if err != nil || len(list) != i+1 || list[i].ID != last || i > 0 && list[i].Time.Before(list[i-1].Time) {
				t.Errorf("clock ahead by %v: %+v, %v", ahead, list, err)
			}
		})
		sameTrees(t, image(t, s.src), image(t, s.restore(s.data, "")))
	}
}

func TestListFindsWhatAPathNames(t *testing.T) {
	s := newScene(t)
	s.write("d/one", []byte("1"))
	s.write("d/two", []byte("22"))
	s.backup(s.data)
	src := filepath.ToSlash(s.src)
	for _, c := range []struct {
		path      string
		recursive bool
		want      []string
	}{
		{"", false, []string{src}},
		{"", true, []string{src, src + "/d", src + "/d/one", src + "/d/two"}},
		{s.src, false, []string{src + "/d"}},
		{filepath.Dir(s.src), false, []string{src}},
		{"/", false, []string{src}},
		{"src/d", false, []string{src + "/d/one", src + "/d/two"}},
		{src + "/d/two", false, []string{src + "/d/two"}},
	} {
		s.with(s.data, func(e *Engine) {
			var got []string
			err := e.List(t.Context(), ListOptions{Path: c.path, Recursive: c.recursive}, func(entry Entry) error {
				got = append(got, entry.Path)
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q: %q, %v, want %q", c.path, got, err, c.want)
			}
		})
	}
	s.with(s.data, func(e *Engine) {
		none := func(Entry) error { return errors.New("an entry") }
		for _, path := range []string{"src/none", src + "/d/one/x", "/elsewhere", "sr"} {
			if err := e.List(t.Context(), ListOptions{Path: path}, none); !errors.Is(err, ErrNoPath) {
				t.Errorf("%q: %v", path, err)
			}
		}
		for _, at := range []string{"ffff00", "2001-01-01", "yesterday"} {
			if err := e.List(t.Context(), ListOptions{At: at}, none); !errors.Is(err, ErrNoSnapshot) {
				t.Errorf("at %q: %v", at, err)
			}
		}
		if err := e.List(t.Context(), ListOptions{At: time.Now().Format("2006-01-02")}, func(Entry) error { return nil }); err != nil {
			t.Errorf("today: %v", err)
		}
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{"/nowhere/at/all"}}); !errors.Is(err, ErrNothing) {
			t.Errorf("missing source: %v", err)
		}
	})
}
