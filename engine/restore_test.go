package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// put writes files, in the order of their names, below a directory of the
// scene: they become the source.
func (s *scene) put(dir string, files map[string][]byte) string {
	s.t.Helper()
	s.src = filepath.Join(s.dir, dir)
	for name, content := range files {
		s.write(name, content)
	}
	return s.src
}

// restoreTo restores paths into a directory.
func (s *scene) restoreTo(o RestoreOptions) (r RestoreReport, err error) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) { r, err = e.Restore(s.t.Context(), o) })
	return r, err
}

// contents are the files below a directory.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		b, err := os.ReadFile(path)
		all[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func noTemporary(t *testing.T, root string) {
	t.Helper()
	for name := range contents(t, root) {
		if durable.IsTemporary(filepath.Base(name)) {
			t.Errorf("%s is left behind", name)
		}
	}
}

// Files that end in one pack and begin in another are all open at once, more
// than a run keeps handles for.
func TestHalfWrittenFilesOfOneNameDoNotMix(t *testing.T) {
	s := newScene(t)
	const files, half = 150, 20_000
	var first, second []byte
	for n := range uint64(files) {
		first, second = append(first, noise(n, half)...), append(second, noise(1000+n, half)...)
	}
	s.backupOf(s.put("donor", map[string][]byte{"1": first, "2": second}))
	of := func(n uint64) []byte { return append(noise(n, half), noise(1000+n, half)...) }
	many := map[string][]byte{}
	for n := range uint64(files) {
		many[fmt.Sprintf("f%03d", n)] = of(n)
	}
	paths := []string{s.put("a/f", map[string][]byte{"f": of(0), "sub/f": of(1)}), s.put("b/f", map[string][]byte{"f": of(2)}),
		s.put("many", many), filepath.Join(s.put("c", map[string][]byte{"f000": of(3)}), "f000"), filepath.Join(s.src, "f000")}
	paths[4] = filepath.Join(s.put("d", map[string][]byte{"f000": of(4)}), "f000")
	for _, path := range []string{paths[0], filepath.Join(paths[0], "sub"), paths[1]} {
		if err := os.Chmod(path, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	s.backupOf(paths...)
	to := filepath.Join(s.dir, "to")
	if err := errors.Join(os.Mkdir(to, 0o700), os.WriteFile(filepath.Join(to, "f000"), []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := s.restoreTo(RestoreOptions{To: to, Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"f", "f~2", "many"}
	for i, name := range names {
		sameTrees(t, image(t, paths[i]), image(t, filepath.Join(to, name)))
	}
	got := map[string]bool{}
	for name, content := range contents(t, to) {
		if strings.HasPrefix(name, "f000") {
			got[content] = true
		}
	}
	if len(got) != 3 || !got["mine"] || !got[string(of(3))] || !got[string(of(4))] {
		t.Errorf("the files f000 are not whole, problems %v", r.Problems)
	}
}

func TestOverwriteSparesWhatTheSameRunMade(t *testing.T) {
	s := newScene(t)
	d := s.put("x/d", map[string][]byte{"f": []byte("of d")})
	d2 := s.put("x/d~2", map[string][]byte{"f": []byte("of d~2")})
	tree := s.put("tree", map[string][]byte{"f": []byte("f"), "f~2": []byte("f~2"), "in/g": []byte("g")})
	s.backupOf(d, d2, tree)
	to := filepath.Join(s.dir, "to")
	s.src = to
	s.write("d", []byte("a file where a directory goes"))
	s.write("tree/f/kept", []byte("a directory where a file goes"))
	s.write("tree/in/g", []byte("to be replaced"))
	r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: true})
	if err != nil || len(r.Problems) != 4 {
		t.Errorf("problems %v, %v", r.Problems, err)
	}
	want := map[string]string{"d": "a file where a directory goes", "d~2/f": "of d", "d~2~2/f": "of d~2",
		"tree/f/kept": "a directory where a file goes", "tree/f~2": "f", "tree/f~2~2": "f~2", "tree/in/g": "g"}
	if got := contents(t, to); !maps.Equal(got, want) {
		t.Errorf("restored %q, want %q", got, want)
	}
}

func TestOverwriteReplacesFilesAndLinksAndKeepsTheRest(t *testing.T) {
	s := newScene(t)
	tree := s.put("tree", map[string][]byte{"edited": []byte("good"), "link": nil, "sub/gone": noise(1, 5000), "same": noise(2, 5000)})
	if err := errors.Join(os.Remove(filepath.Join(tree, "link")), os.Symlink("edited", filepath.Join(tree, "link"))); err != nil {
		t.Fatal(err)
	}
	want := image(t, tree)
	s.backupOf(tree)
	s.write("edited", []byte("bad"))
	s.write("mine", []byte("not in the vault"))
	outside := filepath.Join(s.dir, "outside")
	if err := errors.Join(os.WriteFile(outside, []byte("live"), 0o600), os.Remove(filepath.Join(tree, "link")),
		os.Symlink(outside, filepath.Join(tree, "link")), os.RemoveAll(filepath.Join(tree, "sub")),
		os.Remove(filepath.Join(tree, "same")), os.Symlink(outside, filepath.Join(tree, "same"))); err != nil {
		t.Fatal(err)
	}
	r, err := s.restoreTo(RestoreOptions{To: s.dir, Overwrite: true})
	if err != nil || len(r.Problems) != 0 {
		t.Fatalf("problems %v, %v", r.Problems, err)
	}
	got := image(t, tree)
	if b, err := os.ReadFile(outside); string(b) != "live" || got["mine"] == "" {
		t.Errorf("outside of the target is %q, %v; the other file is %q", b, err, got["mine"])
	}
	delete(got, "mine")
	sameTrees(t, want, got)
}

func TestDamageLeavesTheFileThatIsThere(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.ahead, s.limit = 1<<42, 20_000
	s.put("src", map[string][]byte{"a": noise(1, 100_000), "b": noise(2, 50_000)})
	s.backup(s.data)
	packs := 0
	for _, name := range store.Names() {
		if !strings.HasPrefix(name, vault.PacksPrefix) {
			continue
		}
		if packs++; packs == 2 { // the file a has begun then
			store.Replace(name, flipped(t, store, name))
		}
	}
	if packs < 3 {
		t.Fatalf("%d packs", packs)
	}
	s.write("a", []byte("live"))
	s.write("b", []byte("edited"))
	r, err := s.restoreTo(RestoreOptions{To: s.dir, Overwrite: true})
	if !errors.Is(err, ErrDamaged) || len(r.Problems) != 1 || r.Files != 1 {
		t.Errorf("report %+v, %v", r, err)
	}
	if got := contents(t, s.src); got["a"] != "live" || got["b"] != string(noise(2, 50_000)) || len(got) != 2 {
		t.Errorf("a holds %.20q, b %d bytes, %d files", got["a"], len(got["b"]), len(got))
	}
}

// cancelling is a store that cancels what reads the n-th range of a pack.
type cancelling struct {
	storage.Store
	n      int
	cancel func()
}

func (c *cancelling) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if strings.HasPrefix(name, vault.PacksPrefix) {
		if c.n--; c.n == 0 {
			c.cancel()
		}
	}
	return c.Store.GetRange(ctx, name, offset, length)
}

func TestInterruptedOverwriteLeavesEachFileOldOrNew(t *testing.T) {
	var store *cancelling
	s := newSceneOn(t, func(inner storage.Store) storage.Store {
		store = &cancelling{Store: inner}
		return store
	})
	s.limit = 20_000
	files := map[string][]byte{}
	for n := range uint64(6) {
		files[fmt.Sprintf("d/f%d", n)] = noise(n, 70_000)
	}
	s.put("src", files)
	s.backup(s.data)
	halfway := 0
	for n := 1; ; n++ {
		for name := range files {
			s.write(name, []byte("live"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		s.with(s.data, func(e *Engine) {
			store.n, store.cancel = n, cancel
			_, err = e.Restore(ctx, RestoreOptions{To: s.dir, Overwrite: true})
		})
		cancel()
		noTemporary(t, s.src)
		got := contents(t, s.src)
		for name, want := range files {
			if content, ok := got[name]; !ok || content != "live" && content != string(want) {
				t.Errorf("interrupted at range %d: %s has %d bytes, there %v", n, name, len(content), ok)
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted at range %d: %v", n, err)
		}
		halfway++
	}
	if halfway < 5 {
		t.Errorf("only %d interrupts", halfway)
	}
}
func TestPathGivenTwiceIsRestoredOnce(t *testing.T) {
	s := newScene(t)
	s.put("src", map[string][]byte{"d/f": []byte("f")})
	s.backup(s.data)
	to := filepath.Join(s.dir, "to")
	r, err := s.restoreTo(RestoreOptions{To: to, Paths: []string{"src/d", filepath.Join(s.src, "d"), "src/d/f", "src/d"}})
	want := map[string]string{"d/f": "f", "f": "f"}
	if got := contents(t, to); err != nil || len(r.Problems) != 0 || !maps.Equal(got, want) {
		t.Errorf("restored %q, problems %v, %v", got, r.Problems, err)
	}
}
