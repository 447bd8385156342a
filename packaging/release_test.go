package packaging_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/packaging"
)

// copyToy returns a toy that may be changed, built already.
func copyToy(t *testing.T) *toyRelease {
	t.Helper()
	from := toy(t)
	dist := t.TempDir()
	if err := os.CopyFS(packaging.Folder(dist, from.source.Version), os.DirFS(from.folder)); err != nil {
		t.Fatal(err)
	}
	r := *from
	r.folder, r.build.Dist, r.pack.Dist = packaging.Folder(dist, from.source.Version), dist, dist
	return &r
}

// lines collects what a run says.
func lines(to *[]string) packaging.Progress {
	return func(format string, args ...any) { *to = append(*to, format) }
}

func TestTheSameReleaseIsNotMadeTwice(t *testing.T) {
	r := copyToy(t)
	var said []string
	r.build.Progress, r.pack.Progress = lines(&said), lines(&said)
	before := r.release
	r.make(t)
	if len(said) != 2 || !strings.Contains(said[0], "built already") || !strings.Contains(said[1], "packaged already") {
		t.Errorf("it said %q", said)
	}
	if err := before.Verify(r.folder); err != nil {
		t.Error(err)
	}
}

func TestADamagedReleaseIsMadeAgain(t *testing.T) {
	for _, suffix := range []string{".deb", ".rpm", "toy"} {
		r := copyToy(t)
		victim := r.file(t, "toy", suffix)
		if err := os.Truncate(victim, 10); err != nil {
			t.Fatal(err)
		}
		if err := r.release.Verify(r.folder); !errors.Is(err, packaging.ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", suffix, err)
		}
		if suffix == "toy" {
			if _, err := packaging.Package(context.Background(), r.pack); !errors.Is(err, packaging.ErrChanged) {
				t.Errorf("packaging a damaged program: %v, want ErrChanged", err)
			}
		}
		r.make(t)
		if err := r.release.Verify(r.folder); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
	}
}

func TestNothingIsPackagedThatWasBuiltForSomethingElse(t *testing.T) {
	r := copyToy(t)
	other := *r.config
	if err := other.SetURL("https://elsewhere.example"); err != nil {
		t.Fatal(err)
	}
	r.pack.Config = &other
	if _, err := packaging.Package(context.Background(), r.pack); !errors.Is(err, packaging.ErrNotBuilt) {
		t.Errorf("another URL: %v, want ErrNotBuilt", err)
	}
	r.pack.Dist = t.TempDir()
	if _, err := packaging.Package(context.Background(), r.pack); !errors.Is(err, packaging.ErrNotBuilt) {
		t.Errorf("nothing there: %v, want ErrNotBuilt", err)
	}
}

func TestNoRPMIsWrittenWithoutASignature(t *testing.T) {
	boom := errors.New("the token was pulled out")
	for name, c := range map[string]struct {
		sign packaging.SignFunc
		want error
	}{
		"no key":             {nil, packaging.ErrUnsigned},
		"an empty signature": {func([]byte) ([]byte, error) { return nil, nil }, packaging.ErrUnsigned},
		"a failing key":      {func([]byte) ([]byte, error) { return nil, boom }, boom},
	} {
		r := copyToy(t)
		r.pack.Sign, r.pack.SignerID = c.sign, name
		if _, err := packaging.Package(context.Background(), r.pack); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if name == "no key" {
			continue // refused before anything was touched
		}
		rpms, err := filepath.Glob(filepath.Join(r.folder, "*.rpm"))
		if err != nil || len(rpms) > 0 {
			t.Errorf("%s: %v was written, %v", name, rpms, err)
		}
		now, err := packaging.ReadRelease(r.folder)
		if err != nil || now.Packaged != "" || len(now.Select(packaging.KindRPM)) > 0 {
			t.Errorf("%s: release.json names packages: %v", name, err)
		}
	}
}

func TestABuildThatBreaksLeavesNoRelease(t *testing.T) {
	source := t.TempDir()
	toySource(t, source)
	if err := os.WriteFile(filepath.Join(source, "cmd", "toy", "broken.go"), []byte("package main\n\nvar x int = \"no number\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gitIn(t, source, "add", "-A")
	gitIn(t, source, "commit", "-q", "-m", "Broken")
	r := prepareToy(t, source, t.TempDir())
	_, err := packaging.Build(context.Background(), r.build)
	if !errors.Is(err, packaging.ErrBuild) || !strings.Contains(err.Error(), "broken.go") {
		t.Errorf("error %v, want ErrBuild with the compiler's words", err)
	}
	if _, err := packaging.ReadRelease(r.folder); !errors.Is(err, packaging.ErrNotBuilt) {
		t.Errorf("afterwards: %v, want ErrNotBuilt", err)
	}
}

func TestAModuleThatPinsNoToolchainIsRefused(t *testing.T) {
	source := t.TempDir()
	toySource(t, source)
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module toy.example\n\ngo 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gitIn(t, source, "commit", "-q", "-a", "-m", "No toolchain")
	r := prepareToy(t, source, t.TempDir())
	if _, err := packaging.Build(context.Background(), r.build); !errors.Is(err, packaging.ErrBuild) || !strings.Contains(err.Error(), "toolchain") {
		t.Errorf("error %v, want ErrBuild", err)
	}
}

func TestHostileReleaseListsAreRefused(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(toy(t).folder, "release.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, with string }{
		"another format":   {"release 1", "release 2"},
		"a parent folder":  {"toy-0.3.1-1.x86_64.rpm", "../toy.rpm"},
		"an absolute name": {"toy-0.3.1-1.x86_64.rpm", "/toy.rpm"},
		"a hidden parent":  {"toy-0.3.1-1.x86_64.rpm", "a/../../toy.rpm"},
		"a backslash":      {"toy-0.3.1-1.x86_64.rpm", `a\\b.rpm`},
		"an empty name":    {"toy-0.3.1-1.x86_64.rpm", ""},
		"no version":       {`"version": "0.3.1"`, `"version": "latest"`},
		"an unknown word":  {`"commit"`, `"comet"`},
	} {
		bad := strings.Replace(string(good), c.old, c.with, 1)
		if bad == string(good) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, err := packaging.ParseRelease([]byte(bad)); !errors.Is(err, packaging.ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
		}
	}
	for name, data := range map[string][]byte{"empty": nil, "truncated": good[:len(good)/2], "too long": make([]byte, packaging.MaxReleaseSize+1)} {
		if _, err := packaging.ParseRelease(data); !errors.Is(err, packaging.ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte(`{"format":"release 1","product":"toy","version":"0.3.1","files":[{"name":"a/b","kind":"rpm","size":1,"sha256":"00"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := packaging.ParseRelease(data)
		if err != nil {
			return
		}
		out, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := packaging.ParseRelease(out); err != nil && len(out) <= packaging.MaxReleaseSize {
			t.Fatalf("written and read again: %v", err)
		}
	})
}
