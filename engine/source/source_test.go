package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func openTree(t *testing.T, path string) *Tree {
	t.Helper()
	tree, err := OpenTree(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// entries lists a directory, or fails.
func entries(t *testing.T, dir string) (list []Entry) {
	t.Helper()
	for e, err := range openDir(t, dir).All() {
		must(t, err)
		list = append(list, e)
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryIsListedInTheOrderOfBytes(t *testing.T) {
	dir := t.TempDir()
	want := []string{"C", "D", "_", "a", "a-b", "a.b", "aa", "b", "é"}
	for _, i := range []int{4, 8, 0, 7, 2, 1, 6, 3, 5} {
		put(t, dir, want[i], "")
	}
	var got []string
	for _, e := range entries(t, dir) {
		got = append(got, e.Name)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, expected %q", got, want)
	}
}

func TestDirectoryLargerThanOneBatchIsListedWhole(t *testing.T) {
	dir := t.TempDir()
	const n = 2049
	for i := range n {
		put(t, dir, fmt.Sprintf("%06d", i), "")
	}
	var got int
	for e, err := range openDir(t, dir).All() {
		must(t, err)
		if want := fmt.Sprintf("%06d", got); e.Name != want {
			t.Fatalf("entry %d is %q, expected %q", got, e.Name, want)
		}
		got++
	}
	if got != n {
		t.Errorf("listed %d entries, expected %d", got, n)
	}
}

func TestEntryHoldsWhatTheFileSystemSays(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "file", "twelve bytes")
	when := time.Unix(1234567890, 123456700)
	must(t, os.Chtimes(path, when, when))
	e, err := openDir(t, dir).Lstat("file")
	must(t, err)
	if e.Kind != File || e.Size != 12 || e.ModTime != TimeOf(when) || e.Name != "file" || e.Links != 1 {
		t.Errorf("the entry is %+v", e)
	}
	again, err := Lstat(path)
	must(t, err)
	if !e.Same(again) || again.Name != "file" {
		t.Errorf("by its path the file is %+v, by its directory %+v", again, e)
	}
}

func TestTimeFarAwayComesBackOrIsReported(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", "x")
	tree := openTree(t, dir)
	for _, want := range []Time{
		{-1, 999_999_900}, {-1_000_000_000, 1_000}, // 1969, 1938
		{-9_000_000_000, 0},                         // 1684
		{4_000_000_000, 0},                          // 2096
		{12_884_901_900, 0},                         // 2378
		{1 << 45, 0}, {-1 << 45, 0}, {1<<63 - 1, 0}, // few can hold these
	} {
		err := tree.SetMetadata("file", Entry{Kind: File, Mode: 0o600, ModTime: want})
		e, lerr := tree.Lstat("file")
		must(t, lerr)
		if err == nil && e.ModTime != want {
			t.Errorf("%v was taken, and came back as %v", want, e.ModTime)
		}
		if err != nil && e.ModTime == want {
			t.Errorf("%v was set, and refused with %v", want, err)
		}
	}
}

func TestFileThatChangesWhileItIsReadSaysSo(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "file", "before")
	for name, change := range map[string]func() error{
		"appended":  func() error { return appendTo(path, "more") },
		"truncated": func() error { return os.Truncate(path, 1) },
		"touched":   func() error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := openDir(t, dir).OpenFile("file")
			must(t, err)
			defer r.Close()
			_, err = io.ReadAll(r)
			must(t, err)
			if changed, err := r.Changed(); changed || err != nil {
				t.Fatalf("before the change: changed %v, %v", changed, err)
			}
			must(t, change())
			if changed, err := r.Changed(); !changed || err != nil {
				t.Errorf("after the change: changed %v, %v", changed, err)
			}
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// record is a Visitor that writes down what it is told.
type record struct {
	lines    []string
	problems []string
	skip     string
	stopAt   string
}

var errStop = errors.New("stop here")

func (r *record) Enter(_ *Dir, path string, e Entry) error {
	r.lines = append(r.lines, "enter "+path)
	if path == r.skip && path != "" {
		return SkipDir
	}
	return nil
}

func (r *record) Visit(dir *Dir, path string, e Entry) error {
	r.lines = append(r.lines, fmt.Sprintf("%v %s", e.Kind, path))
	if path == r.stopAt {
		return errStop
	}
	return nil
}

func (r *record) Leave(path string, e Entry, whole bool) error {
	r.lines = append(r.lines, fmt.Sprintf("leave %s %v", path, whole))
	return nil
}

func (r *record) Problem(path string, err error) error {
	r.problems = append(r.problems, path)
	return nil
}

func smallTree(t *testing.T) string {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "b", "deep"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "c"), 0o755))
	put(t, dir, "a", "x")
	put(t, dir, "b/deep/f", "x")
	put(t, dir, "d", "x")
	return dir
}

func TestWalkGoesDepthFirstInTheOrderOfBytes(t *testing.T) {
	var r record
	must(t, Walk(context.Background(), smallTree(t), "", &r))
	want := []string{"enter ", "file a", "enter b", "enter b/deep", "file b/deep/f", "leave b/deep true",
		"leave b true", "enter c", "leave c true", "file d", "leave  true"}
	if !slices.Equal(r.lines, want) || r.problems != nil {
		t.Errorf("walked\n%s\nproblems %q", strings.Join(r.lines, "\n"), r.problems)
	}
}

func TestWalkLeavesOutASkippedDirectory(t *testing.T) {
	r := record{skip: "b"}
	must(t, Walk(context.Background(), smallTree(t), "", &r))
	if got := strings.Join(r.lines, ","); strings.Contains(got, "deep") || strings.Contains(got, "leave b") || !strings.Contains(got, "file d") {
		t.Errorf("walked %s", got)
	}
}

func TestWalkEndsWithTheErrorOfItsVisitor(t *testing.T) {
	r := record{stopAt: "b/deep/f"}
	if err := Walk(context.Background(), smallTree(t), "", &r); err != errStop {
		t.Fatalf("the walk ended with %v", err)
	}
	if r.lines[len(r.lines)-1] != "file b/deep/f" {
		t.Errorf("the walk went on: %q", r.lines)
	}
}

func TestWalkEndsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var r record
	if err := Walk(ctx, smallTree(t), "", &r); !errors.Is(err, context.Canceled) {
		t.Errorf("the walk ended with %v", err)
	}
}

func TestWalkOfAFileShowsTheFile(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "only", "content")
	v := &reading{}
	must(t, Walk(context.Background(), path, "", v))
	if v.content != "content" {
		t.Errorf("through its directory the file reads %q", v.content)
	}
}

// reading reads the file that it is shown, through the directory.
type reading struct {
	record
	content string
}

func (v *reading) Visit(dir *Dir, path string, e Entry) error {
	r, err := dir.OpenFile(e.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	v.content = string(data)
	return err
}

func TestWalkOfNothingIsAProblem(t *testing.T) {
	var r record
	must(t, Walk(context.Background(), filepath.Join(t.TempDir(), "missing"), "", &r))
	if len(r.problems) != 1 || len(r.lines) != 0 {
		t.Errorf("problems %q, lines %q", r.problems, r.lines)
	}
}

func TestNamesThatCanLeadElsewhereAreRefused(t *testing.T) {
	tree := openTree(t, t.TempDir())
	for _, path := range []string{"", ".", "..", "../x", "a/../b", "/etc", "a//b", "a/", "./a", "nul\x00", "d/..", strings.Repeat("n", MaxNameBytes+1)} {
		must(t, ignoreExist(tree.Mkdir("d")))
		for what, do := range map[string]func() error{
			"Mkdir":   func() error { return tree.Mkdir(path) },
			"Symlink": func() error { return tree.Symlink("target", path) },
			"Create": func() error {
				f, err := tree.Create(path)
				if err == nil {
					f.Close()
				}
				return err
			},
			"Special": func() error { return tree.Special(path, Entry{Kind: Special, Special: FIFO}) },
		} {
			if err := do(); err == nil {
				t.Errorf("%s(%q) went through", what, path)
			} else if !errors.Is(err, ErrName) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s(%q): %v", what, path, err)
			}
		}
	}
}

func ignoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func TestSymlinkInTheWayIsNotFollowed(t *testing.T) {
	outside, inside := t.TempDir(), t.TempDir()
	victim := put(t, outside, "victim", "safe")
	must(t, os.Mkdir(filepath.Join(inside, "real"), 0o755))
	tree := openTree(t, inside)
	for name, target := range map[string]string{"absolute": outside, "up": "../" + filepath.Base(outside), "within": "real"} {
		if err := tree.Symlink(target, name); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
		if _, err := tree.Create(name + "/new"); !errors.Is(err, ErrInTheWay) {
			t.Errorf("creating below the link %s: %v, expected ErrInTheWay", name, err)
		}
		if err := tree.Mkdir(name + "/a"); !errors.Is(err, ErrInTheWay) {
			t.Errorf("making a directory below the link %s: %v, expected ErrInTheWay", name, err)
		}
		if err := tree.SetMetadata(name, Entry{Kind: Directory, Mode: 0}); !errors.Is(err, ErrInTheWay) {
			t.Errorf("setting the metadata of a directory on the link %s: %v", name, err)
		}
	}
	must(t, tree.Symlink(victim, "file"))
	if _, err := tree.Create("file"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating over a link: %v, expected fs.ErrExist", err)
	}
	if _, err := tree.Open("file"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("opening a link: %v, expected ErrNotRegular", err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "safe" {
		t.Errorf("the file outside holds %q", got)
	}
	if names, _ := os.ReadDir(filepath.Join(inside, "real")); len(names) != 0 {
		t.Errorf("something was written through a link: %v", names)
	}
}

func TestNothingThatExistsIsReplaced(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "name", "mine")
	tree := openTree(t, dir)
	for what, err := range map[string]error{
		"Mkdir":   tree.Mkdir("name"),
		"Symlink": tree.Symlink("x", "name"),
		"Create":  func() error { _, err := tree.Create("name"); return err }(),
	} {
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v, expected fs.ErrExist", what, err)
		}
	}
	if err := tree.Mkdir("name/below"); !errors.Is(err, ErrInTheWay) {
		t.Errorf("Mkdir below a file: %v, expected ErrInTheWay", err)
	}
}

func TestModificationTimeOfADirectoryHoldsWhenSetLast(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	when := Time{1_111_111_111, 700}
	must(t, tree.Mkdir("d"))
	must(t, tree.Mkdir("d/e"))
	f, err := tree.Create("d/e/f")
	must(t, err)
	_, err = f.Write([]byte("content"))
	must(t, err)
	must(t, f.Close())
	for path, kind := range map[string]Kind{"d/e/f": File} {
		must(t, tree.SetMetadata(path, Entry{Kind: kind, Mode: 0o640, ModTime: when}))
	}
	for _, path := range []string{"d/e", "d", ""} {
		must(t, tree.SetMetadata(path, Entry{Kind: Directory, Mode: 0o750, ModTime: when}))
	}
	for _, path := range []string{"", "d", "d/e", "d/e/f"} {
		e, err := tree.Lstat(path)
		must(t, err)
		if e.ModTime != when {
			t.Errorf("%q has the time %v, expected %v", path, e.ModTime, when)
		}
	}
}

func TestWrittenFileCanBeOpenedAgainAndRemoved(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	must(t, tree.Mkdir("d"))
	f, err := tree.Create("d/f")
	must(t, err)
	_, err = f.WriteAt([]byte("end"), 5)
	must(t, err)
	must(t, f.Close())
	f, err = tree.Open("d/f")
	must(t, err)
	_, err = f.WriteAt([]byte("start"), 0)
	must(t, err)
	must(t, f.Close())
	if got, _ := os.ReadFile(filepath.Join(dir, "d", "f")); string(got) != "startend" {
		t.Errorf("the file holds %q", got)
	}
	must(t, tree.Remove("d/f"))
	must(t, tree.Remove("d"))
	if _, err := tree.Lstat("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the removal: %v", err)
	}
	must(t, tree.Mkdir("d")) // the old handle must not serve the new directory
	f, err = tree.Create("d/f")
	must(t, err)
	must(t, f.Close())
}

func TestTimeIsTheSameBeforeAndAfterAConversion(t *testing.T) {
	for _, want := range []Time{{}, {-1, 999_999_999}, {1 << 40, 1}, {-1 << 40, 1}, {1<<63 - 1, 0}, {-1 << 63, 0}} {
		if got := TimeOf(want.Time()); got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	if got, want := timeOf(5, -1), (Time{4, 999_999_999}); got != want {
		t.Errorf("a nanosecond before 5 s is %v", got)
	}
	if got, want := timeOf(5, 2_000_000_001), (Time{7, 1}); got != want {
		t.Errorf("5 s and 2000000001 ns is %v", got)
	}
	order := []Time{{-2, 999_999_999}, {-1, 0}, {-1, 1}, {0, 0}, {1, 0}}
	for i, a := range order {
		for j, b := range order {
			if a.Before(b) != (i < j) {
				t.Errorf("%v before %v: %v", a, b, a.Before(b))
			}
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"", ".", "..", "...", "a/b", "/", "\x00", "a\x00b", "\xff\xfe", "name", "..a", `a\b`, "C:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			t.Errorf("%q was accepted", name)
		}
		if top := filepath.FromSlash("/top"); filepath.Join(top, name) == top || filepath.Dir(filepath.Join(top, name)) != top {
			t.Errorf("%q does not stay in its directory", name)
		}
	})
}

func TestAttributesThatAreKnownCountInTheBoundOfThoseThatAreRead(t *testing.T) {
	read := 0
	known := []Attribute{{AttributeSecurity, strings.Repeat("s", 64<<10)}}
	list, err := appendAttributes(known, "reading", "file", slices.Values(make([]string, 100)), func(string) bool { return true },
		func(string) ([]byte, error) { read++; return make([]byte, 64<<10), nil }, func(err error) error { return err })
	if !errors.Is(err, ErrAttributes) || len(list) != 15 || read != 15 {
		t.Errorf("%d attributes, %d read, %v", len(list), read, err)
	}
}
