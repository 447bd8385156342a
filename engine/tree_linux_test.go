package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNastyTreeRestoresBitForBit(t *testing.T) {
	s := newScene(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.write("caf\xe9 latin1", []byte("not UTF-8"))
	s.write("\xff\xfe\x01\x1b[31m", []byte("control"))
	s.write("caf\u00e9", []byte("composed"))
	s.write("cafe\u0301", []byte("decomposed"))
	s.write("Case", []byte("upper"))
	s.write("case", []byte("lower"))
	s.write(" leading and trailing ", []byte("blank"))
	s.write("back\\slash", []byte("\\"))
	s.write("new\nline", []byte("\n"))
	s.write(strings.Repeat("n", 255), []byte("longest"))
	s.write(strings.Repeat("deep/", 60)+"leaf", []byte("leaf"))
	s.write("setuid", []byte("#!"))
	must(unix.Chmod(filepath.Join(s.src, "setuid"), 0o4755))
	s.write("closed", []byte("mode 0000"))
	must(os.Chmod(filepath.Join(s.src, "closed"), 0))
	must(os.MkdirAll(filepath.Join(s.src, "empty/er"), 0o700))
	must(os.Mkdir(filepath.Join(s.src, "sticky"), 0o755))
	must(unix.Chmod(filepath.Join(s.src, "sticky"), 0o1777))
	must(os.Symlink("to/no/where", filepath.Join(s.src, "dangling")))
	must(os.Symlink("/etc/passwd", filepath.Join(s.src, "absolute")))
	must(os.Symlink("caf\xe9", filepath.Join(s.src, "link\xe9")))
	must(unix.Mkfifo(filepath.Join(s.src, "fifo"), 0o640))
	s.write("many chunks", noise(1, 3<<20)) // more than 1,024 ids: stored as list chunks
	s.write("same twice", bytes.Repeat([]byte("again and again "), 200_000))
	f, err := os.Create(filepath.Join(s.src, "sparse"))
	must(err)
	_, err = f.WriteAt([]byte("end"), 70<<20)
	must(errors.Join(err, f.Close()))
	for i, name := range []string{"case", "dangling", "empty/er", "fifo", "sticky", ""} {
		ts := []unix.Timespec{unix.NsecToTimespec(0), unix.NsecToTimespec(1_500_000_000_999_999_999 - int64(i))}
		must(unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(s.src, name), ts, unix.AT_SYMLINK_NOFOLLOW))
	}
	must(os.Chtimes(filepath.Join(s.src, "Case"), time.Time{}, time.Unix(-86400, 5))) // before 1970
	want := image(t, s.src)
	s.backup(s.data)
	s.clean(s.data)
	sameTrees(t, want, image(t, s.restore(s.data, "latest")))
	s.ahead = time.Hour
	s.backup(s.data)
	if r := s.backup(s.data); r.Changed != 0 {
		t.Errorf("%d entries look changed", r.Changed)
	}
}

func TestUnreadableSourceIsReportedAndKeepsItsLastState(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	s := newScene(t)
	s.write("open", []byte("one"))
	s.write("shut/file", []byte("two"))
	s.write("secret", []byte("three"))
	want := image(t, s.src)
	s.backup(s.data)
	for _, name := range []string{"shut", "secret"} {
		if err := os.Chmod(filepath.Join(s.src, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	s.with(s.data, func(e *Engine) {
		r, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src, filepath.Join(s.dir, "missing")}})
		if err != nil || r.Snapshot == "" || len(r.Problems) != 3 {
			t.Errorf("report %+v, %v", r, err)
		}
	})
	for _, name := range []string{"shut", "secret"} {
		if err := os.Chmod(filepath.Join(s.src, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got := image(t, s.restore(s.data, ""))
	for _, name := range []string{"open", "shut/file", "secret"} {
		if got[name] != want[name] {
			t.Errorf("%s: %q, want %q", name, got[name], want[name])
		}
	}
}

// asNobody runs the test that called it again without the rights of root, for
// whom nothing is unreadable.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	dir, err := os.MkdirTemp("", "holm-nobody-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(dir, "test")
	if err := errors.Join(os.WriteFile(test, exe, 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), test, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, []string{"TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
}

func TestRestoreTouchesNothingThatIsThere(t *testing.T) {
	s := newScene(t)
	s.write("a", []byte("from the vault"))
	s.write("d/b", []byte("from the vault"))
	s.backup(s.data)
	to := filepath.Join(s.dir, "to")
	restore := func(overwrite bool) RestoreReport {
		var r RestoreReport
		s.with(s.data, func(e *Engine) {
			var err error
			r, err = e.Restore(t.Context(), RestoreOptions{To: to, Paths: []string{"src/a", s.src + "/d"}, Overwrite: overwrite})
			if err != nil {
				t.Fatal(err)
			}
		})
		return r
	}
	if r := restore(false); len(r.Problems) != 0 || r.Files != 2 {
		t.Fatalf("first: %+v", r)
	}
	mine := []byte("mine")
	if err := os.WriteFile(filepath.Join(to, "a"), mine, 0o644); err != nil {
		t.Fatal(err)
	}
	r := restore(false)
	if len(r.Problems) != 2 || !errors.Is(r.Problems[0].Err, ErrRenamed) {
		t.Fatalf("second: %+v", r)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(to, name))
		return fmt.Sprint(string(b), err)
	}
	if read("a") != "mine<nil>" || read("a~2") != "from the vault<nil>" || read("d~2/b") != "from the vault<nil>" {
		t.Errorf("a %s, a~2 %s, d~2/b %s", read("a"), read("a~2"), read("d~2/b"))
	}
	if r := restore(true); len(r.Problems) != 0 || read("a") != "from the vault<nil>" {
		t.Errorf("overwriting: %+v, a is %s", r, read("a"))
	}
}
