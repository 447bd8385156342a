package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"holm.example/engine/backup"
	"holm.example/engine/restore"
)

func TestProblemsOfABackupAreToldAtOnceAllAreCountedAndTheFirstKept(t *testing.T) {
	const many = backup.MaxProblems + 100
	s := newScene(t)
	var paths []string
	for i := range many {
		paths = append(paths, filepath.Join(s.dir, fmt.Sprintf("missing-%d", i)))
	}
	var told []string
	s.with(s.data, func(e *Engine) {
		r, err := e.Backup(t.Context(), BackupOptions{Paths: append(paths, s.src), Problem: func(p Problem) {
			if told = append(told, p.Path); len(told) == 1 {
				s.write("while it runs", []byte("x")) // the scan comes to it later
			}
		}})
		if err != nil || r.Files != 1 || r.ProblemCount != many || r.Unreadable != many {
			t.Errorf("report of %d files, %d problems, %d unreadable, %v", r.Files, r.ProblemCount, r.Unreadable, err)
		}
		if len(told) != many || told[many-1] != paths[many-1] || len(r.Problems) != backup.MaxProblems {
			t.Errorf("%d problems told, %d kept", len(told), len(r.Problems))
		}
	})
}

func TestProblemsOfARestoreAreToldAtOnceAllAreCountedAndTheFirstKept(t *testing.T) {
	const many = restore.MaxProblems + 100
	s := newScene(t)
	to := filepath.Join(s.dir, "to")
	for i := range many {
		name := fmt.Sprint(i)
		s.write(name, []byte(name))
		if err := os.MkdirAll(filepath.Join(to, "src", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.backup(s.data)
	o := RestoreOptions{To: to, Overwrite: true}
	for _, dry := range []bool{true, false} {
		told := 0
		o.Problem = func(p Problem) {
			if told++; !errors.Is(p.Err, ErrRenamed) || filepath.Dir(p.Path) != filepath.Join(to, "src") {
				t.Errorf("problem %q: %v", p.Path, p.Err)
			}
			if told == 1 {
				if made, err := filepath.Glob(filepath.Join(to, "src", "*~2")); err != nil || len(made) == many {
					t.Errorf("it is told when everything is done, %v", err)
				}
			}
		}
		s.with(s.data, func(e *Engine) {
			do := e.Restore
			if dry {
				do = func(ctx context.Context, o RestoreOptions) (RestoreReport, error) {
					return e.DryRestore(ctx, o, func(RestoreStep) error { return nil })
				}
			}
			r, err := do(t.Context(), o)
			if err != nil || r.ProblemCount != many || r.Renamed != many || told != many || len(r.Problems) != restore.MaxProblems {
				t.Errorf("%d problems, %d renamed, %d told, %d kept, %v", r.ProblemCount, r.Renamed, told, len(r.Problems), err)
			}
		})
	}
}
