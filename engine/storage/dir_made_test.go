package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	if err := d.Put(t.Context(), "keys/b", Body(nil)); err != nil {
		t.Errorf("Put into a directory that is gone: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(root, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := d.Overwrite(t.Context(), "keys/b", Body(nil)); err != nil {
		t.Errorf("Overwrite in a directory that is gone: %v", err)
	}
	if got, err := d.Get(t.Context(), "keys/b", 1); err != nil || len(got) != 0 {
		t.Errorf("it holds %q, %v", got, err)
	}
}

// taking takes away the file that a Put is writing when it has read the body.
type taking struct {
	t    *testing.T
	dir  string
	left int
}

func (r *taking) ReadAt(b []byte, at int64) (int, error) {
	list, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.left > 0 && len(list) > 0 {
		r.left--
		for _, e := range list {
			if err := os.Remove(filepath.Join(r.dir, e.Name())); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return strings.NewReader("content").ReadAt(b, at)
}

// A copy of this machine tidies up what it takes for left by a killed Put.
func TestPutWhoseTemporaryFileIsTakenAwayBeginsAgain(t *testing.T) {
	root := t.TempDir()
	d, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	body := &taking{t, filepath.Join(root, "keys"), 1}
	if err := d.Put(t.Context(), "keys/a", io.NewSectionReader(body, 0, 7)); err != nil || body.left > 0 {
		t.Errorf("Put: %v", err)
	}
	if got, err := d.Get(t.Context(), "keys/a", 7); err != nil || string(got) != "content" {
		t.Errorf("it holds %q, %v", got, err)
	}
	if body.left = putAttempts; d.Put(t.Context(), "keys/b", io.NewSectionReader(body, 0, 7)) == nil {
		body.t.Error("a Put succeeds although its file goes each time")
	}
}

// The disk is unmounted in a run, and its mount point stays: an empty directory of another disk.
func TestNothingIsMadeInTheMountPointOfADiskThatIsGone(t *testing.T) {
	root := filepath.Join(t.TempDir(), "disk")
	d, err := CreateDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "packs/d/1", Body(nil)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(root, root+"-unmounted"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	d.device = func(info fs.FileInfo) uint64 { return device(info) + 1 }
	for _, name := range []string{"packs/d/2", "devices/d/journal/000000000000/0001"} {
		for what, do := range map[string]func(context.Context, string, *io.SectionReader) error{"Put": d.Put, "Overwrite": d.Overwrite} {
			if err := do(t.Context(), name, Body(nil)); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNotFound) {
				t.Errorf("%s %s: %v, want ErrUnreachable", what, name, err)
			}
		}
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}
