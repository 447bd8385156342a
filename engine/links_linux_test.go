package engine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holm.example/internal/durable"
)

// leftIn are the temporary names at the top of a directory.
func leftIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if durable.IsTemporary(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestChildThatIsKilledInARestore is the restore of the test below.
func TestChildThatIsKilledInARestore(t *testing.T) {
	dir := os.Getenv("HOLM_TEST_KILLED_RESTORE")
	if dir == "" {
		t.Skip("only runs as a child of the test below")
	}
	s := &scene{t: t, dir: dir, vault: filepath.Join(dir, "vault"), data: filepath.Join(dir, "data"), src: filepath.Join(dir, "src"), wrap: same}
	now := time.Now()
	s.at = func() time.Time { now = now.Add(time.Second); return now }
	to := filepath.Join(dir, "to")
	_, err := s.restoreTo(RestoreOptions{To: to, Progress: func(Progress) {
		if len(leftIn(t, to)) > 0 {
			_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
		}
	}})
	t.Fatalf("the restore came to its end, %v", err)
}

func TestWhatAKilledRestoreOfHardLinksLeftIsGoneAfterTheNext(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{"a", "b", "c"} {
		s.write(name, noise(uint64(name[0]), 20_000))
		if err := os.Link(filepath.Join(s.src, name), filepath.Join(s.src, name+" too")); err != nil {
			t.Fatal(err)
		}
	}
	s.backup(s.data)
	want := looked(t, s.src)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildThatIsKilledInARestore$")
	child.Env = append(os.Environ(), "HOLM_TEST_KILLED_RESTORE="+s.dir)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
	to := filepath.Join(s.dir, "to")
	if names := leftIn(t, to); len(names) != 1 {
		t.Fatalf("the killed restore left %v, want its directory of names", names)
	}
	// Of others, or with a file that has no other name: these stay.
	others := []string{durable.TemporaryName(), durable.TemporaryName()}
	for i, name := range []string{"letter", strings.Repeat("0", 32)} {
		if err := errors.Join(os.Mkdir(filepath.Join(to, others[i]), 0o700), os.WriteFile(filepath.Join(to, others[i], name), []byte("mine"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: true}); err != nil || len(r.Problems) > 0 {
		t.Fatalf("problems %v, %v", r.Problems, err)
	}
	sameTrees(t, want, looked(t, filepath.Join(to, "src")))
	if names := leftIn(t, to); len(names) != 2 || !strings.Contains(strings.Join(others, " "), names[0]) || !strings.Contains(strings.Join(others, " "), names[1]) {
		t.Errorf("%v are left, want the two that are not ours: %v", names, others)
	}
}
