package packaging_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holm.example/internal/product"
	"holm.example/keys"
	"holm.example/keys/signing"
	"holm.example/packaging"
)

// The toy is committed at one time, so that its commit has one name.
const toyDate = "2026-03-04T05:06:07Z"

// toySource writes the toy's source into dir and commits it. Its Go files
// have the suffix .txt, so that nobody takes them for ours.
func toySource(t testing.TB, dir string) {
	t.Helper()
	root := os.DirFS(filepath.Join("testdata", "toy"))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(name, ".txt")))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	gitIn(t, dir, "init", "-q", "-b", "main")
	gitIn(t, dir, "add", "-A")
	gitIn(t, dir, "commit", "-q", "-m", "The toy")
}

// gitIn runs git as somebody of whom no machine knows more.
func gitIn(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Toy", "GIT_AUTHOR_EMAIL=toy@toy.example", "GIT_COMMITTER_NAME=Toy",
		"GIT_COMMITTER_EMAIL=toy@toy.example", "GIT_AUTHOR_DATE="+toyDate, "GIT_COMMITTER_DATE="+toyDate, "GIT_CONFIG_GLOBAL="+os.DevNull)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// toyKeys are those of the committed vectors.
func toyKeys(t testing.TB) (*signing.Signer, []product.Key) {
	t.Helper()
	data, err := os.ReadFile("../keys/testdata/v1/rsa.key")
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.ParseKey(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signing.NewSigner(nil, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, []product.Key{{Role: "package", Channel: "stable", Number: 1, Fingerprint: key.Certificate().Fingerprint().String()}}
}

// A toyRelease is the toy, built and packaged.
type toyRelease struct {
	folder  string
	config  *packaging.Config
	source  *packaging.Source
	build   packaging.BuildOptions
	pack    packaging.PackageOptions
	release *packaging.Release
	ring    keys.Keyring
}

// makeToy builds and packages the toy from source into dist.
func makeToy(t testing.TB, source, dist string) *toyRelease {
	t.Helper()
	toySource(t, source)
	r := prepareToy(t, source, dist)
	r.make(t)
	return r
}

// prepareToy reads what makeToy makes.
func prepareToy(t testing.TB, source, dist string) *toyRelease {
	t.Helper()
	cfg, err := packaging.ReadConfig(filepath.Join(source, "packaging", "release.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := packaging.ReadSource(context.Background(), source, packaging.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	signer, all := toyKeys(t)
	return &toyRelease{
		folder: packaging.Folder(dist, src.Version), config: cfg, source: src, ring: signer.Certificates(),
		build: packaging.BuildOptions{Config: cfg, Source: src, Keys: all, Targets: cfg.Targets, Dist: dist},
		pack: packaging.PackageOptions{
			Config: cfg, Source: src, Dist: dist, AptKeyring: signer.Certificates().Binary(), RPMKeys: signer.Certificates().Armor(),
			Sign:     func(data []byte) ([]byte, error) { return signer.SignBinary(data, src.Epoch) },
			SignerID: all[0].Fingerprint,
		},
	}
}

func (r *toyRelease) make(t testing.TB) {
	t.Helper()
	if _, err := packaging.Build(context.Background(), r.build); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.release, err = packaging.Package(context.Background(), r.pack); err != nil {
		t.Fatal(err)
	}
}

// file returns the path of the toy's file whose name begins and ends so.
func (r *toyRelease) file(t testing.TB, prefix, suffix string) string {
	t.Helper()
	for _, f := range r.release.Files {
		if base := filepath.Base(f.Name); strings.HasPrefix(base, prefix) && strings.HasSuffix(base, suffix) {
			return filepath.Join(r.folder, filepath.FromSlash(f.Name))
		}
	}
	t.Fatalf("no %s…%s in %v", prefix, suffix, r.release.Files)
	return ""
}

// theToy is built once for all tests that only look at it.
var theToy struct {
	dir     string
	release *toyRelease
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "toy-")
	if err != nil {
		panic(err)
	}
	theToy.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// toy returns the toy, which must not be changed.
func toy(t testing.TB) *toyRelease {
	t.Helper()
	if theToy.release == nil {
		theToy.release = makeToy(t, filepath.Join(theToy.dir, "source"), filepath.Join(theToy.dir, "dist"))
	}
	return theToy.release
}

// client returns the path of a program that a test needs. Without it the test
// is left out, but not where all of them must be there.
func client(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// rootsRights returns the words to put before a command that only root may
// run: none for root, else sudo, if it asks for no password.
func rootsRights(t *testing.T) []string {
	t.Helper()
	if os.Geteuid() == 0 {
		return nil
	}
	words := []string{client(t, "sudo"), "-n"}
	if err := exec.Command(words[0], "-n", "true").Run(); err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("neither root nor sudo is at hand: %v", err)
	} else if err != nil {
		t.Skipf("neither root nor sudo is at hand: %v", err)
	}
	return words
}

// output runs a client and returns what it says; it may refuse.
func output(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(client(t, name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// accepted runs a client that must not refuse.
func accepted(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := output(t, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func TestTheToyKnowsWhatItIs(t *testing.T) {
	r := toy(t)
	out, err := exec.Command(r.file(t, "toy", "toy")).Output()
	if err != nil {
		t.Skipf("this machine cannot run linux/amd64: %v", err)
	}
	want := "toy 0.3.1 " + r.source.Commit + " https://get.toy.example package:" + r.build.Keys[0].Fingerprint + "\n"
	if string(out) != want {
		t.Errorf("it says %q\nwant      %q", out, want)
	}
	if when, _ := time.Parse(time.RFC3339, toyDate); r.release.Epoch != when.Unix() || len(r.source.Commit) != 40 {
		t.Errorf("epoch %d, commit %s", r.release.Epoch, r.source.Commit)
	}
}
