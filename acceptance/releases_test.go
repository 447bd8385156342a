package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"holm.example/repo/site"
)

// releases are three versions of the product, one published after the other
// into the same site by the real publisher, and the site as it was after each.
type releases struct {
	url      string
	bin      string // holm-publish
	keys     string // the key folder
	versions [3]string
	trees    [3]*tree        // after the first, the second, the third
	archive  *openpgp.Entity // the archive key of the first two, with its secret
	stranger *openpgp.Entity // a key that nobody trusts
}

// makeReleases builds holm-publish from the work tree, makes keys, and
// releases three times; the archive key is rotated before the third.
func makeReleases(t *testing.T, url string) *releases {
	t.Helper()
	dir := t.TempDir()
	r := &releases{url: url, bin: filepath.Join(dir, "holm-publish"), keys: filepath.Join(dir, "keys"), stranger: strangerKey(t)}
	source := commitWorkTree(t, filepath.Join(dir, "source"))
	series := strings.TrimSpace(string(read(t, source, "VERSION")))
	host(t, source, "go", "build", "-o", r.bin, "./cmd/holm-publish")
	publish := func(args ...string) {
		t.Helper()
		host(t, source, append([]string{r.bin, "--url", r.url, "--keys", r.keys, "--dist", filepath.Join(dir, "dist")}, args...)...)
	}
	publish("key", "new", "--channel", "stable")
	r.archive = activeArchiveKey(t, r.keys)
	for i := range r.versions {
		if i == 2 {
			publish("key", "rotate", "--channel", "stable", "--role", "archive")
		}
		r.versions[i] = fmt.Sprintf("%s.%d", series, 9001+i)
		publish("release", "--channel", "stable", "--version", r.versions[i], "--targets", "linux/amd64,linux/386", "--site", filepath.Join(dir, "site"))
		kept := filepath.Join(dir, fmt.Sprintf("site-%d", i))
		host(t, source, "cp", "-a", "--reflink=auto", filepath.Join(dir, "site"), kept)
		handler, err := site.NewHandler(kept)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { handler.Close() })
		r.trees[i] = &tree{dir: kept, handler: handler}
	}
	return r
}

// commitWorkTree copies the work tree as it is now and commits it there: the
// three releases have one commit, whoever works in the work tree meanwhile,
// and what is not committed yet is tested too.
func commitWorkTree(t *testing.T, dir string) string {
	t.Helper()
	host(t, "..", "git", "init", "--quiet", dir)
	for _, name := range strings.Split(host(t, "..", "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		info, err := os.Lstat(filepath.Join("..", name))
		if name == "" || err != nil || !info.Mode().IsRegular() { // deleted in the work tree
			continue
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, read(t, "..", name), info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	host(t, dir, "git", "add", "--all")
	host(t, dir, "git", "-c", "user.name=acceptance", "-c", "user.email=acceptance@holm.test", "commit", "--quiet", "--message", "the work tree")
	return dir
}

// host runs a command in a directory of this machine.
func host(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// artifact is the path, in the tree, of a package of a release by its format
// ("deb" or "rpm"), name and architecture in that format's own words.
func (r *releases) artifact(t *testing.T, release int, format, name, arch string) string {
	t.Helper()
	version := regexp.QuoteMeta(r.versions[release])
	if format == "deb" {
		return findOne(t, r.trees[release].dir, `apt/stable/pool/main/[^/]+/[^/]+/`+name+`_`+version+`(-1)?_`+arch+`\.deb`)
	}
	return findOne(t, r.trees[release].dir, `yum/stable/pkgs/`+name+`-`+version+`-1\.`+arch+`\.rpm`)
}
