package acceptance

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// siteHost is the host name in the base URL that all releases are made for.
// Every root resolves it to the loopback address of its own site, so that one
// set of packages serves sites in different states at the same time.
const siteHost = "packages.holm.test"

// maxSites bounds how many systems work at the same time.
const maxSites = 8

// listenAll opens one port on maxSites loopback addresses.
func listenAll(t *testing.T) []net.Listener {
	t.Helper()
	for range 20 {
		listeners, err := listenOnce()
		if err == nil {
			return listeners
		}
		t.Logf("trying another port: %v", err)
	}
	t.Fatal("found no port that is free on all loopback addresses")
	return nil
}

func listenOnce() ([]net.Listener, error) {
	first, err := net.Listen("tcp", "127.0.13.1:0")
	if err != nil {
		return nil, err
	}
	listeners := []net.Listener{first}
	port := first.Addr().(*net.TCPAddr).Port
	for i := 2; i <= maxSites; i++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.13.%d:%d", i, port))
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// A tree is what one publish made, kept as it was.
type tree struct {
	dir     string
	handler http.Handler // the one of holm-publish serve
}

// A server serves one of the published trees, as an attacker would where a test
// says so: with other bytes under some paths.
type server struct {
	http *httptest.Server

	mu     sync.Mutex
	tree   *tree             // under mu: the published tree
	forged map[string][]byte // under mu: what is served in place of a file, by its path in the tree
	asked  []string          // under mu: what was asked for since the last show
}

// serve starts a server that shows nothing yet.
func serve(l net.Listener) *server {
	s := &server{}
	s.http = &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	s.http.Start()
	return s
}

// address is where the server listens, without the port.
func (s *server) address() string {
	host, _, _ := net.SplitHostPort(s.http.Listener.Addr().String())
	return host
}

// show serves a tree, with forged bytes under some paths.
func (s *server) show(tree *tree, forged map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree, s.forged, s.asked = tree, forged, nil
}

// requests tells what clients asked for since the last show.
func (s *server) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(s.asked)), "\n")
}

// ServeHTTP serves one file. A path through a link of the tree is forged like
// the path that the link stands for.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	s.mu.Lock()
	tree := s.tree
	s.asked = append(s.asked, r.Method+" "+name)
	s.mu.Unlock()
	if real, err := filepath.EvalSymlinks(filepath.Join(tree.dir, path.Dir(name))); err == nil {
		if rel, err := filepath.Rel(tree.dir, real); err == nil {
			name = path.Join(rel, path.Base(name))
		}
	}
	if strings.HasPrefix(name, "distribution/") {
		serveDistribution(w, r, name)
		return
	}
	s.mu.Lock()
	data, forged := s.forged[name]
	s.mu.Unlock()
	if forged {
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
		return
	}
	tree.handler.ServeHTTP(w, r)
}

// serveDistribution serves a repository without packages, in place of a
// distribution's own: dnf and zypper refuse to do anything when the last
// repository entry is gone.
func serveDistribution(w http.ResponseWriter, r *http.Request, name string) {
	const (
		primary = `<?xml version="1.0"?><metadata xmlns="http://linux.duke.edu/metadata/common" packages="0"></metadata>`
		files   = `<?xml version="1.0"?><filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="0"></filelists>`
		other   = `<?xml version="1.0"?><otherdata xmlns="http://linux.duke.edu/metadata/other" packages="0"></otherdata>`
	)
	parts := map[string]string{"primary": primary, "filelists": files, "other": other}
	base := path.Base(name)
	if content, ok := parts[strings.TrimSuffix(base, ".xml")]; ok {
		fmt.Fprint(w, content)
		return
	}
	if base != "repomd.xml" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>`)
	for kind, content := range parts {
		fmt.Fprintf(w, `<data type="%s"><checksum type="sha256">%s</checksum><location href="repodata/%s.xml"/><timestamp>1</timestamp><size>%d</size></data>`,
			kind, sha256Hex([]byte(content)), kind, len(content))
	}
	fmt.Fprint(w, `</repomd>`)
}
