package site_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"holm.example/repo/site"
)

func TestEverybodyReadsASiteWhateverTheUmask(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	d := site.OpenDir(dir)
	unlock, err := d.Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	put(t, d, "apt/pool/a", "x")
	if err := d.Copy(context.Background(), "releases/1/a", "apt/pool/a"); err != nil {
		t.Fatal(err)
	}
	if err := d.Alias(context.Background(), "yum/deep/current", "releases/1"); err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() == fs.ModeSymlink || name == "publish/lock" {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o644)
		if entry.IsDir() {
			want = 0o755
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheModeOfADirectoryThatWasMadeForTheSiteStays(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, site.OpenDir(dir), "a/b", "x")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
