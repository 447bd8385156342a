package acceptance

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// lintPackages shows every package of the first release to the checker of its
// distribution, as this machine has it. What they overlook stands with its
// reason beside what goes into the packages.
func lintPackages(t *testing.T, rel *releases) {
	config, err := filepath.Abs("../packaging/assets/rpmlint.toml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	err = filepath.WalkDir(rel.trees[0].dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "releases" { // the same files again
			return fs.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		switch filepath.Ext(name) {
		case ".deb":
			t.Run(filepath.Base(name), func(t *testing.T) {
				lint(t, ``, "lintian", "--allow-root", "--fail-on", "error,warning", name)
			})
		case ".rpm":
			t.Run(filepath.Base(name), func(t *testing.T) {
				lint(t, `\b1 packages and .* 0 errors, 0 warnings`, "rpmlint", "--config", config, name)
			})
		}
		found[filepath.Ext(name)]++
		return nil
	})
	// The program for two architectures, and the keyring: one DEB, two RPMs.
	if err != nil || found[".deb"] != 3 || found[".rpm"] != 4 {
		t.Errorf("%d DEBs and %d RPMs were found, want 3 and 4 (%v)", found[".deb"], found[".rpm"], err)
	}
}

// lint fails unless a checker is content and says so in these words, a
// regular expression.
func lint(t *testing.T, says string, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	} else if err != nil {
		t.Skipf("%s is not installed", program)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(says).Match(out) {
		t.Errorf("%s: %v\n%s", program, err, out)
	}
}
