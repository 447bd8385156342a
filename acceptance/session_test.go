package acceptance

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"holm.example/acceptance/root"
)

// A session is one client in a clean system of its own, with a site of its
// own.
type session struct {
	client
	root   *root.Root
	server *server
	rel    *releases
}

// newSession makes a clean system that finds the site under its name.
func newSession(t *testing.T, base *root.Base, c client, rel *releases, servers chan *server) *session {
	t.Helper()
	r, err := base.Clone(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
	})
	s := &session{client: c, root: r, server: <-servers, rel: rel}
	t.Cleanup(func() { servers <- s.server })
	s.server.show(rel.trees[0], nil)
	hosts := fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", s.server.address(), siteHost)
	if err := r.WriteFile(t.Context(), "/etc/hosts", []byte(hosts)); err != nil {
		t.Fatal(err)
	}
	if c.prepare != "" {
		entry := fmt.Sprintf("[distribution]\nname=distribution\nbaseurl=%s/distribution/\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\n", rel.url)
		s.mustInput(t, []byte(entry), "sh", "-euc", c.prepare)
	}
	return s
}

// run runs a command in the system, whatever its exit code.
func (s *session) run(t *testing.T, args ...string) root.Result {
	t.Helper()
	res, err := s.root.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// must runs a command in the system that has to succeed.
func (s *session) must(t *testing.T, args ...string) root.Result {
	t.Helper()
	return s.mustInput(t, nil, args...)
}

func (s *session) mustInput(t *testing.T, input []byte, args ...string) root.Result {
	t.Helper()
	res, err := s.root.RunInput(t.Context(), input, args...)
	if err != nil {
		t.Fatal(err)
	}
	if res.Code != 0 && strings.Contains(res.Output(), "Failed to cache rpm database") {
		// A helper of libzypp fails on a database that has just lost its
		// last package, which happens on Debian only, after the work was
		// done. 104: nothing of that name is there any more.
		t.Logf("once more, since the cache of libzypp failed: %s", res)
		if res, err = s.root.RunInput(t.Context(), input, args...); err == nil && res.Code == 104 {
			return res
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if res.Code != 0 {
		t.Fatalf("%s\nrequests:\n%s", res, s.server.requests())
	}
	return res
}

// with appends names to a command of the client.
func with(command []string, names ...string) []string {
	return append(append([]string{}, command...), names...)
}

// put copies a file of the published tree into the system.
func (s *session) put(t *testing.T, release int, from, to string) {
	t.Helper()
	if err := s.root.WriteFile(t.Context(), to, read(t, s.rel.trees[release].dir, from)); err != nil {
		t.Fatal(err)
	}
}

// bootstrap installs the one package that brings keys and repository entry,
// from a downloaded file, as the landing page says.
func (s *session) bootstrap(t *testing.T) {
	t.Helper()
	if s.trust != "" {
		s.put(t, 0, s.served, "/tmp/keys")
		s.must(t, "sh", "-euc", s.trust)
	}
	arch := "noarch"
	if s.format == "deb" {
		arch = "all"
	}
	file := "/tmp/bootstrap." + s.format
	s.put(t, 0, s.rel.artifact(t, 0, s.format, s.keyring, arch), file)
	s.must(t, with(s.addFile, file)...)
	s.wantInstalled(t, s.keyring, s.rel.versions[0])
}

// installed is the version of a package that the system's own database names,
// or "" if it names none.
func (s *session) installed(t *testing.T, name string) string {
	t.Helper()
	res := s.run(t, with(s.query, name)...)
	version, ok := strings.CutPrefix(res.Stdout, "installed ")
	if res.Code != 0 || !ok {
		return ""
	}
	version, _, _ = strings.Cut(version, "-")
	return version
}

// wantInstalled fails unless exactly this version is installed; "" is none.
func (s *session) wantInstalled(t *testing.T, name, version string) {
	t.Helper()
	if got := s.installed(t, name); got != version {
		t.Fatalf("%s %q is installed, want %q", name, got, version)
	}
}

// wantAnswer fails unless the installed program answers with its version.
func (s *session) wantAnswer(t *testing.T, version string) {
	t.Helper()
	res := s.must(t, "holm", "version")
	if !strings.HasPrefix(res.Stdout, "holm "+version+"\n") {
		t.Fatalf("holm version answers %q, want version %s", res.Stdout, version)
	}
}

// wantQuietRefresh fails unless the client fetches all metadata without an
// error or a warning.
func (s *session) wantQuietRefresh(t *testing.T) {
	t.Helper()
	res := s.must(t, s.refresh...)
	if complaint := regexp.MustCompile(`(?mi)^([EW]: .*|.*\b(error|failed|skipping)\b.*)$`).FindString(res.Output()); complaint != "" {
		t.Fatalf("the client complains: %s\n%s", complaint, res)
	}
}

// files lists every path of the system that package managers have no reason
// to change by themselves.
func (s *session) files(t *testing.T) map[string]bool {
	t.Helper()
	res := s.must(t, "find", "/", "-xdev", "(", "-path", "/tmp", "-o", "-path", "/var/tmp", "-o", "-path", "/root", "-o", "-path", "/srv",
		"-o", "-path", "/run", "-o", "-path", "/var/cache", "-o", "-path", "/var/log", "-o", "-path", "/var/lib/apt", "-o", "-path", "/var/lib/dnf",
		"-o", "-path", "/var/lib/rpm", "-o", "-path", "/var/lib/zypp", "-o", "-path", "/var/lib/YaST2", "-o", "-path", "/usr/lib/sysimage", ")", "-prune", "-o", "-type", "d", "-print", "-o", "-print")
	found := map[string]bool{}
	for _, name := range strings.Split(strings.TrimSuffix(res.Stdout, "\n"), "\n") {
		found[name] = true
	}
	return found
}

// openRoots returns the cache of systems, or skips by name where there can be
// none.
func openRoots(t *testing.T) *root.Cache {
	t.Helper()
	if testing.Short() {
		t.Skip("tests in roots are left out by -short")
	}
	cache, err := root.Open(t.Context())
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("tests in roots are left out: %v", err)
	}
	if err != nil {
		t.Fatalf("tests in roots must not be left out under CI=true: %v", err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	return cache
}

// startServers starts as many servers as there are loopback addresses, and
// returns the base URL that they all answer to.
func startServers(t *testing.T) (string, chan *server) {
	t.Helper()
	listeners := listenAll(t)
	servers := make(chan *server, len(listeners))
	for _, l := range listeners {
		s := serve(l)
		t.Cleanup(s.http.Close)
		servers <- s
	}
	_, port, _ := strings.Cut(listeners[0].Addr().String(), ":")
	return (&url.URL{Scheme: "http", Host: siteHost + ":" + port}).String(), servers
}

// sameFile fails unless a file of the system has the bytes of one of the tree.
func (s *session) sameFile(t *testing.T, name string, release int, served string) {
	t.Helper()
	got, err := s.root.ReadFile(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, read(t, s.rel.trees[release].dir, served)) {
		t.Errorf("%s is not what the site serves as %s", name, path.Base(served))
	}
}
