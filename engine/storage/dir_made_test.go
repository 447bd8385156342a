package storage

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestDirectoriesThatAreThereAreSyncedOnce: whoever made them may have been
// killed before the sync, and a Put that returns nil promises the way too.
func TestDirectoriesThatAreThereAreSyncedOnce(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "packs", "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	mkdir := d.mkdir
	d.mkdir = func(dir string, perm fs.FileMode) error {
		rel, _ := filepath.Rel(root, dir)
		asked = append(asked, filepath.ToSlash(rel))
		return mkdir(dir, perm)
	}
	put := func(name string) {
		t.Helper()
		if err := d.Put(t.Context(), name, Body([]byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	put("packs/d/1")
	put("packs/d/2")
	put("packs/e/1")
	put("vault.json")
	if want := []string{"packs", "packs/d", "packs/e"}; !slices.Equal(asked, want) {
		t.Errorf("made sure of %q, want each of %q once", asked, want)
	}
}

func TestDirectoryThatIsRemovedMeanwhileIsMadeAgain(t *testing.T) {
	root := t.TempDir()
	d, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "keys/a", Body(nil)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(root, "keys")); err != nil {
		t.Fatal(err)
	}
	// The first Put finds out, and may be done again.
	if err := d.Put(t.Context(), "keys/b", Body(nil)); err == nil {
		t.Error("an object was put into a directory that is not there")
	}
	if err := d.Put(t.Context(), "keys/b", Body(nil)); err != nil {
		t.Errorf("the second Put: %v", err)
	}
}
