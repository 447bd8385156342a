package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// namesIn are the names of what a directory has.
func namesIn(d *Dir) (names []string, err error) {
	for e, err := range d.All() {
		if err != nil {
			return names, err
		}
		names = append(names, e.Name)
	}
	return names, nil
}

// few is how many names memory should hold in these tests.
const few = 1000

// huge makes a directory with more names than memory should hold, and returns
// them in their order.
func huge(t *testing.T) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	for i := range 3000 {
		name := fmt.Sprintf("%x-%s", int64(i)*2654435761%1_000_003, strings.Repeat("n", i%40))
		names = append(names, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil { // wine lists no links
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	return dir, names
}

func TestNamesOfAHugeDirectoryComeInOrderAndAreNotAllInMemory(t *testing.T) {
	dir, want := huge(t)
	d, spool := openDir(t, dir), t.TempDir()
	var got []string
	for e, err := range d.all(&lot{spool: spool, most: few}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.Name); len(got) == 1 {
			if files, _ := os.ReadDir(spool); len(files) != 1 {
				t.Errorf("%d files in the spool, want 1", len(files))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d names, want %d in their order", len(got), len(want))
	}
	if files, _ := os.ReadDir(spool); len(files) != 0 {
		t.Errorf("%d files are left in the spool", len(files))
	}
	n := openDir(t, dir).listNames(&lot{spool: spool, most: few})
	defer n.close()
	if len(n.held) >= few || len(n.ends) != 2 {
		t.Errorf("%d names in memory, %d runs in the file", len(n.held), len(n.ends))
	}
}

func TestHugeDirectoryWhoseNamesHaveNoRoomInTheSpoolIsSeenWhole(t *testing.T) {
	dir, want := huge(t)
	var got []string
	for e, err := range openDir(t, dir).all(&lot{spool: filepath.Join(t.TempDir(), "missing"), most: few}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d names, want %d in their order", len(got), len(want))
	}
}

func TestNamesThatTheDiskLosesEndTheListWithAnError(t *testing.T) {
	dir, want := huge(t)
	for _, part := range []int64{4, 3, 1} { // also what stands in no buffer yet
		lose(t, dir, want, part)
	}
}

// lose cuts the file of the names to a part before they are merged.
func lose(t *testing.T, dir string, want []string, part int64) {
	t.Helper()
	n := openDir(t, dir).listNames(&lot{spool: t.TempDir(), most: few})
	defer n.close()
	if err := n.file.Truncate(n.ends[len(n.ends)-1] * part / 5); err != nil {
		t.Fatal(err)
	}
	got := 0
	for {
		name, err := n.next()
		if err != nil {
			if got >= len(want) || !strings.Contains(err.Error(), "sorted names") {
				t.Errorf("after %d names: %v", got, err)
			}
			return
		}
		if name != want[got] {
			t.Fatalf("name %d is %q, want %q", got, name, want[got])
		}
		got++
	}
}
