package storage_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// An sshServer is a real sshd on loopback, and the configuration by which the
// user's ssh trusts it and is let in.
type sshServer struct{ dir, user, port string }

func (s sshServer) path(name string) string { return filepath.Join(s.dir, name) }

// ssh is the command that reaches it.
func (s sshServer) ssh() []string { return []string{"ssh", "-F", s.path("config")} }

func (s sshServer) location(t *testing.T, dir string) storage.Location {
	t.Helper()
	l, err := storage.ParseLocation("sftp://" + s.user + "@127.0.0.1:" + s.port + dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (s sshServer) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveSSH starts an sshd with keys of its own.
func serveSSH(t *testing.T) sshServer {
	t.Helper()
	const sshd = "/usr/sbin/sshd"
	needServer(t, sshd)
	needServer(t, sftpServer)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // where sshd locks itself up before somebody is let in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := sshServer{dir: t.TempDir(), user: me.Username}
	for _, key := range []string{"host", "other", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path(key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(free.Addr().String())
	free.Close()
	s.write(t, "sshd_config", fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n"+
		"PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\nSubsystem sftp internal-sftp\n", s.port, s.path("host"), s.path("user.pub")))
	s.write(t, "config", fmt.Sprintf("IdentityFile %s\nIdentitiesOnly yes\nUserKnownHostsFile %s\nStrictHostKeyChecking yes\nGlobalKnownHostsFile none\n",
		s.path("user"), s.path("known")))
	s.trust(t, "host")
	cmd := exec.Command(sshd, "-D", "-e", "-f", s.path("sshd_config"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return s
}

// trust makes a key the one that ssh expects of the host.
func (s sshServer) trust(t *testing.T, key string) {
	t.Helper()
	public, err := os.ReadFile(s.path(key + ".pub"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "known", "[127.0.0.1]:"+s.port+" "+string(public))
}

func TestStoreBehindARealSSHPassesTheSuite(t *testing.T) {
	server := serveSSH(t)
	o := storage.OpenOptions{SSH: server.ssh()}
	storagetest.Suite(t, func(t *testing.T) storagetest.Place {
		at := server.location(t, filepath.Join(t.TempDir(), "new", "vault"))
		if err := createAndClose(t, at, o); err != nil {
			t.Fatal(err)
		}
		// One connection a test: each costs a tenth of a second.
		s, err := storage.Open(at, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { storage.Close(s) })
		return func() storage.Store { return s }
	})
}

func createAndClose(t *testing.T, at storage.Location, o storage.OpenOptions) error {
	s, err := storage.Create(t.Context(), at, o)
	if err != nil {
		return err
	}
	return storage.Close(s)
}

func TestHostThatIsNotTrustedAndKeyThatIsNotLetInAreDenied(t *testing.T) {
	server := serveSSH(t)
	at := server.location(t, filepath.Join(t.TempDir(), "vault"))
	o := storage.OpenOptions{SSH: server.ssh()}
	if err := createAndClose(t, at, o); err != nil {
		t.Fatal(err)
	}
	server.trust(t, "other")
	if err := createAndClose(t, at, o); !errors.Is(err, storage.ErrDenied) || !strings.Contains(err.Error(), "Host key verification failed") {
		t.Errorf("host with another key: %v, want ErrDenied", err)
	}
	server.trust(t, "host")
	server.write(t, "user", readFile(t, server.path("other")))
	if err := createAndClose(t, at, o); !errors.Is(err, storage.ErrDenied) {
		t.Errorf("key that is not let in: %v, want ErrDenied", err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
