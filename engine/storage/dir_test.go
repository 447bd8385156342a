package storage_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/internal/durable"
)

func TestDirectoryPassesTheSuite(t *testing.T) {
	storagetest.Suite(t, func(t *testing.T) storagetest.Place {
		root := filepath.Join(t.TempDir(), "new", "vault")
		if _, err := storage.CreateDir(root); err != nil {
			t.Fatal(err)
		}
		return func() storage.Store { return open(t, root) }
	})
}

func open(t *testing.T, root string) *storage.Dir {
	t.Helper()
	d, err := storage.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func put(t *testing.T, s storage.Store, name, content string) {
	t.Helper()
	if err := s.Put(t.Context(), name, storage.Body([]byte(content))); err != nil {
		t.Fatal(err)
	}
}

// names lists the store, or fails.
func names(t *testing.T, s storage.Store) []string {
	t.Helper()
	var list []string
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, o.Name)
	}
	return list
}

// everything lists the paths of all files below root.
func everything(t *testing.T, root string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, strings.TrimPrefix(filepath.ToSlash(p), filepath.ToSlash(root)+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMissingDirectoryIsAStoreOutOfReach(t *testing.T) {
	root := filepath.Join(t.TempDir(), "not-mounted")
	if _, err := storage.OpenDir(root); !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("OpenDir: %v, want ErrUnreachable", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.OpenDir(file); !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("OpenDir of a file: %v, want ErrUnreachable", err)
	}
	if _, err := storage.CreateDir(filepath.Join(file, "vault")); !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("CreateDir below a file: %v, want ErrUnreachable", err)
	}
}

func TestDirectoryThatVanishesIsOutOfReachAndNeverMadeAgain(t *testing.T) {
	root := filepath.Join(t.TempDir(), "vault")
	d, err := storage.CreateDir(root)
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "keys/a", "x")
	if err := os.RemoveAll(root); err != nil { // the disk is unplugged
		t.Fatal(err)
	}
	_, getErr := d.Get(t.Context(), "keys/a", 10)
	_, rangeErr := d.GetRange(t.Context(), "keys/a", 0, 1)
	var listErr error
	for _, err := range d.List(t.Context(), "keys/") {
		listErr = err
	}
	for what, err := range map[string]error{
		"Put":      d.Put(t.Context(), "keys/b", storage.Body(nil)),
		"Get":      getErr,
		"GetRange": rangeErr,
		"List":     listErr,
		"Delete":   d.Delete(t.Context(), "keys/a"),
	} {
		if !errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v, want ErrUnreachable alone", what, err)
		}
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is there again: %v", err)
	}
}

func TestObjectsAndDirectoriesAreTheOwnersAlone(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("this system has no POSIX modes")
	}
	root := filepath.Join(t.TempDir(), "vault")
	d, err := storage.CreateDir(root)
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "packs/d/a", "x")
	for p, want := range map[string]os.FileMode{"": 0o700, "packs": 0o700, "packs/d": 0o700, "packs/d/a": 0o600} {
		info, err := os.Stat(filepath.Join(root, p))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v, want %v", p, info.Mode(), err, want)
		}
	}
}

func TestWhatIsNoObjectIsNeitherListedNorRead(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	put(t, d, "keys/a", "x")
	for _, name := range []string{"keys/.holm-0123456789abcdef.tmp", ".holm-0123456789abcdef.tmp", "keys/.DS_Store", "Thumbs.db",
		"keys/a~", ".snapshot/keys/b", "keys/.AppleDouble/a", "System Volume Information/c"} {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Get(t.Context(), name, 100); !errors.Is(err, storage.ErrName) {
			t.Errorf("Get %s: %v, want ErrName", name, err)
		}
	}
	if got := names(t, d); !slices.Equal(got, []string{"keys/a"}) {
		t.Errorf("listed %q, want keys/a alone", got)
	}
}

func TestDirectoryInTheSlotOfAnObjectIsNotAnObject(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	if err := os.Mkdir(filepath.Join(root, "vault.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), "vault.json", 100); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
	if err := d.Put(t.Context(), "vault.json", storage.Body(nil)); !errors.Is(err, storage.ErrExists) {
		t.Errorf("Put: %v, want ErrExists", err)
	}
	if got := names(t, d); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
}

func TestNamesThatWouldEscapeTouchNothingOutside(t *testing.T) {
	parent := t.TempDir()
	root := filepath.Join(parent, "vault")
	d, err := storage.CreateDir(root)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(parent, "secret")
	if err := os.WriteFile(secret, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "a/../../secret", "./../secret", "..\\secret", secret, "keys/../../secret", "../", ".."} {
		if b, err := d.Get(t.Context(), name, 100); !errors.Is(err, storage.ErrName) {
			t.Errorf("Get %q: %q, %v, want ErrName", name, b, err)
		}
		if err := d.Put(t.Context(), name+"2", storage.Body(nil)); !errors.Is(err, storage.ErrName) {
			t.Errorf("Put %q: %v, want ErrName", name, err)
		}
		if err := d.Delete(t.Context(), name); !errors.Is(err, storage.ErrName) {
			t.Errorf("Delete %q: %v, want ErrName", name, err)
		}
		for o, err := range d.List(t.Context(), name) {
			t.Errorf("List %q yields %v, %v", name, o, err)
		}
	}
	if got := everything(t, parent); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("files afterwards: %q", got)
	}
}

// endless blocks a Put half way: it gives bytes for a while, tells so, and
// then waits for input that never comes.
type endless struct{ told bool }

func (e *endless) ReadAt(p []byte, off int64) (int, error) {
	if off < 1<<20 {
		return len(p), nil
	}
	if !e.told {
		e.told = true
		_, _ = os.Stdout.WriteString("half\n") // a lost line hangs the parent, which then fails
	}
	return os.Stdin.Read(p[:1])
}

const childVariable = "HOLM_STORAGE_TEST_CHILD"

// TestChildThatIsKilledHalfway is the process that the next test kills.
func TestChildThatIsKilledHalfway(t *testing.T) {
	root := os.Getenv(childVariable)
	if root == "" {
		t.Skip("runs only as the child of the next test")
	}
	body := io.NewSectionReader(&endless{}, 0, 1<<30)
	t.Fatalf("the Put ended: %v", open(t, root).Put(t.Context(), "packs/a", body))
}

func TestProcessKilledHalfwayLeavesNoObject(t *testing.T) {
	root := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestChildThatIsKilledHalfway$")
	child.Env = append(os.Environ(), childVariable+"="+root)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := child.Process.Kill(); killErr != nil {
		t.Fatal(killErr)
	}
	_ = child.Wait() // killed, as was wanted
	if err != nil || line != "half\n" {
		t.Fatalf("child says %q, %v", line, err)
	}

	d := open(t, root)
	left := everything(t, root)
	if len(left) != 1 || !durable.IsTemporary(filepath.Base(left[0])) {
		t.Errorf("files left: %q, want one temporary file", left)
	}
	if got := names(t, d); len(got) != 0 {
		t.Errorf("listed %q, want nothing", got)
	}
	if _, err := d.Get(t.Context(), "packs/a", 1<<30); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
	put(t, d, "packs/a", "whole")
	if got, err := d.Get(t.Context(), "packs/a", 100); err != nil || string(got) != "whole" {
		t.Errorf("Get afterwards: %q, %v", got, err)
	}
	tidy := func(before time.Time) []string {
		t.Helper()
		if err := storage.Tidy(t.Context(), d, "packs/b", before); err != nil {
			t.Errorf("Tidy: %v", err)
		}
		return everything(t, root)
	}
	if got := tidy(time.Now().Add(-time.Hour)); len(got) != 2 {
		t.Errorf("files after clearing away what is an hour old: %q", got)
	}
	if got := tidy(time.Now().Add(time.Hour)); !slices.Equal(got, []string{"packs/a"}) {
		t.Errorf("files after clearing away: %q, want the object alone", got)
	}
	if err := storage.Tidy(t.Context(), d, "nothing/here/a", time.Now()); err != nil {
		t.Errorf("Tidy where nothing was put: %v", err)
	}
}

func TestPutThatFailsLeavesNoTemporaryFile(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	put(t, d, "packs/a", "x")
	if err := d.Put(t.Context(), "packs/a", storage.Body([]byte("y"))); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second Put: %v, want ErrExists", err)
	}
	broken := errors.New("broken")
	if err := d.Put(t.Context(), "packs/b", io.NewSectionReader(brokenReader{broken}, 0, 1<<20)); !errors.Is(err, broken) {
		t.Errorf("Put of a broken body: %v", err)
	}
	if got := everything(t, root); !slices.Equal(got, []string{"packs/a"}) {
		t.Errorf("files: %q, want packs/a alone", got)
	}
}

type brokenReader struct{ err error }

func (b brokenReader) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func FuzzCheckNameLetsNothingEscape(f *testing.F) {
	for _, seed := range []string{"a", "keys/a-1", "..", "a/../b", "/", "a//b", "vault.json", ".x", "a/.", strings.Repeat("a/", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if storage.CheckName(name) != nil {
			return
		}
		local := filepath.FromSlash(name)
		if !filepath.IsLocal(local) || filepath.Clean(local) != local || len(name) > storage.MaxName || durable.IsTemporary(filepath.Base(local)) {
			t.Errorf("%q passes and is not a plain path below the root", name)
		}
	})
}

func TestProbeClearsAwayWhatAKilledOneHadHalfPut(t *testing.T) {
	root := t.TempDir()
	d, err := storage.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, age := range map[string]time.Duration{".holm-0123456789abcdef.tmp": 25 * time.Hour, ".holm-fedcba9876543210.tmp": time.Hour} {
		path := filepath.Join(root, "probe", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("f"), 0o600), os.Chtimes(path, time.Time{}, now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if err := storage.Probe(t.Context(), d, now); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(root, "probe"))
	if err != nil || len(left) != 1 || left[0].Name() != ".holm-fedcba9876543210.tmp" {
		t.Errorf("probe/ holds %v, %v: want what may be another device's alone", left, err)
	}
}
