package engine

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alike makes a tree of names that are one name to many a file system, or
// none at all, each with a content of its own.
func alike(t *testing.T, s *scene) {
	t.Helper()
	for i, name := range []string{"Case", "case", "CASE", "Dir/leaf", "dir/leaf", "dir/Leaf", "DIR/below/leaf", "caf\u00e9", "cafe\u0301", "CAF\u00c9",
		"caf\xe9", "caf\xe8", "a:b", "what?", "what*", "dot.", "dot", "blank ", "CON", "nul.txt", "back\\slash", "tab\there", "stra\u00dfe", "STRASSE",
		strings.Repeat("n", 255), strings.Repeat("N", 255), strings.Repeat("\u00e9", 127), "case~2"} {
		s.write(name, noise(uint64(i), 900+i))
	}
	if err := errors.Join(os.Link(filepath.Join(s.src, "dot"), filepath.Join(s.src, "linked")), os.Link(filepath.Join(s.src, "dot"), filepath.Join(s.src, "Linked"))); err != nil {
		t.Fatal(err)
	}
}

// foldingTargets are directories that do not tell names apart, by the file
// system that makes them, or that do not take all.
var foldingTargets = map[string]func(t *testing.T) string{
	"vfat": func(t *testing.T) string { return mounted(t, "vfat", imageOf(t, "vfat", 32<<20), "utf8=1") },
	"exfat": func(t *testing.T) string {
		image := imageOf(t, "exfat", 32<<20)
		if _, err := exec.LookPath("mount.exfat-fuse"); err == nil {
			return mounted(t, "exfat-fuse", image)
		}
		return mounted(t, "exfat", image)
	},
	"ntfs": func(t *testing.T) string {
		return mounted(t, "lowntfs-3g", imageOf(t, "ntfs", 32<<20, "-F", "-Q"), "ignore_case", "windows_names")
	},
	"ext4 casefold": func(t *testing.T) string {
		return folded(t, mounted(t, "ext4", imageOf(t, "ext4", 64<<20, "-q", "-O", "casefold")))
	},
	"tmpfs casefold": func(t *testing.T) string { return folded(t, mounted(t, "tmpfs", "", "casefold")) },
}

// folded makes a directory that folds case and normalizes.
func folded(t *testing.T, dir string) string {
	t.Helper()
	dir = filepath.Join(dir, "folded")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chattr", "+F", dir).CombinedOutput(); err != nil {
		t.Fatalf("chattr +F: %v\n%s", err, out)
	}
	return dir
}

func TestRestoreWhereNamesFoldLosesNothing(t *testing.T) {
	for fsType, target := range foldingTargets {
		t.Run(fsType, func(t *testing.T) {
			to := target(t)
			s := newScene(t)
			alike(t, s)
			s.backupOf(s.src)
			want := slices.Sorted(maps.Values(contents(t, s.src)))
			for _, o := range []RestoreOptions{{To: filepath.Join(to, "new")}, {To: filepath.Join(to, "over"), Overwrite: true}, {To: filepath.Join(to, "over"), Overwrite: true}} {
				if strings.Contains(fsType, "casefold") {
					_ = os.Mkdir(o.To, 0o755)
				}
				r, err := s.restoreTo(o)
				if err != nil {
					t.Fatal(err)
				}
				got := contents(t, o.To)
				all := slices.Sorted(maps.Values(got))
				if missing := lacking(want, all); missing > 0 {
					t.Errorf("of %d contents %d are not there: %q, problems %v", len(want), missing, slices.Sorted(maps.Keys(got)), r.Problems)
				}
				if r.Renamed == 0 || int(r.Renamed) > len(r.Problems) {
					t.Errorf("%d were renamed, problems %v", r.Renamed, r.Problems)
				}
				noTemporary(t, o.To)
			}
		})
	}
}

// lacking is how many elements of want are not in got, both sorted.
func lacking(want, got []string) (n int) {
	for _, w := range want {
		if _, ok := slices.BinarySearch(got, w); !ok {
			n++
		}
	}
	return n
}
