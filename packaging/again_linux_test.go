package packaging_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"holm.example/packaging"
)

// Another folder, another build cache, time zone, umask and user's home: the
// same bytes. With HOLM_SOAK our own programs are built twice for every
// target as well; see TestOurProgramsAreTheSameFromTwoFolders.
func TestASecondBuildGivesTheSameBytes(t *testing.T) {
	first := toy(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("GOCACHE", filepath.Join(home, "cache"))
	t.Setenv("TZ", "Asia/Kathmandu")
	t.Setenv("LANG", "de_DE.UTF-8")
	t.Setenv("GOFLAGS", "-tags=surprise")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("HOSTNAME", "elsewhere")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	source := filepath.Join(t.TempDir(), "another place with a longer name")
	toySource(t, source)
	second := prepareToy(t, source, t.TempDir())
	second.build.Targets = second.build.Targets[:1] // a cold cache costs half a minute for each
	second.make(t)
	made := make(map[string]packaging.File)
	for _, f := range first.release.Files {
		made[f.Name] = f
	}
	if n := len(second.release.Files); n < 13 {
		t.Errorf("only %d files", n)
	}
	for _, f := range second.release.Files {
		if f != made[f.Name] {
			t.Errorf("%+v differs from %+v", f, made[f.Name])
		}
	}
}
