package source

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReplaceTakesTheNameOfAFileOfTheSameDirectoryAlone(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	outside := filepath.Join(dir, "outside")
	must(t, tree.Mkdir("d"))
	must(t, tree.Mkdir("d/sub"))
	for path, content := range map[string]string{"outside": "outside", "d/old": "old", "d/new": "new", "d/other": "other"} {
		must(t, os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600))
	}
	must(t, os.Symlink(outside, filepath.Join(dir, "d", "link")))
	for _, c := range [][2]string{{"new", "d/old"}, {"d/new", "old"}, {"d/sub/../new", "d/old"}, {"d/", "d/old"}, {"d/..", "d/old"}, {"d/new", "d/.."}} {
		if err := tree.Replace(c[0], c[1]); !errors.Is(err, ErrName) {
			t.Errorf("%s by %s: %v", c[1], c[0], err)
		}
	}
	if err := tree.Replace("d/new", "d/sub"); err == nil {
		t.Error("a file has replaced a directory")
	}
	must(t, tree.Replace("d/new", "d/old"))
	must(t, tree.Replace("d/other", "d/link"))
	for path, want := range map[string]string{"outside": "outside", "d/old": "new", "d/link": "other"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	names, err := tree.Names("d")
	if want := []string{"link", "old", "sub"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("names %q, %v, want %q", names, err, want)
	}
	if names, err = tree.Names(""); err != nil || !slices.Equal(names, []string{"d", "outside"}) {
		t.Errorf("names at the top %q, %v", names, err)
	}
}
