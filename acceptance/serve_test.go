package acceptance

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// servedAddress is where holm-publish serve listens, apart from the servers
// that can forge.
const servedAddress = "127.0.13.200"

// installFromServe installs by name from the site as holm-publish serve
// itself serves it.
func installFromServe(t *testing.T, s *session) {
	base, err := url.Parse(s.rel.url)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.rel.bin, "serve", "--site", s.rel.trees[0].dir, "--listen", net.JoinHostPort(servedAddress, base.Port()))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // holm-publish ends at once and in peace when it is interrupted
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("interrupted, holm-publish serve says %v", err)
		}
	})
	if line, err := bufio.NewReader(stderr).ReadString('\n'); err != nil || !strings.HasPrefix(line, "serving ") {
		t.Fatalf("holm-publish serve begins with %q (%v)", line, err)
	}
	hosts := fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", servedAddress, siteHost)
	if err := s.root.WriteFile(t.Context(), "/etc/hosts", []byte(hosts)); err != nil {
		t.Fatal(err)
	}
	s.must(t, "rm", "-f", "/etc/yum.repos.d/distribution.repo", "/etc/zypp/repos.d/distribution.repo")
	s.step1Install(t)
	s.wantAnswer(t, s.rel.versions[0])
	if asked := s.server.requests(); asked != "" {
		t.Errorf("the client asked another server for %s", asked)
	}
}
