package site_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/repo/site"
)

func read(t *testing.T, open func(context.Context, string) (io.ReadCloser, error), name string) string {
	t.Helper()
	f, err := open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func put(t *testing.T, d *site.Dir, name, data string) {
	t.Helper()
	if err := d.Put(context.Background(), name, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func TestAFileHoldsAllOfWhatWasPutOrWhatItHeldBefore(t *testing.T) {
	d := site.OpenDir(filepath.Join(t.TempDir(), "new"))
	put(t, d, "a/b/c", "old")
	torn := io.MultiReader(strings.NewReader("ne"), failing{})
	if err := d.Put(context.Background(), "a/b/c", torn); !errors.Is(err, errTorn) {
		t.Errorf("put of a body that fails: %v", err)
	}
	if got := read(t, d.Open, "a/b/c"); got != "old" {
		t.Errorf("holds %q", got)
	}
	if err := d.Put(context.Background(), "a/x", failing{}); !errors.Is(err, errTorn) {
		t.Error(err)
	}
	if _, err := d.Open(context.Background(), "a/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that was never put whole: %v", err)
	}
	put(t, d, "a/b/c", "new")
	if got := read(t, d.Open, "a/b/c"); got != "new" {
		t.Errorf("holds %q", got)
	}
}

var errTorn = errors.New("torn")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errTorn }

func TestACopyDoesNotChangeWithItsOrigin(t *testing.T) {
	d := site.OpenDir(t.TempDir())
	ctx := context.Background()
	put(t, d, "pool/a", "one")
	for range 2 { // also where something is already
		if err := d.Copy(ctx, "releases/a", "pool/a"); err != nil {
			t.Fatal(err)
		}
	}
	put(t, d, "pool/a", "two")
	if got := read(t, d.Open, "releases/a"); got != "one" {
		t.Errorf("the copy holds %q", got)
	}
	if err := d.Copy(ctx, "releases/b", "pool/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copy of nothing: %v", err)
	}
}

func TestAnAliasMovesToAnotherDirectory(t *testing.T) {
	d := site.OpenDir(t.TempDir())
	put(t, d, "yum/r/1/repodata/repomd.xml", "one")
	put(t, d, "yum/r/2/repodata/repomd.xml", "two")
	for dir, want := range map[string]string{"yum/r/1": "one", "yum/r/2": "two"} {
		if err := d.Alias(context.Background(), "yum/r/current", dir); err != nil {
			t.Fatal(err)
		}
		if got := read(t, d.Open, "yum/r/current/repodata/repomd.xml"); got != want {
			t.Errorf("alias of %s: %q", dir, got)
		}
	}
}

func TestNamesThatLeaveTheSiteAreRefused(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(filepath.Dir(dir), "outside")
	d := site.OpenDir(dir)
	ctx := context.Background()
	put(t, d, "a", "x")
	for _, name := range []string{"../outside", "/etc/passwd", "a/../../outside", "", ".", "a//b", "a/"} {
		if _, err := d.Open(ctx, name); !errors.Is(err, site.ErrName) {
			t.Errorf("open %q: %v", name, err)
		}
		if err := d.Put(ctx, name, strings.NewReader("x")); !errors.Is(err, site.ErrName) {
			t.Errorf("put %q: %v", name, err)
		}
		if err := d.Copy(ctx, name, "a"); !errors.Is(err, site.ErrName) {
			t.Errorf("copy to %q: %v", name, err)
		}
		if err := d.Copy(ctx, "b", name); !errors.Is(err, site.ErrName) {
			t.Errorf("copy from %q: %v", name, err)
		}
		if err := d.Alias(ctx, "b", name); !errors.Is(err, site.ErrName) {
			t.Errorf("alias of %q: %v", name, err)
		}
	}
	if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something stands outside of the site")
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(ctx, "link/passwd"); err == nil {
		t.Error("a link out of the site was followed")
	}
}

func TestOnlyOnePublisherAtATime(t *testing.T) {
	dir := t.TempDir()
	unlock, err := site.OpenDir(dir).Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.OpenDir(dir).Lock(context.Background()); !errors.Is(err, site.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := site.OpenDir(dir).Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestServedFilesHaveTheirTypesAndTheirCacheRoles(t *testing.T) {
	dir := t.TempDir()
	d := site.OpenDir(dir)
	const forever = "public, max-age=31536000, immutable"
	for name, want := range map[string][2]string{
		"index.html":                                                  {"text/html; charset=utf-8", "no-cache"},
		"keys/RPM-GPG-KEY-holm":                                       {"text/plain; charset=utf-8", "no-cache"},
		"keys/holm-archive-keyring.pgp":                               {"application/pgp-keys", "no-cache"},
		"apt/stable/dists/stable/InRelease":                           {"text/plain; charset=utf-8", "no-cache"},
		"apt/stable/dists/stable/main/binary-amd64/Packages.gz":       {"application/gzip", "no-cache"},
		"apt/stable/dists/stable/main/binary-amd64/by-hash/SHA256/00": {"application/octet-stream", forever},
		"apt/stable/pool/main/h/holm/holm_1.0.0_amd64.deb":            {"application/vnd.debian.binary-package", forever},
		"yum/stable/x86_64/mirrorlist":                                {"text/plain; charset=utf-8", "no-cache"},
		"yum/stable/x86_64/r/7/repodata/repomd.xml":                   {"text/xml; charset=utf-8", forever},
		"yum/stable/x86_64/r/current/repodata/repomd.xml.asc":         {"text/plain; charset=us-ascii", "no-cache"},
		"yum/stable/pkgs/holm-1.0.0-1.x86_64.rpm":                     {"application/x-rpm", forever},
		"releases/1.0.0/holm_1.0.0_windows_amd64.zip":                 {"application/zip", forever},
		"releases/1.0.0/SHA256SUMS":                                   {"text/plain; charset=utf-8", "no-cache"},
		"releases/current/holm_amd64.deb":                             {"application/vnd.debian.binary-package", "no-cache"},
		"publish/head":                                                {"application/json", "no-cache"},
	} {
		put(t, d, name, "content of "+name)
		got := get(t, dir, http.MethodGet, "/"+name)
		if got.Code != http.StatusOK || got.Body.String() != "content of "+name {
			t.Errorf("%s: %d %q", name, got.Code, got.Body)
		}
		if h := got.Header(); h.Get("Content-Type") != want[0] || h.Get("Cache-Control") != want[1] || h.Get("Content-Encoding") != "" {
			t.Errorf("%s: %v", name, h)
		}
		if dated := got.Header().Get("Last-Modified") != ""; dated != (want[1] == forever) {
			t.Errorf("%s: has a date: %t", name, dated)
		}
	}
	if got := get(t, dir, http.MethodGet, "/"); !strings.Contains(got.Body.String(), "index.html") {
		t.Errorf("the root is not the landing page: %d %q", got.Code, got.Body)
	}
}

func get(t *testing.T, dir, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := site.NewHandler(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Method, r.URL.Path = method, path
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhatIsNotServed(t *testing.T) {
	dir := t.TempDir()
	d := site.OpenDir(dir)
	put(t, d, "keys/a", "x")
	put(t, d, "publish/lock", "")
	if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/none", "/keys", "/keys/", "/../" + filepath.Base(dir) + "/keys/a", "//keys/a", "/out/passwd", "/publish/lock", "/keys\x00"} {
		if got := get(t, dir, http.MethodGet, path); got.Code != http.StatusNotFound {
			t.Errorf("%q: %d", path, got.Code)
		}
	}
	if got := get(t, dir, http.MethodPost, "/keys/a"); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.Code)
	}
}

func TestASiteIsReadOverTheNetwork(t *testing.T) {
	dir := t.TempDir()
	put(t, site.OpenDir(dir), "keys/a+b", "x")
	handler, err := site.NewHandler(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	s, err := site.OpenHTTP(server.URL+"/", server.Client())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.Open, "keys/a+b"); got != "x" {
		t.Errorf("read %q", got)
	}
	for name, want := range map[string]error{"none": fs.ErrNotExist, "broken": site.ErrUnreachable, "../a": site.ErrName} {
		if _, err := s.Open(context.Background(), name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Close()
	if _, err := s.Open(context.Background(), "keys/a+b"); !errors.Is(err, site.ErrUnreachable) {
		t.Errorf("without a server: %v", err)
	}
	for _, base := range []string{"", "ftp://x", "http://", "http://x/?a=b", "x"} {
		if _, err := site.OpenHTTP(base, server.Client()); !errors.Is(err, site.ErrName) {
			t.Errorf("%q: %v", base, err)
		}
	}
}
