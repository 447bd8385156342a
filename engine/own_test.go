package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/engine/backup"
)

func TestVaultAndDataDirectoryAreLeftOutUnderAnySpelling(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("x"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(s.dir), link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	s.src = filepath.Join(link, filepath.Base(s.dir))
	for range 2 {
		if r := s.backup(s.data); r.Files != 1 {
			t.Errorf("%d files, want the one that is neither in the vault nor in the data directory", r.Files)
		}
	}
	s.with(s.data, func(e *Engine) {
		err := e.List(t.Context(), ListOptions{Recursive: true}, func(entry Entry) error {
			if name := filepath.Base(entry.Path); name == "vault.json" || strings.HasPrefix(name, "state.") || strings.HasPrefix(name, "pack-") {
				t.Errorf("%s was backed up", entry.Path)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestSourceWithinTheVaultOrTheDataDirectoryIsRefused(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("x"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(s.vault, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	inside := []string{s.vault, s.data, filepath.Join(s.vault, "keys"), filepath.Join(link, "devices"), filepath.Join(link, "vault.json"),
		filepath.Join(s.data, "state.1")}
	s.with(s.data, func(e *Engine) {
		r, err := e.Backup(t.Context(), BackupOptions{Paths: append([]string{s.src}, inside...)})
		if err != nil || r.Files != 1 || len(r.Problems) != len(inside) {
			t.Fatalf("report %+v, %v", r, err)
		}
		for i, p := range r.Problems {
			if p.Path != inside[i] || !errors.Is(p.Err, backup.ErrOwn) {
				t.Errorf("problem %q: %v, want ErrOwn of %s", p.Path, p.Err, inside[i])
			}
		}
		if r, err := e.Backup(t.Context(), BackupOptions{Paths: inside}); !errors.Is(err, ErrNothing) || r.Snapshot != "" {
			t.Errorf("of nothing else: snapshot %q, %v, want ErrNothing", r.Snapshot, err)
		}
	})
}
