package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

const lures = 150

// swapper puts symbolic links to the entries of outside in the place of the
// entries of dir that have those names, one after the other, for a moment
// each, until it is stopped. swaps counts up.
func swapper(dir, outside, name string, stop <-chan struct{}, swaps *atomic.Int64) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		at := fmt.Sprintf(name, i%lures)
		entry := filepath.Join(dir, at)
		aside := entry + ".aside"
		if os.Rename(entry, aside) != nil {
			continue // not made yet
		}
		if os.Symlink(filepath.Join(outside, at), entry) == nil {
			swaps.Add(1)
			for range 20 { // about as long as the restore of a file takes
				_, _ = os.Lstat(entry)
			}
			_ = os.Remove(entry)
		}
		_ = os.Rename(aside, entry)
	}
}

// tempting makes a tree of directories and files that a restore writes, with
// attributes and modes of all kinds, more of them than are held open.
func tempting(t *testing.T, s *scene) {
	t.Helper()
	for i := range lures {
		s.write(fmt.Sprintf("d/%03d/e/leaf", i), noise(uint64(i), 3000))
		s.write(fmt.Sprintf("d/%03d/two", i), noise(uint64(i), 300))
		leaf := filepath.Join(s.src, fmt.Sprintf("d/%03d/e/leaf", i))
		if err := errors.Join(unix.Chmod(leaf, 0o4755), unix.Setxattr(leaf, "user.holm", []byte("x"), 0),
			os.Link(leaf, filepath.Join(s.src, fmt.Sprintf("d/%03d/link", i)))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestoreIsNotLedOutsideByLinksThatTakeThePlaceOfDirectories(t *testing.T) {
	s := newScene(t)
	tempting(t, s)
	s.backup(s.data)
	outside := filepath.Join(s.dir, "outside")
	for i := range lures {
		for _, name := range []string{"e/leaf", "two"} {
			path := filepath.Join(outside, fmt.Sprintf("%03d", i), name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o711), os.WriteFile(path, []byte("do not touch"), 0o604)); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := looked(t, s.dir+"/outside")
	var swaps atomic.Int64
	for i, name := range []string{"%03d", "%03d/e", "%03d/two", "%03d/e/leaf"} {
		to := filepath.Join(s.dir, fmt.Sprint("to", i))
		for round := range 4 {
			var group sync.WaitGroup
			stop := make(chan struct{})
			group.Go(func() { swapper(filepath.Join(to, "src", "d"), outside, name, stop, &swaps) })
			// What it says does not matter here: links in the way are problems.
			_, err := s.restoreTo(RestoreOptions{To: to, Overwrite: round > 0})
			close(stop)
			group.Wait()
			if err != nil {
				t.Logf("%s, round %d: %v", name, round, err)
			}
		}
	}
	t.Logf("%d swaps", swaps.Load())
	if swaps.Load() < 100 {
		t.Fatalf("only %d swaps: nothing was tried", swaps.Load())
	}
	sameTrees(t, before, looked(t, outside))
}
