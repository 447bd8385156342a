package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"holm.example/internal/testseed"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFileReplacesAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "state")
	for _, want := range []string{"first", "", "third"} {
		if err := WriteFile(name, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); got != want {
			t.Fatalf("read %q, expected %q", got, want)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %q, expected only the file", got)
	}
	if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 && filepath.Separator == '/' {
		t.Errorf("mode %o, expected 600", info.Mode().Perm())
	}
}

func TestCreateFileRefusesANameThatIsTaken(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "000000000001")
	if err := CreateFile(name, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateFile(name, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("creating it again: %v, expected fs.ErrExist", err)
	}
	if got := read(t, name); got != "first" {
		t.Errorf("the file holds %q, expected what came first", got)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("the directory holds %q, expected only the file", got)
	}
}

func TestCreateFileIsWonByExactlyOne(t *testing.T) {
	name := filepath.Join(t.TempDir(), "slot")
	var wins atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := CreateFile(name, fmt.Appendf(nil, "writer %d", i), 0o600)
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d writers were told that they created the file", wins.Load())
	}
}

func TestRenameCreateOnlyRefusesANameThatIsTaken(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, name := range []string{a, b} {
		if err := WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := renameOrRefuse(a, b)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		t.Skip("this file system has no such rename")
	}
	if !errors.Is(err, fs.ErrExist) {
		t.Fatalf("renaming over a file: %v, expected fs.ErrExist", err)
	}
	if err := renameOrRefuse(a, filepath.Join(dir, "c")); err != nil {
		t.Errorf("renaming to a free name: %v", err)
	}
}

func TestFailingSourceLeavesTheNameAlone(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pack")
	if err := WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the source broke")
	src := func() io.Reader {
		return io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(broken))
	}
	if err := WriteFrom(name, src(), 0o600); !errors.Is(err, broken) {
		t.Errorf("writing from a broken source: %v", err)
	}
	if err := CreateFrom(filepath.Join(dir, "new"), src(), 0o600); !errors.Is(err, broken) {
		t.Errorf("creating from a broken source: %v", err)
	}
	if got := names(t, dir); len(got) != 1 || read(t, name) != "old" {
		t.Errorf("the directory holds %q and the name %q", got, read(t, name))
	}
}

func TestWritingIntoAMissingDirectoryIsAnError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "missing", "file")
	err := CreateFile(name, nil, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("creating in a missing directory: %v, expected fs.ErrNotExist", err)
	}
	if text := fmt.Sprint(err); !strings.Contains(text, name) || strings.Contains(text, temporaryPrefix) {
		t.Errorf("the error does not name the file that was asked for: %v", err)
	}
}

func TestFullDiskIsReportedAndLeavesTheOldContent(t *testing.T) {
	p := &fullDisk{}
	if err := write(p, "name", strings.NewReader("data"), 0o600, true); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("writing to a full disk: %v, expected ENOSPC", err)
	}
	if p.published || !p.removed {
		t.Errorf("published %v, temporary file removed %v", p.published, p.removed)
	}
}

// fullDisk has room for names and for nothing else, and says so at the sync.
type fullDisk struct{ published, removed bool }

func (p *fullDisk) create(string, fs.FileMode) (file, error) { return p, nil }
func (p *fullDisk) publish(string, string, bool) error       { p.published = true; return nil }
func (p *fullDisk) remove(string) error                      { p.removed = true; return nil }
func (p *fullDisk) syncDir(string) error                     { return nil }
func (p *fullDisk) Write(b []byte) (int, error)              { return len(b), nil }
func (p *fullDisk) Sync() error                              { return syscall.ENOSPC }
func (p *fullDisk) Close() error                             { return nil }

func TestMkdirAllSyncsEveryParentOfANewDirectory(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	var synced []string
	sync := func(dir string) error {
		synced = append(synced, dir)
		return SyncDir(dir)
	}
	if err := mkdirAll(dir, 0o700, os.Mkdir, sync); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Dir(root), root, filepath.Join(root, "a"), filepath.Join(root, "a", "b")}
	if fmt.Sprint(synced) != fmt.Sprint(want) {
		t.Errorf("synced %q, expected %q", synced, want)
	}
	if err := MkdirAll(dir, 0o700); err != nil {
		t.Errorf("making it again: %v", err)
	}
}

func TestMkdirAllSyncsADirectoryThatAKilledProcessMade(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "made")
	var synced []string
	dies := errors.New("killed")
	err := mkdirAll(dir, 0o700, os.Mkdir, func(parent string) error {
		if parent == root {
			return dies // before the directory is synced into its parent
		}
		return nil
	})
	if !errors.Is(err, dies) {
		t.Fatalf("the first run ended with %v", err)
	}
	err = mkdirAll(dir, 0o700, os.Mkdir, func(parent string) error {
		synced = append(synced, parent)
		return nil
	})
	if err != nil || fmt.Sprint(synced) != fmt.Sprint([]string{root}) {
		t.Errorf("the next run synced %q, %v, expected %q", synced, err, root)
	}
}

func TestMkdirAllIsContentWithAParentThatItMayNotRead(t *testing.T) {
	dir := t.TempDir()
	refused := func(string) error { return &fs.PathError{Op: "open", Err: fs.ErrPermission} }
	if err := mkdirAll(dir, 0o700, os.Mkdir, refused); err != nil {
		t.Errorf("a directory that is there: %v", err)
	}
	if err := mkdirAll(filepath.Join(dir, "new"), 0o700, os.Mkdir, refused); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a new directory: %v, expected fs.ErrPermission", err)
	}
}

func TestMkdirAllBelowAFileIsAnError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(name, 0o700); err == nil {
		t.Error("a file was taken for a directory")
	}
	if err := MkdirAll(filepath.Join(name, "below"), 0o700); err == nil {
		t.Error("a directory was made below a file")
	}
}

func TestRenameMovesBetweenDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := MkdirAll(filepath.Join(dir, "to"), 0o700); err != nil {
		t.Fatal(err)
	}
	from, to := filepath.Join(dir, "f"), filepath.Join(dir, "to", "f")
	if err := WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if read(t, to) != "x" {
		t.Error("the content did not move")
	}
	if err := Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := Remove(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing it again: %v, expected fs.ErrNotExist", err)
	}
}

func TestRemoveTemporaryTakesOldTemporaryFilesOnly(t *testing.T) {
	dir := t.TempDir()
	old, young := TemporaryName(), TemporaryName()
	now := time.Now()
	for name, age := range map[string]time.Duration{old: time.Hour, young: 0, "data": time.Hour, ".holm-zz.tmp": time.Hour} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveTemporary(dir, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(names(t, dir), " ")
	if strings.Contains(got, old) || !strings.Contains(got, young) || !strings.Contains(got, "data") || !strings.Contains(got, ".holm-zz.tmp") {
		t.Errorf("left: %s (old was %s, young %s)", got, old, young)
	}
}

func TestIsTemporaryKnowsOnlyItsOwnNames(t *testing.T) {
	for name, want := range map[string]bool{
		TemporaryName():                true,
		".holm-0123456789abcdef.tmp":   true,
		".holm-0123456789abcdeg.tmp":   false,
		".holm-0123456789abcde.tmp":    false,
		".holm-.tmp":                   false,
		"holm-0123456789abcdef.tmp":    false,
		".holm-0123456789abcdef.tmp.x": false,
		"":                             false,
	} {
		if got := IsTemporary(name); got != want {
			t.Errorf("IsTemporary(%q) = %v", name, got)
		}
	}
}

// TestMain lets the test binary be the process that is killed half way.
func TestMain(m *testing.M) {
	if name := os.Getenv("DURABLE_REWRITE"); name != "" {
		rewriteForEver(name)
	}
	os.Exit(m.Run())
}

// content is what writer number i writes: long, and all of one letter.
func content(i int) []byte {
	return []byte(strings.Repeat(string(rune('a'+i%26)), 1<<20))
}

func rewriteForEver(name string) {
	fmt.Println("started")
	for i := 0; ; i++ {
		if err := WriteFile(name, content(i), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func TestProcessKilledHalfWayLeavesOneWholeContent(t *testing.T) {
	random := testseed.Rand(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := WriteFile(name, content(0), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "DURABLE_REWRITE="+name)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, len("started\n")))
		killer := time.AfterFunc(time.Duration(random.IntN(15_000))*time.Microsecond, func() { cmd.Process.Kill() })
		cmd.Wait()
		killer.Stop()
		got := read(t, name)
		if len(got) != 1<<20 || strings.Trim(got, got[:1]) != "" {
			t.Fatalf("after a kill the file has %d bytes and is not one whole content", len(got))
		}
	}
	if err := RemoveTemporary(dir, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("after clearing away the directory holds %q", got)
	}
}
