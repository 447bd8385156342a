package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"holm.example/engine/backup"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// namesakes makes sources in directories of their own that have one base name.
func (s *scene) namesakes(make func(path string, n int)) (paths []string) {
	s.t.Helper()
	for n, above := range []string{"home", "mnt", "srv"} {
		path := filepath.Join(s.dir, above, "papers")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		make(path, n)
		paths = append(paths, path)
	}
	return paths
}

func (s *scene) backupOf(paths ...string) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) {
		if r, err := e.Backup(s.t.Context(), BackupOptions{Paths: paths}); err != nil || len(r.Problems) > 0 {
			s.t.Fatal(r.Problems, err)
		}
	})
}

// renamed restores and expects that exactly those names got others.
func (s *scene) renamed(to string, overwrite bool, want ...string) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) {
		r, err := e.Restore(s.t.Context(), RestoreOptions{To: to, Overwrite: overwrite})
		if err != nil {
			s.t.Fatal(err)
		}
		var got []string
		for _, p := range r.Problems {
			if !errors.Is(p.Err, ErrRenamed) {
				s.t.Errorf("problem %v", p)
			}
			got = append(got, p.Err.Error())
		}
		for i := range want {
			want[i] = ErrRenamed.Error() + ": " + want[i]
		}
		if !slices.Equal(got, want) {
			s.t.Errorf("problems %q, want %q", got, want)
		}
	})
}

func TestSourcesOfOneBaseNameAreRestoredBesideEachOther(t *testing.T) {
	s := newScene(t)
	paths := s.namesakes(func(path string, n int) {
		s.src = path
		s.write("letter", noise(uint64(n), 1000+n))
		s.write("of "+filepath.Base(filepath.Dir(path)), nil)
		if err := os.Chmod(path, []os.FileMode{0o700, 0o750, 0o755}[n]); err != nil {
			t.Fatal(err)
		}
	})
	s.backupOf(paths...)
	to := filepath.Join(s.dir, "to")
	s.renamed(to, false, "papers~2", "papers~3")
	for i, name := range []string{"papers", "papers~2", "papers~3"} {
		sameTrees(t, image(t, paths[i]), image(t, filepath.Join(to, name)))
	}
	s.renamed(to, true, "papers~2", "papers~3") // what is there is replaced, each by its own
	for i, name := range []string{"papers", "papers~2", "papers~3"} {
		sameTrees(t, image(t, paths[i]), image(t, filepath.Join(to, name)))
	}
}

func TestFilesOfOneBaseNameAreRestoredBesideEachOther(t *testing.T) {
	s := newScene(t)
	paths := s.namesakes(func(path string, n int) {
		s.src = filepath.Dir(path)
		s.write("papers", noise(uint64(n), 1000+n))
		if err := os.Chmod(path, []os.FileMode{0o600, 0o640, 0o644}[n]); err != nil {
			t.Fatal(err)
		}
	})
	third := filepath.Join(s.dir, "else", "papers~2") // a source that has such a name itself
	s.src = filepath.Dir(third)
	s.write("papers~2", []byte("mine"))
	paths = append(paths, third)
	s.backupOf(paths...)
	to := filepath.Join(s.dir, "to")
	s.renamed(to, false, "papers~3", "papers~4")
	for i, name := range []string{"papers", "papers~3", "papers~4", "papers~2"} {
		sameTrees(t, image(t, paths[i]), image(t, filepath.Join(to, name)))
	}
}

// commit commits operations that no scan would make.
func (s *scene) commit(e *Engine, operations ...vault.Operation) {
	s.t.Helper()
	w := &backup.Writer{Vault: e.vault, Catalog: e.catalog, Journal: e.state, Device: e.device, Random: e.random,
		Limits: e.limits, Spool: filepath.Join(e.dataDir, "spool"), Now: e.now}
	problems := []error{w.Begin(s.t.Context())}
	for _, op := range operations {
		problems = append(problems, w.Add(s.t.Context(), op))
	}
	if err := errors.Join(append(problems, w.Commit(s.t.Context()), w.Close())...); err != nil {
		s.t.Fatal(err)
	}
}

// stray commits an entry whose parent nobody has put, and a snapshot.
func (s *scene) stray(sources ...string) {
	s.t.Helper()
	s.backupOf(sources...)
	s.with(s.data, func(e *Engine) {
		list, err := e.catalog.Sources(e.state.Head().Device)
		if err != nil {
			s.t.Fatal(err)
		}
		mark := &vault.Mark{ID: seal.ID{7}, Time: vault.TimeOf(e.now())}
		for _, src := range list {
			mark.Sources = append(mark.Sources, src.ID)
		}
		at := vault.EntryName{Parent: seal.ID{0xab}, Name: "stray"}
		s.commit(e, &vault.Put{EntryName: at, Node: vault.Node{Kind: vault.KindSymlink, Target: "x"}}, mark)
	})
}

func TestLostAndFoundIsRestoredBesideTheSources(t *testing.T) {
	s := newScene(t)
	s.src = filepath.Join(s.dir, "lost+found") // a source of that very name
	s.write("kept", []byte("found"))
	s.stray(s.src)
	to := filepath.Join(s.dir, "to")
	s.renamed(to, false, "lost+found~2")
	sameTrees(t, image(t, s.src), image(t, filepath.Join(to, "lost+found")))
	stray := filepath.Join(to, "lost+found~2", "ab000000000000000000000000000000", "stray")
	if target, err := os.Readlink(stray); err != nil || target != "x" {
		t.Errorf("%q, %v", target, err)
	}
}
