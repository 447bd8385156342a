package source

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What stands here goes to the kernel by address and number, where no compiler
// looks any more: docs/boundaries.md.
func TestTimesWithHostileNamesAndNumbersChangeNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "file", "x")
	old := time.Unix(1_000_000_000, 0)
	var names []string
	for _, name := range []string{"file", "."} {
		path := filepath.Join(dir, name)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		names = append(names, path)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(f.Fd())
	good := Time{Seconds: 1_500_000_000, Nanoseconds: 5}
	for what, c := range map[string]struct {
		fd   int
		name string
		time Time
		want error
	}{
		"a NUL within the name":    {fd, "file\x00", good, unix.EINVAL},
		"a NUL at the beginning":   {fd, "\x00file", good, unix.EINVAL},
		"a name that is too long":  {fd, strings.Repeat("n", 1<<20), good, unix.ENAMETOOLONG},
		"a name that is not there": {fd, "none", good, unix.ENOENT},
		"nanoseconds of a second":  {fd, "file", Time{1, 1_000_000_000}, unix.EINVAL},
		"what the kernel calls now": {fd, "file", Time{1, unix.UTIME_NOW},
			unix.EINVAL},
		"what the kernel calls as it is": {fd, "file", Time{1, unix.UTIME_OMIT}, unix.EINVAL},
		"now, of the open file":          {fd, "", Time{1, unix.UTIME_NOW}, unix.EINVAL},
		"the most nanoseconds":           {fd, "", Time{1, math.MaxUint32}, unix.EINVAL},
		"no file":                        {-1, "", good, unix.EBADF},
		"no directory":                   {1 << 30, "file", good, unix.EBADF},
	} {
		if err := utimes(c.fd, c.name, c.time); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	for _, path := range names {
		info, err := os.Stat(path)
		if err != nil || !info.ModTime().Equal(old) {
			t.Errorf("%s has another time: %v, %v", path, info.ModTime(), err)
		}
	}
	if err := utimes(fd, "file", good); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(names[0]); err != nil || info.ModTime().UnixNano() != 1_500_000_000_000_000_005 {
		t.Errorf("%v, %v", info.ModTime(), err)
	}
}
