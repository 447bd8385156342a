package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bound mounts a directory at a second place for the time of a test.
func bound(t *testing.T, dir, at string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "--bind", dir, at).CombinedOutput(); err != nil {
		t.Skipf("this machine cannot mount: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
}

func TestPartOfTheVaultIsLeftOutWhereItIsMountedASecondTime(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("x"))
	s.backup(s.data) // makes packs/
	for _, name := range []string{"packs", "keys"} {
		bound(t, filepath.Join(s.vault, name), filepath.Join(s.src, name))
	}
	for range 2 {
		if r := s.backup(s.data); r.Files != 1 || r.Directories != 3 {
			t.Errorf("%d files in %d directories, want one, and two directories that are left empty", r.Files, r.Directories)
		}
	}
}

// A second place of a directory has another path, and no link that leads to
// it: only the directory itself says which one it is.
func TestVaultAndDataDirectoryAreLeftOutWhereTheyAreMountedASecondTime(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("x"))
	bound(t, s.vault, filepath.Join(s.src, "deep", "photos"))
	bound(t, s.data, filepath.Join(s.src, "deep", "cache"))
	for range 2 {
		if r := s.backup(s.data); r.Files != 1 || r.Directories != 4 {
			t.Errorf("%d files in %d directories, want one, and two directories that are left empty", r.Files, r.Directories)
		}
	}
	got := contents(t, s.restore(s.data, "latest"))
	if len(got) != 1 || got["file"] != "x" {
		t.Errorf("%d files were restored, want one", len(got))
	}
	s.src = filepath.Join(s.src, "deep", "photos")
	s.with(s.data, func(e *Engine) {
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}}); err == nil {
			t.Error("the vault became a source by its second place")
		}
	})
}
