package root

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// emptyCache opens a cache in a folder of its own, or skips where roots are
// not to be had.
func emptyCache(t *testing.T) *Cache {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return openCache(t)
}

func openCache(t *testing.T) *Cache {
	t.Helper()
	c, err := Open(t.Context())
	if errors.Is(err, ErrUnavailable) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// putTarball stores a root of a few files for the spec, in place of a build.
// The programs in it are the host's, bound in by nothing: only "missing"
// commands and the exit code of chroot can be seen in it.
func putTarball(t *testing.T, c *Cache, spec Spec, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"dev", "proc", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tarball := filepath.Join(c.dir, spec.id()+".tar.zst")
	if err := c.runPrivileged(t.Context(), "tar", "-C", dir, "-I", "zstd -1", "-cf", tarball, "."); err != nil {
		t.Fatal(err)
	}
}

func TestARecipeThatDiffersInAnyPartHasARootOfItsOwn(t *testing.T) {
	specs := []Spec{
		{Suite: "trixie"},
		{Suite: "sid"},
		{Suite: "sid", Packages: []string{"rpm"}},
		{Suite: "sid", Packages: []string{"rpm", "dnf5"}},
		{Suite: "sid", Setup: "rpm"},
		{Suite: "sid", Packages: []string{"rpm"}, Setup: "true"},
	}
	var ids []string
	for _, s := range specs {
		if !strings.HasPrefix(s.id(), s.Suite+"-") {
			t.Errorf("root %s does not begin with its suite %s", s.id(), s.Suite)
		}
		if slices.Contains(ids, s.id()) {
			t.Errorf("two recipes share the name %s", s.id())
		}
		ids = append(ids, s.id())
	}
}

func TestWhatAKilledRunLeftIsRemovedAndALivingRunIsSpared(t *testing.T) {
	living := emptyCache(t)
	killed := openCache(t)
	if err := killed.held.Close(); err != nil { // as the kernel does for a killed process
		t.Fatal(err)
	}
	next := openCache(t)
	if _, err := os.Stat(killed.run); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the killed run is still there: %v", err)
	}
	if _, err := os.Stat(living.run); err != nil {
		t.Errorf("the folder of a living run is gone: %v", err)
	}
	for _, c := range []*Cache{living, next} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(living.dir, "run", "*")); len(left) > 0 {
		t.Errorf("closed runs left %v", left)
	}
}

func TestADamagedTarballIsAnErrorThatNamesTheRoot(t *testing.T) {
	c := emptyCache(t)
	defer c.Close()
	spec := Spec{Suite: "damaged"}
	if err := os.WriteFile(filepath.Join(c.dir, spec.id()+".tar.zst"), []byte("not a tarball"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Base(t.Context(), spec); err == nil || !strings.Contains(err.Error(), spec.id()) {
		t.Errorf("Base says %v, want an error that names %s", err, spec.id())
	}
}

func TestABuildThatFailsLeavesNoTarballAndSaysWhy(t *testing.T) {
	c := emptyCache(t)
	defer c.Close()
	c.mirror = "file:///nowhere"
	_, err := c.Base(t.Context(), Spec{Suite: "bookworm"})
	if err == nil || !strings.Contains(err.Error(), "building root bookworm-") {
		t.Errorf("Base says %v, want an error of the build", err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "*.zst")); len(left) > 0 {
		t.Errorf("a failed build left %v", left)
	}
	if left, _ := os.ReadDir(c.run); len(left) > 0 {
		t.Errorf("a failed build left %v", left)
	}
}

func TestACommandThatCannotStartIsSeenAsItsExitCode(t *testing.T) {
	c := emptyCache(t)
	defer c.Close()
	spec := Spec{Suite: "tiny"}
	putTarball(t, c, spec, map[string]string{"etc/hosts": "127.0.0.1 localhost\n"})
	base, err := c.Base(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	r, err := base.Clone(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Run(t.Context(), "/no/such/program")
	if err != nil || res.Code == 0 {
		t.Errorf("exit code %d and error %v, want only a code that is not 0", res.Code, err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := r.Run(ctx, "true"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command past its deadline says %v", err)
	}
	if data, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(data), r.dir) {
		t.Errorf("a mount of the root is left on the host (%v)", err)
	}
}
