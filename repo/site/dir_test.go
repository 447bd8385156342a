package site_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/repo/site"
)

func TestAnAliasReplacesARealDirectory(t *testing.T) {
	dir := t.TempDir()
	d := site.OpenDir(dir)
	put(t, d, "yum/r/1/repodata/repomd.xml", "one")
	put(t, d, "yum/r/2/repodata/repomd.xml", "two")
	// As a copy without links has it.
	put(t, d, "yum/r/current/repodata/repomd.xml", "one")
	if err := d.Alias(context.Background(), "yum/r/current", "yum/r/2"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, d.Open, "yum/r/current/repodata/repomd.xml"); got != "two" {
		t.Errorf("the alias holds %q", got)
	}
	if got := read(t, d.Open, "yum/r/1/repodata/repomd.xml"); got != "one" {
		t.Errorf("its origin holds %q", got)
	}
	left, err := os.ReadDir(filepath.Join(dir, "yum", "r"))
	if err != nil || len(left) != 3 {
		t.Errorf("%v, %v", left, err)
	}
}

// names lists everything below a directory.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
		all = append(all, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatAKilledPublisherLeftGoesWithTheNextLock(t *testing.T) {
	dir := t.TempDir()
	d := site.OpenDir(dir)
	put(t, d, "yum/r/1/a", "x")
	put(t, d, "publish/lock", "")
	want := names(t, dir)
	put(t, d, "yum/r/.holm-alias-current/a", "a copy that was exchanged for its link")
	put(t, d, "yum/.holm-0123456789abcdef.tmp", "half a fi")
	if err := os.Symlink("r/1", filepath.Join(dir, "yum", ".holm-alias-x")); err != nil {
		t.Fatal(err)
	}
	unlock, err := d.Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if got := names(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("left %v, want %v", got, want)
	}
}

// A halted body ends the work in the middle of a file, as a kill would, by
// showing what stands on the disk just then.
type halted struct{ look func() }

func (h halted) Read([]byte) (int, error) { h.look(); return 0, errTorn }

func TestAFileThatIsBeingWrittenHasATemporaryNameThatTheSweepKnows(t *testing.T) {
	dir := t.TempDir()
	d := site.OpenDir(dir)
	looked := false
	err := d.Put(context.Background(), "a", halted{func() {
		before := names(t, dir)
		unlock, err := d.Lock(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		unlock()
		after := names(t, dir)
		looked = len(before) == 2 && strings.HasPrefix(before[1], ".holm-") && strings.Join(after, " ") == ". publish publish/lock"
		if !looked {
			t.Errorf("before the lock %v, after it %v", before, after)
		}
	}})
	if !errors.Is(err, errTorn) || !looked {
		t.Errorf("put: %v", err)
	}
}
