package engine

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/internal/testseed"
)

// A chronicle is a device whose source changed between its backups, and what
// each of them saw.
type chronicle struct {
	*scene
	ids  []string
	seen []map[string]string // by snapshot: path below the source → kind and content
}

// newChronicle makes one of some snapshots.
func newChronicle(t *testing.T, random *rand.Rand, snapshots int) *chronicle {
	t.Helper()
	c := &chronicle{scene: newScene(t)}
	names := []string{"a", "b", "b/c", "b/d", "b/d/e", "b/d/f", "g", "é", "z z"}
	for n := range snapshots {
		for range 1 + random.IntN(4) {
			path := filepath.Join(c.src, names[random.IntN(len(names))])
			if parent, _ := os.Lstat(filepath.Dir(path)); parent == nil || !parent.IsDir() {
				continue
			}
			err := os.RemoveAll(path)
			if err != nil {
				t.Fatal(err)
			}
			switch random.IntN(5) {
			case 0:
				err = os.Mkdir(path, 0o755)
			case 1:
				err = os.Symlink(fmt.Sprint(random.IntN(3)), path)
			case 2: // gone
			default:
				err = os.WriteFile(path, []byte(fmt.Sprint("content ", random.IntN(3))), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c.ahead = time.Duration(n) * time.Hour
		c.ids = append(c.ids, c.backup(c.data).Snapshot)
		c.seen = append(c.seen, c.look())
	}
	return c
}

// look is what is in the source now.
func (c *chronicle) look() map[string]string {
	all := map[string]string{}
	for rel := range image(c.t, c.src) {
		path := filepath.Join(c.src, rel)
		info, err := os.Lstat(path)
		if err != nil {
			c.t.Fatal(err)
		}
		text := info.Mode().Type().String()
		if info.Mode().IsRegular() {
			b, _ := os.ReadFile(path)
			text += string(b)
		}
		target, _ := os.Readlink(path)
		all[filepath.ToSlash(path)] = text + target
	}
	return all
}

func TestDiffNamesWhatDiffersAndNothingElse(t *testing.T) {
	random := testseed.Rand(t)
	c := newChronicle(t, random, 12)
	c.with(c.data, func(e *Engine) {
		for range 40 {
			from, to := random.IntN(len(c.ids)), random.IntN(len(c.ids))
			want := map[string]ChangeKind{}
			for path, text := range c.seen[to] {
				switch was, ok := c.seen[from][path]; {
				case !ok:
					want[path] = Added
				case was[:1] != text[:1]:
					want[path] = TypeChanged
				case was != text:
					want[path] = Modified
				}
			}
			for path := range c.seen[from] {
				if _, ok := c.seen[to][path]; !ok {
					want[path] = Removed
				}
			}
			got, last := map[string]ChangeKind{}, ""
			before, after, err := e.Diff(t.Context(), DiffOptions{Old: c.ids[from], New: c.ids[to]}, func(ch Change) error {
				entry := ch.New
				if entry == nil {
					entry = ch.Old
				}
				if ch.Kind == Metadata && entry.Mode.Type() == 0 || ch.Kind == Metadata && entry.Mode.Type() == os.ModeSymlink {
					return nil // rewritten as it was
				}
				got[entry.Path] = ch.Kind
				if order := strings.ReplaceAll(entry.Path, "/", "\x00"); order <= last {
					t.Errorf("%q comes behind %q", entry.Path, last)
				} else {
					last = order
				}
				return nil
			})
			if err != nil || before.ID != c.ids[from] || after.ID != c.ids[to] || !maps.Equal(got, want) {
				t.Fatalf("from %d to %d: %v\ngot  %v\nwant %v", from, to, err, got, want)
			}
		}
	})
}

func TestDiffPairsSourcesOfTwoDevicesByNameAndPathsThatAreAsked(t *testing.T) {
	s := newScene(t)
	other := filepath.Join(s.dir, "other")
	if _, err := join(t.Context(), s.options(other), same); err != nil {
		t.Fatal(err)
	}
	s.backupOf(s.put("ann/docs", map[string][]byte{"deep/same": []byte("same"), "deep/old": []byte("old"), "x": []byte("1")}))
	bob := s.put("bob/docs", map[string][]byte{"deep/same": []byte("same"), "deep/new": []byte("new"), "x": []byte("2")})
	s.with(other, func(e *Engine) {
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{bob}}); err != nil {
			t.Fatal(err)
		}
		list, err := e.Snapshots(t.Context())
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		for path, want := range map[string]string{
			"": "- old, + new, M x", "docs/deep": "- old, + new", "docs/x": "M x", "docs/deep/new": "+ new", "docs/deep/old": "- old", "docs/none": "",
		} {
			var got []string
			_, _, err := e.Diff(t.Context(), DiffOptions{Old: list[0].ID, New: list[1].ID, Path: path}, func(c Change) error {
				entry := c.New
				if entry == nil {
					entry = c.Old
				}
				got = append(got, map[ChangeKind]string{Added: "+", Removed: "-", Modified: "M"}[c.Kind]+" "+filepath.Base(entry.Path))
				return nil
			})
			slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(strings.Trim(a, "-M "), strings.Trim(b, "-M ")) })
			if path == "docs/none" {
				if !errors.Is(err, ErrNoPath) {
					t.Errorf("a path that neither has: %v", err)
				}
				continue
			}
			slices.Sort(got)
			wanted := strings.Split(want, ", ")
			slices.Sort(wanted)
			if err != nil || !slices.Equal(got, wanted) {
				t.Errorf("%q: %q, want %q, %v", path, got, wanted, err)
			}
		}
	})
}

func TestFindGivesEachStateOnceWithTheSnapshotsThatHaveIt(t *testing.T) {
	c := newChronicle(t, testseed.Rand(t), 15)
	c.with(c.data, func(e *Engine) {
		got := make([]map[string]bool, len(c.ids))
		for i := range got {
			got[i] = map[string]bool{}
		}
		err := e.Find(t.Context(), FindOptions{All: true, Fits: func(*Entry) bool { return true }}, func(m Match) error {
			if !slices.IsSortedFunc(m.Snapshots, func(a, b string) int { return slices.Index(c.ids, a) - slices.Index(c.ids, b) }) {
				t.Errorf("%s is in %v, in this order", m.Path, m.Snapshots)
			}
			for _, id := range m.Snapshots {
				i := slices.Index(c.ids, id)
				if got[i][m.Path] {
					t.Errorf("%s is given twice for snapshot %d", m.Path, i)
				}
				got[i][m.Path] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		totals, err := e.SnapshotTotals(t.Context())
		if err != nil || len(totals) != len(c.ids) {
			t.Fatalf("totals of %d snapshots, %v", len(totals), err)
		}
		for i, want := range c.seen {
			single := map[string]bool{}
			err := e.Find(t.Context(), FindOptions{At: c.ids[i], Fits: func(*Entry) bool { return true }}, func(m Match) error {
				single[m.Path] = slices.Equal(m.Snapshots, c.ids[i:i+1])
				return nil
			})
			var sum Totals
			for path, text := range want {
				if !got[i][path] || !single[path] {
					t.Errorf("snapshot %d: %s: found among all %v, in it %v", i, path, got[i][path], single[path])
				}
				switch text[:1] {
				case "-":
					sum.Files++
					sum.Bytes += int64(len(text) - len("----------"))
				case "d":
					sum.Directories++
				default:
					sum.Others++
				}
			}
			if err != nil || len(got[i]) != len(want) || len(single) != len(want) || totals[c.ids[i]] != sum {
				t.Errorf("snapshot %d: %d, %d of %d entries, %+v, want %+v, %v", i, len(got[i]), len(single), len(want), totals[c.ids[i]], sum, err)
			}
		}
	})
}
