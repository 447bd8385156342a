package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holm.example/internal/testseed"
)

// scatter makes files and directories of some names below a directory.
func scatter(t *testing.T, random *rand.Rand, dir string, depth int, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		var err error
		switch n := random.IntN(6); {
		case n == 0:
			err = os.Symlink("nowhere", path)
		case n < 3:
			err = os.WriteFile(path, []byte(fmt.Sprint(random.IntN(1000))), 0o644)
		case n < 5 && depth > 0:
			scatter(t, random, path, depth-1, names...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDryRunForeseesWhatTheRestoreDoes(t *testing.T) {
	random := testseed.Rand(t)
	s := newScene(t)
	sources := []string{filepath.Join(s.dir, "1", "a"), filepath.Join(s.dir, "2", "a"), filepath.Join(s.dir, "a~2")}
	for _, src := range sources {
		scatter(t, random, src, 2, "a", "b", "c", "d")
	}
	plant := func(dir string) { // so that something is replaced in any case
		t.Helper()
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "x"), []byte(dir), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	plant(sources[0])
	s.backupOf(sources...)
	actions := map[RestoreAction]int{}
	for n := range 24 {
		o := RestoreOptions{To: filepath.Join(s.dir, fmt.Sprint("to", n)), Overwrite: n%2 == 0}
		switch {
		case n == 2:
			plant(filepath.Join(o.To, "a"))
		case n > 2:
			scatter(t, random, o.To, 3, "a", "a~2", "a~2~2", "b", "c")
		}
		before := ""
		if n > 1 {
			before = fmt.Sprint(image(t, o.To))
		}
		s.with(s.data, func(e *Engine) {
			var steps []RestoreStep
			want, err := e.DryRestore(t.Context(), o, func(step RestoreStep) error {
				steps = append(steps, step)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n > 1 && fmt.Sprint(image(t, o.To)) != before {
				t.Fatal("the dry run has written")
			}
			for _, step := range steps {
				_, err := os.Lstat(step.At)
				if there := step.Action == RestoreReplace || step.Action == RestoreEnter; there != (err == nil) {
					t.Errorf("action %d, %s: %v", step.Action, step.At, err)
				}
				actions[step.Action]++
			}
			got, err := e.Restore(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got.Files != want.Files || got.Directories != want.Directories || got.Others != want.Others || got.Bytes != want.Bytes ||
				got.Renamed != want.Renamed || got.Complete != want.Complete || got.Snapshot.ID != want.Snapshot.ID {
				t.Errorf("restored %+v\nforeseen %+v", got, want)
			}
			if a, b := texts(got.Problems), texts(want.Problems); !slices.Equal(a, b) {
				t.Errorf("problems  %q\nforeseen %q", a, b)
			}
			for _, step := range steps {
				if info, err := os.Lstat(step.At); err != nil || info.Mode().Type() != step.Mode.Type() {
					t.Errorf("%s is not there as foreseen: %v", step.At, err)
				}
			}
		})
	}
	if len(actions) != 4 {
		t.Errorf("not every action was tried: %v", actions)
	}
}

func texts(problems []Problem) (list []string) {
	for _, p := range problems {
		list = append(list, p.Path+": "+p.Err.Error())
	}
	slices.Sort(list)
	return list
}

func TestDryRunRefusesWhatTheRestoreRefuses(t *testing.T) {
	s := newScene(t)
	s.backupOf(s.put("src", map[string][]byte{"f": []byte("f")}))
	s.with(s.data, func(e *Engine) {
		_, err := e.DryRestore(t.Context(), RestoreOptions{To: filepath.Join(s.vault, "in")}, nil)
		if !errors.Is(err, ErrOwnPlace) {
			t.Errorf("into the vault: %v", err)
		}
		_, err = e.DryRestore(t.Context(), RestoreOptions{To: s.dir, Paths: []string{"src/none"}}, nil)
		if !errors.Is(err, ErrNoPath) {
			t.Errorf("of a path that is not there: %v", err)
		}
	})
}

func TestBackupThatIsStoppedKeepsWhatItHasRead(t *testing.T) {
	s := newScene(t)
	files := map[string][]byte{}
	for n := range uint64(40) {
		files[fmt.Sprintf("f%02d", n)] = noise(n, 3000)
	}
	src := s.put("src", files)
	var first BackupReport
	now := time.Now().Add(time.Hour)
	s.at = func() time.Time { // so fast that progress is told at every step
		now = now.Add(200 * time.Millisecond)
		return now
	}
	s.with(s.data, func(e *Engine) {
		stop := make(chan struct{})
		tenth := func(p Progress) {
			if p.Files == 10 && p.Bytes == 10*3000 {
				close(stop)
			}
		}
		var err error
		first, err = e.Backup(t.Context(), BackupOptions{Paths: []string{src}, Stop: stop, Progress: tenth})
		if !errors.Is(err, ErrStopped) || first.Snapshot != "" || first.Files != 10 || first.NewBytes != 10*3000 {
			t.Fatalf("%+v, %v", first, err)
		}
	})
	s.at = nil
	s.ahead = time.Hour
	s.clean(s.data)
	if r := s.backup(s.data); r.Snapshot == "" || r.Files != 40 || r.NewBytes != 30*3000 || r.Unchanged < 9 {
		t.Errorf("first %+v\nthen %+v", first, r)
	}
	sameTrees(t, image(t, src), image(t, s.restore(s.data, "latest")))
}
