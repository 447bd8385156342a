package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// wine is the program that runs those of Windows. Go needs one of 10 or
// newer: earlier ones remove no file for it.
func wine(t *testing.T) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("wine runs here what is built for amd64")
	}
	for _, name := range []string{"wine64", "wine", "/usr/lib/wine/wine64"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.Command(path, "--version").Output()
		version := regexp.MustCompile(`[0-9]+`).FindString(string(out))
		if n, _ := strconv.Atoi(version); err != nil || n < 10 {
			t.Skipf("%s is %q, %v: Go needs wine 10", path, strings.TrimSpace(string(out)), err)
		}
		return path
	}
	t.Skip("there is no wine here")
	return ""
}

// TestWindowsTestsPassUnderWine runs the tests of this package and of package
// engine that say something of Windows. What wine has not, such as links and
// streams, they skip by name.
func TestWindowsTestsPassUnderWine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	program := wine(t)
	dir := t.TempDir()
	env := append(os.Environ(), "WINEPREFIX="+filepath.Join(dir, "prefix"), "WINEDEBUG=-all", "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	t.Cleanup(func() { // or the prefix is in use when it is removed
		server := exec.Command("wineserver", "-k", "-w")
		if _, err := exec.LookPath("wineserver"); err != nil {
			server.Path, server.Err = "/usr/lib/wine/wineserver64", nil
		}
		server.Env = env
		_ = server.Run()
	})
	for pkg, run := range map[string]string{"holm.example/engine/source": "", "holm.example/engine": "Windows|TestBackupRestores|TestUnchanged|TestFileT|OneBaseName"} {
		exe := filepath.Join(dir, filepath.Base(pkg)+".test.exe")
		build := exec.Command("go", "test", "-c", "-o", exe, pkg)
		build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
		cmd := exec.CommandContext(t.Context(), program, exe, "-test.v", "-test.run="+run)
		cmd.Env, cmd.Dir = env, dir
		out, err := cmd.CombinedOutput()
		passed, skipped := strings.Count(string(out), "--- PASS"), regexp.MustCompile(`--- SKIP: \w+`).FindAllString(string(out), -1)
		t.Logf("%s: %d passed, %q", pkg, passed, skipped)
		if err != nil || passed < 5 {
			t.Errorf("%s: %v\n%s", pkg, err, out)
		}
	}
}
