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

// flagsOf are the flags of a file as FS_IOC_GETFLAGS has them, of those that
// a user can set.
func flagsOf(t *testing.T, path string) (bits int) {
	t.Helper()
	f, err := os.Open(path)
	if err == nil {
		bits, err = unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return bits & 0xf0
}

// setFlags gives a file flags, or skips the test.
func setFlags(t *testing.T, path string, bits int) {
	t.Helper()
	f, err := os.Open(path)
	if err == nil {
		err = errors.Join(unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, bits), f.Close())
	}
	if err != nil {
		t.Skipf("no flags can be set here: %v", err)
	}
}

func TestHardLinksOfImmutableAndAppendOnlyFilesAreRestoredWithThem(t *testing.T) {
	s := newScene(t)
	to := filepath.Join(s.dir, "to")
	flags := map[string]int{"append-only": 0x20, "immutable": 0x10}
	free := func() { // or the directory of the test cannot be removed
		_ = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
			if f, oerr := os.Open(path); oerr == nil && d.Type().IsRegular() {
				_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0)
				_ = f.Close()
			}
			return err
		})
	}
	t.Cleanup(free)
	for name, bits := range flags {
		s.write(name, noise(uint64(bits), 20_000))
		for _, other := range []string{" second", " third"} {
			if err := os.Link(filepath.Join(s.src, name), filepath.Join(s.src, name+other)); err != nil {
				t.Fatal(err)
			}
		}
		setFlags(t, filepath.Join(s.src, name), bits)
	}
	s.backup(s.data)
	want := looked(t, s.src)
	for try := range 2 {
		if r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: true}); err != nil || len(r.Problems) > 0 {
			t.Fatalf("problems %v, %v", r.Problems, err)
		}
		sameTrees(t, want, looked(t, filepath.Join(to, "src")))
		for name, bits := range flags {
			if got := flagsOf(t, filepath.Join(to, "src", name+" third")); got != bits {
				t.Errorf("%s has the flags %#x, want %#x", name, got, bits)
			}
		}
		if names := leftIn(t, to); len(names) > 0 {
			t.Errorf("%v is left", names)
		}
		if try > 0 {
			break
		}
		// The next restore replaces them, and finds what a killed one left.
		free()
		left, mine := durable.TemporaryName(), filepath.Join(to, "mine")
		if err := errors.Join(os.Mkdir(filepath.Join(to, left), 0o700), os.WriteFile(mine, nil, 0o600),
			os.Link(mine, filepath.Join(to, left, strings.Repeat("0", 32)))); err != nil {
			t.Fatal(err)
		}
		setFlags(t, mine, 0x10)
	}
}
