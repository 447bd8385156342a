package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// sftpServer is OpenSSH's own server, to be run on a pipe.
const sftpServer = "/usr/lib/openssh/sftp-server"

// needServer is for tests that want a program which acceptance/deps.sh brings.
func needServer(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no %s: run acceptance/deps.sh", path)
		}
		t.Skipf("no %s here", path)
	}
}

func openSFTP(t *testing.T, c storage.SFTPConfig) *storage.SFTP {
	t.Helper()
	s := storage.NewSFTP(c)
	t.Cleanup(func() { s.Close() })
	return s
}

// sftpPlace makes the directory of a store that a command serves.
func sftpPlace(t *testing.T, root string, command ...string) storagetest.Place {
	t.Helper()
	c := storage.SFTPConfig{Command: command, Root: root}
	if err := openSFTP(t, c).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() storage.Store { return openSFTP(t, c) }
}

func TestSFTPPassesTheSuite(t *testing.T) {
	needServer(t, sftpServer)
	for name, command := range map[string][]string{
		"openssh":            {sftpServer},
		"without hard links": {sftpServer, "-P", "hardlink"},
		"without fsync":      {sftpServer, "-P", "fsync"},
	} {
		t.Run(name, func(t *testing.T) {
			storagetest.Suite(t, func(t *testing.T) storagetest.Place {
				return sftpPlace(t, filepath.Join(t.TempDir(), "new", "vault"), command...)
			})
		})
	}
}

// breaking is a body that does something when half of it was read.
type breaking struct {
	body []byte
	once *sync.Once
	do   func()
}

func (b breaking) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b.body))/2 {
		b.once.Do(b.do)
	}
	return bytes.NewReader(b.body).ReadAt(p, off)
}

// killable is a command that writes its number into a file.
func killable(pid string) []string {
	return []string{"/bin/sh", "-c", `echo $$ >"$1"; exec "$2"`, "sh", pid, sftpServer}
}

// kill ends the process whose number a file holds.
func kill(t *testing.T, pid string) {
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Error(err)
		return
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Error(err)
		return
	}
	p, err := os.FindProcess(n)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestServerThatIsKilledInAPutIsStartedAnewAndTidiedUp(t *testing.T) {
	needServer(t, sftpServer)
	root, pid := filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "pid")
	inner := sftpPlace(t, root, killable(pid)...)()
	s := storage.NewRetry(inner, storage.RetryOptions{Sleep: noSleep})
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	broken := breaking{body, &sync.Once{}, func() { kill(t, pid) }}
	put(t, s, "packs/before", "x")
	if err := s.Put(t.Context(), "packs/a", io.NewSectionReader(broken, 0, int64(len(body)))); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if got, err := s.Get(t.Context(), "packs/a", 1<<30); err != nil || !bytes.Equal(got, body) {
		t.Errorf("Get: %d bytes, %v", len(got), err)
	}
	if got := names(t, s); !slices.Equal(got, []string{"packs/a", "packs/before"}) {
		t.Errorf("objects: %q", got)
	}
	if got := everything(t, root); len(got) != 3 {
		t.Errorf("files: %q, want the objects and what the killed Put left", got)
	}
	if err := storage.Tidy(t.Context(), s, "packs/a", time.Now().Add(-time.Hour)); err != nil || len(everything(t, root)) != 3 {
		t.Errorf("Tidy of what is older than an hour: %v, %q", err, everything(t, root))
	}
	if err := storage.Tidy(t.Context(), s, "packs/a", time.Now().Add(time.Hour)); err != nil || len(everything(t, root)) != 2 {
		t.Errorf("Tidy: %v, %q", err, everything(t, root))
	}
}

func TestContextThatEndsInAPutEndsItAtOnce(t *testing.T) {
	needServer(t, sftpServer)
	s := sftpPlace(t, filepath.Join(t.TempDir(), "vault"), sftpServer)()
	ctx, cancel := context.WithCancel(t.Context())
	body := breaking{make([]byte, 8<<20), &sync.Once{}, cancel}
	if err := s.Put(ctx, "packs/a", io.NewSectionReader(body, 0, 8<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v, want context.Canceled", err)
	}
	if got := names(t, s); len(got) != 0 { // on a new connection
		t.Errorf("objects: %q", got)
	}
}

func TestServerThatFallsSilentIsGivenUp(t *testing.T) {
	needServer(t, "/bin/sh")
	for name, command := range map[string][]string{"from the start": {"/bin/sh", "-c", "read x; read y"}, "and ends": {"/bin/sh", "-c", "echo nobody is here >&2"}} {
		s := openSFTP(t, storage.SFTPConfig{Command: command, Root: "/vault", Stall: 50 * time.Millisecond})
		r := storage.NewRetry(s, storage.RetryOptions{Sleep: noSleep})
		if _, err := r.Get(t.Context(), "a", 1); !errors.Is(err, storage.ErrUnreachable) || !strings.Contains(err.Error(), "after 4 attempts") {
			t.Errorf("%s: %v, want ErrUnreachable after 4 attempts", name, err)
		}
	}
}

func TestMissingProgramOrDirectoryIsAStoreOutOfReach(t *testing.T) {
	s := openSFTP(t, storage.SFTPConfig{Command: []string{filepath.Join(t.TempDir(), "no-ssh")}, Root: "/vault"})
	if _, err := s.Get(t.Context(), "a", 1); !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("without the program: %v", err)
	}
	needServer(t, sftpServer)
	root := filepath.Join(t.TempDir(), "not-mounted")
	s = openSFTP(t, storage.SFTPConfig{Command: []string{sftpServer}, Root: root})
	var listErr error
	for _, err := range s.List(t.Context(), "keys/") {
		listErr = err
	}
	_, getErr := s.Get(t.Context(), "keys/a", 1)
	for what, err := range map[string]error{"Get": getErr, "List": listErr, "Put": s.Put(t.Context(), "keys/a", storage.Body(nil)),
		"Delete": s.Delete(t.Context(), "keys/a")} {
		if !errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v, want ErrUnreachable alone", what, err)
		}
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
}

func TestServerThatRefusesARequestDenies(t *testing.T) {
	needServer(t, sftpServer)
	root := filepath.Join(t.TempDir(), "vault")
	put(t, sftpPlace(t, root, sftpServer)(), "a", "x")
	s := openSFTP(t, storage.SFTPConfig{Command: []string{sftpServer, "-P", "open,remove"}, Root: root})
	_, getErr := s.Get(t.Context(), "a", 1)
	for what, err := range map[string]error{"Get": getErr, "Delete": s.Delete(t.Context(), "a"), "Put": s.Put(t.Context(), "b", storage.Body(nil))} {
		if !errors.Is(err, storage.ErrDenied) {
			t.Errorf("%s: %v, want ErrDenied", what, err)
		}
	}
}

func TestFilesOverSFTPAreTheOwnersAlone(t *testing.T) {
	needServer(t, sftpServer)
	root := filepath.Join(t.TempDir(), "vault")
	put(t, sftpPlace(t, root, sftpServer, "-u", "0")(), "packs/d/a", "x")
	for p, want := range map[string]os.FileMode{"": 0o700, "packs": 0o700, "packs/d": 0o700, "packs/d/a": 0o600} {
		if info, err := os.Stat(filepath.Join(root, p)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v, want %v", p, info, err, want)
		}
	}
}
