package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// wideTree has more directories, all without directories of their own, than a
// walk may have open, and more entries than are listed ahead.
func wideTree(t *testing.T) string {
	dir := t.TempDir()
	for i := range 400 {
		name := fmt.Sprintf("d%03d", i)
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		put(t, dir, name+"/f", "x")
	}
	return dir
}

// handles are the directories of a tree that this process has open.
func handles(t *testing.T, tree string) (n int) {
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range list {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, tree) {
			n++
		}
	}
	return n
}

// handleCount is a visitor that counts the open directories of the tree.
type handleCount struct {
	record
	t    *testing.T
	tree string
	most int
}

func (c *handleCount) Visit(dir *Dir, path string, e Entry) error {
	c.most = max(c.most, handles(c.t, c.tree))
	return c.record.Visit(dir, path, e)
}

func TestWalkHoldsFewDirectoriesOpenHoweverManyThereAre(t *testing.T) {
	c := &handleCount{t: t, tree: wideTree(t)}
	must(t, Walk(context.Background(), c.tree, "", c))
	// The start, those that are done with, one that is entered, one that is
	// being listed, and those of a batch that were left behind.
	if limit := doneUnseen + 4; c.most > limit || c.most < 2 {
		t.Errorf("%d directories were open at once, want at most %d", c.most, limit)
	}
	if len(c.lines) != 400*3+2 || c.problems != nil {
		t.Errorf("%d steps, problems %q", len(c.lines), c.problems)
	}
}

func TestWalkClosesEveryDirectoryHoweverItEnds(t *testing.T) {
	tree := wideTree(t)
	ends := map[string]struct {
		v    *record
		want error
	}{
		"to the end":         {&record{}, nil},
		"with a skip":        {&record{skip: "d010"}, nil},
		"with an error":      {&record{stopAt: "d100/f"}, errStop},
		"with the first":     {&record{stopAt: "d000/f"}, errStop},
		"with the very last": {&record{stopAt: "d399/f"}, errStop},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			if err := Walk(context.Background(), tree, "", end.v); !errors.Is(err, end.want) {
				t.Errorf("the walk ended with %v, want %v", err, end.want)
			}
			if n := handles(t, tree); n != 0 {
				t.Errorf("%d directories are still open", n)
			}
		})
	}
}

// impatient is a visitor that ends the walk at its first entry, once the
// lister is within a directory further on.
type impatient struct {
	record
	t    *testing.T
	late string
}

func (v *impatient) Visit(*Dir, string, Entry) error {
	for handles(v.t, v.late) == 0 {
		runtime.Gosched()
	}
	return errStop
}

func TestWalkThatEndsEarlyTakesNoDirectoryAwayThatIsBeingListed(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "x")
	late := filepath.Join(dir, "b")
	must(t, os.Mkdir(late, 0o755))
	for i := range 3000 {
		put(t, late, fmt.Sprintf("f%04d", i), "")
	}
	// Closing it meanwhile is a race, which the race detector sees.
	if err := Walk(context.Background(), dir, "", &impatient{t: t, late: late}); !errors.Is(err, errStop) {
		t.Errorf("the walk ended with %v", err)
	}
	if n := handles(t, dir); n != 0 {
		t.Errorf("%d directories are still open", n)
	}
}

func TestWalkEntersADirectoryDeeperThanItMayBeAhead(t *testing.T) {
	dir := t.TempDir()
	deep := strings.TrimSuffix(strings.Repeat("d/", 3*doneUnseen), "/")
	must(t, os.MkdirAll(filepath.Join(dir, deep), 0o755))
	var r record
	must(t, Walk(context.Background(), dir, "", &r))
	if want := 2 * (3*doneUnseen + 1); len(r.lines) != want {
		t.Errorf("%d steps, want %d", len(r.lines), want)
	}
}
