package packaging_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/packaging"
)

func readSource(dir string, o packaging.SourceOptions) (*packaging.Source, error) {
	return packaging.ReadSource(context.Background(), dir, o)
}

func TestTheVersionCountsCommits(t *testing.T) {
	dir := t.TempDir()
	toySource(t, dir)
	for _, want := range []string{"0.3.1", "0.3.2"} {
		s, err := readSource(dir, packaging.SourceOptions{})
		if err != nil || s.Version != want || s.Dirty {
			t.Errorf("version %+v, %v, want %s", s, err, want)
		}
		gitIn(t, dir, "commit", "-q", "--allow-empty", "-m", "Another")
	}
}

func TestChangesThatNoCommitHasAreRefusedOrNamed(t *testing.T) {
	dir := t.TempDir()
	toySource(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "untracked.go"), []byte("package main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSource(dir, packaging.SourceOptions{}); !errors.Is(err, packaging.ErrDirty) || !strings.Contains(err.Error(), "untracked.go") {
		t.Errorf("error %v, want ErrDirty that names the file", err)
	}
	s, err := readSource(dir, packaging.SourceOptions{AllowDirty: true})
	if err != nil || !s.Dirty || !strings.HasSuffix(s.Commit, "-dirty") {
		t.Errorf("source %+v, %v", s, err)
	}
}

func TestAShallowCloneCannotBeCounted(t *testing.T) {
	dir, clone := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	toySource(t, dir)
	gitIn(t, dir, "commit", "-q", "--allow-empty", "-m", "Another")
	gitIn(t, dir, "clone", "-q", "--depth", "1", "file://"+filepath.ToSlash(dir), clone)
	if _, err := readSource(clone, packaging.SourceOptions{}); !errors.Is(err, packaging.ErrShallow) {
		t.Errorf("error %v, want ErrShallow", err)
	}
	if s, err := readSource(clone, packaging.SourceOptions{Version: "1.2.3"}); err != nil || s.Version != "1.2.3" {
		t.Errorf("with a version: %+v, %v", s, err)
	}
}

func TestAFolderWithoutGitHasNoVersion(t *testing.T) {
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	if _, err := readSource(t.TempDir(), packaging.SourceOptions{}); !errors.Is(err, packaging.ErrNoGit) {
		t.Errorf("no work tree: %v, want ErrNoGit", err)
	}
	dir := t.TempDir()
	toySource(t, dir)
	t.Setenv("PATH", t.TempDir())
	if _, err := readSource(dir, packaging.SourceOptions{}); !errors.Is(err, packaging.ErrNoGit) {
		t.Errorf("no git: %v, want ErrNoGit", err)
	}
}

func TestVersionsAreThreeNumbers(t *testing.T) {
	for _, good := range []string{"0.0.0", "0.1.123", "12.345.999999"} {
		if err := packaging.CheckVersion(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.1000000", "1.2.3\n", " 1.2.3", "-1.2.3", "1..3"} {
		if err := packaging.CheckVersion(bad); !errors.Is(err, packaging.ErrVersion) {
			t.Errorf("%q: %v, want ErrVersion", bad, err)
		}
	}
	dir := t.TempDir()
	toySource(t, dir)
	if _, err := readSource(dir, packaging.SourceOptions{Version: "1.2"}); !errors.Is(err, packaging.ErrVersion) {
		t.Errorf("--version 1.2: %v, want ErrVersion", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSource(dir, packaging.SourceOptions{AllowDirty: true}); !errors.Is(err, packaging.ErrVersion) {
		t.Errorf("VERSION of one word: %v, want ErrVersion", err)
	}
}
