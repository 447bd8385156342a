package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// morePrograms are those of this system's tests.
func morePrograms() map[string]func() { return map[string]func(){"peak": peak} }

// nobody is a user without rights to anything.
const nobody = 65534

// asNobody runs a program as a user who cannot read what mode 0 closes, which
// root can; its files become the user's: asnobody CODE PROGRAM [ARGUMENT...].
func asNobody(ts *testscript.TestScript, neg bool, args []string) {
	if os.Getuid() != 0 {
		status(ts, neg, args)
		return
	}
	work := ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(work, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
	program, err := exec.LookPath(args[1])
	if err != nil {
		// The program is only on the path of the script.
		program = filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[1])
	}
	// The directories that tests are run in are closed to others.
	for _, dir := range []string{work, filepath.Dir(program)} {
		for ; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
			ts.Check(os.Chmod(dir, 0o755))
		}
	}
	status(ts, neg, append([]string{args[0], "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program}, args[2:]...))
}

// nasty makes a directory of everything that is hard to bring back: nasty DIR.
func nasty(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(dir, "empty", "deeper"), 0o755))
	for name, content := range map[string]string{
		"latin1-\xe9": "not UTF-8", "line\nfeed": "x", " space ": "", "-dash": "y", "esc\x1b[31m": "z",
		"same 1": "the same", "same 2": "the same", "e\u0301": "two code points", "\u00e9": "one code point",
		strings.Repeat("n", 255): "longest name",
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o640))
	}
	noise(ts, neg, []string{filepath.Join(dir, "big"), "5242887"})
	ts.Check(os.Symlink("nowhere/\xff", filepath.Join(dir, "dangling")))
	ts.Check(os.Symlink("empty", filepath.Join(dir, "to a directory")))
	ts.Check(unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for name, mode := range map[string]uint32{"same 1": 0o4755, "same 2": 0o400, "-dash": 0o0, "empty": 0o1777, "empty/deeper": 0o555} {
		ts.Check(unix.Chmod(filepath.Join(dir, name), mode))
	}
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	for i, e := range entries {
		when := unix.NsecToTimespec(1_234_567_890_000_000_001 + int64(i)*1_000_000_007)
		ts.Check(unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, e.Name()), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW))
	}
	old := syscall.NsecToTimeval(-1_000_000_000)
	ts.Check(syscall.Utimes(filepath.Join(dir, "empty", "deeper"), []syscall.Timeval{old, old}))
}

// socket makes a socket that nobody listens on: socket FILE.
func socket(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(unix.Mknod(ts.MkAbs(args[0]), unix.S_IFSOCK|0o600, 0))
}

// condition knows the condition mounts: that file systems can be mounted.
func condition(cond string) (bool, error) {
	if cond != "mounts" {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	dir, err := os.MkdirTemp("", "holm-mount-")
	if err != nil {
		return false, err
	}
	defer os.Remove(dir)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return false, nil
	}
	return true, unix.Unmount(dir, 0)
}

// disk mounts a disk of a size on a directory until the script ends, or
// changes the size of the one that is there: disk DIR SIZE.
func disk(ts *testscript.TestScript, neg bool, args []string) {
	dir, size := ts.MkAbs(args[0]), "size="+args[1]
	if unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, size) == nil {
		return
	}
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, size))
	ts.Defer(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}
