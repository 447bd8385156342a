package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNamesThatAreNotUTF8ComeAndGoAsTheyAre(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	want := []string{"\x80\x81", "line\nfeed", "latin1-\xe9", "\xff"}
	slices.Sort(want)
	for _, name := range want {
		put(t, from, name, "x")
	}
	tree := openTree(t, to)
	must(t, tree.Mkdir("dir\xe9"))
	for e, err := range openDir(t, from).All() {
		must(t, err)
		f, err := tree.Create("dir\xe9/" + e.Name)
		must(t, err)
		must(t, f.Close())
		must(t, tree.SetMetadata("dir\xe9/"+e.Name, e))
	}
	got, err := namesIn(openDir(t, filepath.Join(to, "dir\xe9")))
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("written back as %q, expected %q", got, want)
	}
}

func TestEveryKindAndModeComesBack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	must(t, os.Symlink("to/nowhere\xff", filepath.Join(from, "link")))
	must(t, unix.Mkfifo(filepath.Join(from, "fifo"), 0o640))
	must(t, unix.Mknod(filepath.Join(from, "socket"), unix.S_IFSOCK|0o600, 0))
	for _, mode := range []uint32{0, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o6711, 0o7777} {
		name := fmt.Sprintf("f%04o", mode)
		put(t, from, name, name)
		must(t, unix.Chmod(filepath.Join(from, name), mode))
		must(t, os.Mkdir(filepath.Join(from, "d"+name), 0o700))
		must(t, unix.Chmod(filepath.Join(from, "d"+name), mode))
	}
	names, err := namesIn(openDir(t, from))
	must(t, err)
	for i, name := range names {
		when := unix.NsecToTimespec(1_000_000_000_000_000_001 + int64(i))
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(from, name), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW))
	}
	copyFlat(t, from, to)
	before, after := entries(t, from), entries(t, to)
	if len(after) != len(before) || len(before) != 21 {
		t.Fatalf("%d entries before, %d after", len(before), len(after))
	}
	for i, b := range before {
		a := after[i]
		if a.Name != b.Name || a.Kind != b.Kind || a.Mode != b.Mode || a.ModTime != b.ModTime || a.Target != b.Target || a.Special != b.Special {
			t.Errorf("came back as\n%+v, was\n%+v", a, b)
		}
	}
}

// copyFlat writes back one directory without contents.
func copyFlat(t *testing.T, from, to string) {
	t.Helper()
	tree := openTree(t, to)
	for _, e := range entries(t, from) {
		switch e.Kind {
		case File:
			f, ferr := tree.Create(e.Name)
			must(t, ferr)
			must(t, f.Close())
		case Directory:
			must(t, tree.Mkdir(e.Name))
		case Symlink:
			must(t, tree.Symlink(e.Target, e.Name))
		case Special:
			must(t, tree.Special(e.Name, e))
		}
		must(t, tree.SetMetadata(e.Name, e))
	}
}

// TestTimesThatTheFileSystemHoldsComeBack sets and asks with the tools of the
// system, which do not go through this package.
func TestTimesThatTheFileSystemHoldsComeBack(t *testing.T) {
	for _, when := range []string{"1969-12-31T23:59:59.999999999Z", "1938-04-24T22:13:20.000000001Z", "1901-12-14T00:00:00Z",
		"2038-01-19T03:14:08Z", "2262-04-12T00:00:00Z", "2378-01-01T00:00:00.5Z"} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		must(t, os.Mkdir(from, 0o755))
		must(t, os.Mkdir(to, 0o755))
		put(t, from, "file", "x")
		must(t, exec.Command("touch", "-d", when, filepath.Join(from, "file")).Run())
		want, err := exec.Command("stat", "-c", "%.9Y", filepath.Join(from, "file")).Output()
		must(t, err)
		copyFlat(t, from, to)
		got, err := exec.Command("stat", "-c", "%.9Y", filepath.Join(to, "file")).Output()
		must(t, err)
		if string(got) != string(want) {
			t.Errorf("%s: came back as %s, was %s", when, got, want)
		}
	}
}

func TestFIFONeitherHangsNorIsRead(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	done := make(chan error, 1)
	d := openDir(t, dir)
	go func() {
		_, err := d.OpenFile("fifo")
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotRegular) {
			t.Errorf("opening a FIFO: %v, expected ErrNotRegular", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("opening a FIFO hangs")
	}
}

func TestSymlinkIsNeverOpenedInPlaceOfAFileOrDirectory(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o755))
	put(t, dir, "file", "x")
	must(t, os.Symlink("real", filepath.Join(dir, "dirlink")))
	must(t, os.Symlink("file", filepath.Join(dir, "filelink")))
	d := openDir(t, dir)
	if _, err := d.OpenDir("dirlink"); err == nil {
		t.Error("a link to a directory was opened as a directory")
	}
	if _, err := d.OpenFile("filelink"); err == nil {
		t.Error("a link to a file was opened as a file")
	}
	var r record
	must(t, Walk(context.Background(), dir, "", &r))
	if !slices.Contains(r.lines, "symlink dirlink") || slices.Contains(r.lines, "enter dirlink") {
		t.Errorf("walked %q", r.lines)
	}
}

func TestAccessTimeIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "file", "content")
	old := time.Unix(1_000_000, 0)
	must(t, os.Chtimes(path, old, time.Now()))
	r, err := openDir(t, dir).OpenFile("file")
	must(t, err)
	defer r.Close()
	if _, err := r.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	must(t, err)
	if atime := info.Sys().(*syscall.Stat_t).Atim; int64(atime.Sec) != old.Unix() {
		t.Errorf("the access time moved to %d", atime.Sec)
	}
}

func TestDirectoryHandleSurvivesARename(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "old"), 0o755))
	put(t, dir, "old/file", "x")
	d := openDir(t, filepath.Join(dir, "old"))
	must(t, os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "new")))
	if _, err := d.Lstat("file"); err != nil {
		t.Errorf("after the rename: %v", err)
	}
}

// nobody is a user without rights, whose process the tests below become.
const nobody = 65534

func TestUnreadableDirectoriesAndFilesAreProblemsAndTheWalkGoesOn(t *testing.T) {
	if os.Getenv("SOURCE_WALK") != "" {
		walkAsNobody(t, os.Getenv("SOURCE_WALK"))
		return
	}
	dir, err := os.MkdirTemp("/tmp", "source-")
	must(t, err)
	t.Cleanup(func() {
		os.Chmod(filepath.Join(dir, "listed"), 0o755)
		os.RemoveAll(dir)
	})
	must(t, os.Chmod(dir, 0o755))
	for name, mode := range map[string]fs.FileMode{"closed": 0o000, "listed": 0o744, "open": 0o755} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		put(t, dir, name+"/file", "x")
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	put(t, dir, "unreadable", "x")
	must(t, os.Chmod(filepath.Join(dir, "unreadable"), 0))
	if os.Getuid() != 0 {
		walkAsNobody(t, dir)
		return
	}
	// Root reads everything, so the walk is done by another user.
	exe := filepath.Join(dir, "open", "test")
	data, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(exe, data, 0o755))
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SOURCE_WALK="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("walking as another user: %v\n%s", err, out)
	}
}

func walkAsNobody(t *testing.T, dir string) {
	t.Helper()
	var r record
	must(t, Walk(context.Background(), dir, "", &r))
	slices.Sort(r.problems)
	if !slices.Equal(r.problems, []string{"closed", "listed/file"}) {
		t.Errorf("problems %q", r.problems)
	}
	for _, line := range []string{"leave listed false", "leave open true", "file unreadable", "leave  true"} {
		if !slices.Contains(r.lines, line) {
			t.Errorf("no line %q in %q", line, r.lines)
		}
	}
	if _, err := openDir(t, dir).OpenFile("unreadable"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("opening an unreadable file: %v", err)
	}
}

func TestOwnerIsSetForRootThatAskedForIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	put(t, dir, "file", "x")
	must(t, os.Symlink("nowhere", filepath.Join(dir, "link")))
	tree, err := OpenTree(dir, true)
	must(t, err)
	defer tree.Close()
	must(t, tree.SetMetadata("file", Entry{Kind: File, Mode: 0o4755, UID: 1234, GID: 2345}))
	must(t, tree.SetMetadata("link", Entry{Kind: Symlink, UID: 3456, GID: 4567}))
	e, err := tree.Lstat("file")
	must(t, err)
	if e.UID != 1234 || e.GID != 2345 || e.Mode != 0o4755 {
		t.Errorf("the file is %+v", e)
	}
	if e, err = tree.Lstat("link"); err != nil || e.UID != 3456 || e.GID != 4567 {
		t.Errorf("the link is %+v, %v", e, err)
	}
}

func TestSetUIDAndSetGIDAreSetOnlyWithTheOwnerAndGroupTheyAreFor(t *testing.T) {
	dir := t.TempDir()
	tree, err := OpenTree(dir, false) // as who may not give files away
	must(t, err)
	defer tree.Close()
	me, us := uint32(os.Geteuid()), uint32(os.Getegid())
	for i, c := range []struct{ uid, gid, mode, want uint32 }{
		{me, us, 0o6755, 0o6755},
		{me + 1, us, 0o6755, 0o2755},
		{me, us + 1, 0o6755, 0o4755},
		{me + 1, us + 1, 0o7711, 0o1711},
		{me + 1, us + 1, 0o755, 0o755},
	} {
		e := Entry{Kind: File, Mode: c.mode, UID: c.uid, GID: c.gid}
		for how, set := range map[string]func(name string) error{
			"finished": func(name string) error {
				f, err := tree.CreateAs(name, e)
				must(t, err)
				refused, err := tree.Finish(f, name, e)
				must(t, err)
				return refused
			},
			"set": func(name string) error {
				put(t, dir, name, "x")
				return tree.SetMetadata(name, e)
			},
			"set again": func(name string) error { // what has the bit already loses it
				must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o755))
				must(t, unix.Chmod(filepath.Join(dir, name), 0o6755))
				return tree.SetMetadata(name, e)
			},
			"directory": func(name string) error {
				must(t, tree.Mkdir(name))
				d := e
				d.Kind = Directory
				return tree.SetMetadata(name, d)
			},
		} {
			name := fmt.Sprint(how, i)
			err := set(name)
			if lost := c.mode != c.want; errors.Is(err, ErrSetID) != lost || !lost && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := tree.Lstat(name); err != nil || got.Mode != c.want || got.UID != me {
				t.Errorf("%s: %o of %d, %v, want %o", name, got.Mode, got.UID, err, c.want)
			}
		}
	}
}
func TestSetUIDIsLeftOutWhereTheOwnerIsRefused(t *testing.T) {
	dir := t.TempDir()
	tree, err := OpenTree(dir, true)
	must(t, err)
	defer tree.Close()
	e := Entry{Kind: File, Mode: 0o4755, UID: uint32(os.Geteuid()) + 1, GID: uint32(os.Getegid())}
	put(t, dir, "set", "x")
	f, err := tree.Create("finished")
	must(t, err)
	done := make(chan [2]error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends, and with it what it lost
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		data[0].Effective &^= 1 << unix.CAP_CHOWN
		if err = errors.Join(err, unix.Capset(&header, &data[0])); err != nil {
			done <- [2]error{err, err}
			return
		}
		refused, err := tree.Finish(f, "finished", e)
		done <- [2]error{tree.SetMetadata("set", e), errors.Join(refused, err)}
	}()
	for i, err := range <-done {
		name := []string{"set", "finished"}[i]
		if !errors.Is(err, ErrSetID) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, want that the owner and the bit were refused", name, err)
		}
		if got, err := tree.Lstat(name); err != nil || got.Mode != 0o755 {
			t.Errorf("%s: %o, %v", name, got.Mode, err)
		}
	}
}

func TestDeviceKeepsItsNumbers(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	err := tree.Special("null", Entry{Kind: Special, Special: CharDevice, Major: 1, Minor: 3})
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("devices cannot be made here")
	}
	must(t, err)
	e, err := tree.Lstat("null")
	must(t, err)
	if e.Special != CharDevice || e.Major != 1 || e.Minor != 3 {
		t.Errorf("the device is %+v", e)
	}
}

func TestAttributesBeyondWhatIsKeptAreNotRead(t *testing.T) {
	names, value, read := "", make([]byte, 64<<10), 0
	for i := range 140 {
		names += fmt.Sprintf("user.%d\x00", i)
	}
	list, err := attributes("file",
		func(b []byte) (int, error) {
			if len(b) < len(names) {
				return 0, unix.ERANGE
			}
			return copy(b, names), nil
		},
		func(_ string, b []byte) (int, error) {
			if len(b) < len(value) {
				return 0, unix.ERANGE
			}
			read++
			return copy(b, value), nil
		})
	if !errors.Is(err, ErrAttributes) || len(list) != 15 || read != 16 {
		t.Errorf("%d attributes, %d read, %v", len(list), read, err)
	}
}

// A FIFO whose other end is open is read here as the few files are that look
// regular and wait, such as /proc/kmsg.
func TestReadingWhatHasNothingToGiveIsAnErrorAndDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fifo")
	must(t, unix.Mkfifo(path, 0o600))
	end, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer end.Close()
	d, err := OpenDir(dir)
	must(t, err)
	defer d.Close()
	f, err := d.open("fifo")
	must(t, err)
	r := &Reader{f: f}
	if _, err = statFile(f, "fifo"); err != nil { // as OpenFile does
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 10))
		got <- err
	}()
	select {
	case err := <-got:
		if !errors.Is(err, unix.EAGAIN) {
			t.Errorf("%v, want EAGAIN", err)
		}
		must(t, r.Close())
	case <-time.After(10 * time.Second):
		t.Fatal("the reader waits")
	}
}
