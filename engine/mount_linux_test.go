package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// imageOf makes an image of a file system of so many bytes.
func imageOf(t *testing.T, fsType string, size int64, options ...string) string {
	t.Helper()
	name := "mkfs." + fsType
	tool, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" { // acceptance/deps.sh brings them
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("no %s here: there is no %s", fsType, name)
	}
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, append(options, path)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
	return path
}

// mounted mounts a file system for the time of a test.
func mounted(t *testing.T, fsType, image string, options ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	dir := t.TempDir()
	args := []string{"-t", fsType, "none", dir}
	if image != "" {
		options, args[2] = append(options, "loop"), image
	}
	if len(options) > 0 {
		args = append(args, "-o", strings.Join(options, ","))
	}
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		// As most containers, with CI=true too: nobody can bring it what it lacks.
		t.Skipf("this machine cannot mount %s: %s", fsType, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir
}
