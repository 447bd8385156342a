package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// looked is what this test itself sees of a tree, with its own system calls:
// by name, one line of everything that a restore must bring back. Names of one
// file are told by the first of them.
func looked(t *testing.T, root string) map[string]string {
	t.Helper()
	all, first := map[string]string{}, map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root)
		line := fmt.Sprintf("%o %d:%d %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", st.Size, sha256.Sum256(content))
			if _, ok := first[st.Ino]; !ok {
				first[st.Ino] = name
			}
			line += fmt.Sprintf(" %d names, one is %s, flags %x", st.Nlink, first[st.Ino], flagsIfAny(t, path))
		case unix.S_IFDIR:
			line += fmt.Sprintf(" flags %x", flagsIfAny(t, path))
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " " + target
		case unix.S_IFCHR, unix.S_IFBLK:
			line += fmt.Sprintf(" %x", st.Rdev)
		}
		all[name] = line + xattrs(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// flagsIfAny are the flags of a file or directory, none where the file system
// has no such things.
func flagsIfAny(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	bits, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	return bits & 0xf0
}

// flagged sets the flags of a file or directory, after which not much more can
// be done with it until unflagged.
func flagged(path string, bits int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	had, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, had|bits)
	}
	return errors.Join(err, f.Close())
}

// unflagged takes the flags of all that is below a directory, which else could
// not be removed.
func unflagged(root string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.Type().IsRegular() || d.IsDir()) {
			if f, err := os.Open(path); err == nil {
				if had, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil && had&0xf0 != 0 {
					_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, had&^0xf0)
				}
				_ = f.Close()
			}
		}
		return nil
	})
}

// xattrs are the extended attributes of an entry.
func xattrs(t *testing.T, path string) (line string) {
	t.Helper()
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if errors.Is(err, unix.ENOTSUP) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(string(names[:n]), "\x00")
	slices.Sort(list)
	for _, name := range list {
		if name == "" || strings.HasPrefix(name, "security.selinux") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatalf("%s of %s: %v", name, path, err)
		}
		line += fmt.Sprintf(" %s=%x", name, value[:n])
	}
	return line
}

// acl is an ACL as the kernel takes it: owner, user 1234, group, mask, others.
func acl() []byte {
	b := []byte{2, 0, 0, 0}
	for _, e := range [][3]uint32{{1, 6, ^uint32(0)}, {2, 4, 1234}, {4, 4, ^uint32(0)}, {0x10, 4, ^uint32(0)}, {0x20, 0, ^uint32(0)}} {
		b = append(b, byte(e[0]), 0, byte(e[1]), 0, byte(e[2]), byte(e[2]>>8), byte(e[2]>>16), byte(e[2]>>24))
	}
	return b
}

// mayLack is what a file system may refuse root of what rich makes; of one that
// is not here, everything.
var mayLack = map[string][]string{
	"tmpfs": {"user attribute", "empty attribute", "attribute of a directory"}, // before Linux 6.6
	"ext4":  {},
	"xfs":   {},
	"btrfs": {},
}

// rich makes a tree of everything that Linux keeps of files. It fails when the
// file system refuses what it should have.
func rich(t *testing.T, root, fsType string) {
	t.Helper()
	lacks := func(what string, err error) {
		t.Helper()
		may, known := mayLack[fsType]
		if err != nil && known && os.Geteuid() == 0 && !slices.Contains(may, what) {
			t.Errorf("%s refuses what it has, %s: %v", fsType, what, err)
		} else if err != nil {
			t.Logf("left out, %s: %v", what, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "d/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(root, name) }
	for i, name := range []string{"plain", "d/one", "d/acl", "d/cap", "d/xattr", "d/readonly", "d/setuid"} {
		if err := os.WriteFile(at(name), noise(uint64(i), 5000*i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(at("d/sparse"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("in the middle"), 3<<20)
	if err := errors.Join(err, f.Truncate(9<<20+17), f.Close()); err != nil {
		t.Fatal(err)
	}
	capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for what, do := range map[string]func() error{
		"hard link in the directory": func() error { return os.Link(at("d/one"), at("d/two")) },
		"hard link elsewhere":        func() error { return os.Link(at("d/one"), at("d/sub/three")) },
		"hard link of an empty file": func() error { return os.Link(at("plain"), at("z")) },
		"user attribute":             func() error { return unix.Setxattr(at("d/xattr"), "user.holm", []byte("\x00\xff"), 0) },
		"empty attribute":            func() error { return unix.Setxattr(at("d/readonly"), "user.empty", nil, 0) },
		"attribute of a directory":   func() error { return unix.Setxattr(at("d/sub"), "user.dir", []byte("d"), 0) },
		"trusted attribute":          func() error { return unix.Setxattr(at("d/xattr"), "trusted.holm", []byte("t"), 0) },
		"capability":                 func() error { return unix.Setxattr(at("d/cap"), "security.capability", capability, 0) },
		"ACL":                        func() error { return unix.Setxattr(at("d/acl"), "system.posix_acl_access", acl(), 0) },
		"default ACL":                func() error { return unix.Setxattr(at("d/sub"), "system.posix_acl_default", acl(), 0) },
		"fifo":                       func() error { return unix.Mkfifo(at("d/fifo"), 0o640) },
		"device":                     func() error { return unix.Mknod(at("d/null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
		"block device":               func() error { return unix.Mknod(at("d/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(7, 1234))) },
		"owner":                      func() error { return os.Lchown(at("d/setuid"), 1234, 2345) },
		"symbolic link":              func() error { return os.Symlink("no/where\xff", at("d/link")) },
	} {
		lacks(what, do())
	}
	if err := errors.Join(unix.Chmod(at("d/readonly"), 0o400), unix.Chmod(at("d/setuid"), 0o4755)); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"d/sparse", "d/acl", "d/link", "plain", "d/sub", "d"} {
		ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 1_500_000_000 + int64(i), Nsec: 123456789}}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, at(name), ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	rigid(t, at("rigid"), lacks)
}

// rigid makes files and directories below root that have flags.
func rigid(t *testing.T, root string, lacks func(what string, err error)) {
	t.Helper()
	t.Cleanup(func() { unflagged(root) })
	for what, bits := range map[string]int{"append-only": 0x20, "not dumped": 0x40, "immutable": 0x10, "no access time": 0x80, "append-only, not dumped": 0x60} {
		file, small, dir := filepath.Join(root, what), filepath.Join(root, what+" small"), filepath.Join(root, what+" directory")
		if err := errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(file, noise(uint64(bits), 9000), 0o640), // several chunks
			os.WriteFile(small, []byte(what), 0o640), os.WriteFile(filepath.Join(dir, "within"), []byte(what), 0o600)); err != nil {
			t.Fatal(err)
		}
		lacks(what+" file", flagged(file, bits))
		lacks(what+" small file", flagged(small, bits))
		lacks(what+" directory", flagged(dir, bits))
	}
}

// blocks is how many bytes a file takes on the disk.
func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks) * 512
}

func comesBack(t *testing.T, dir, fsType string) {
	t.Helper()
	s := newScene(t)
	s.src = filepath.Join(dir, "src")
	rich(t, s.src, fsType)
	s.backupOf(s.src)
	want := looked(t, s.src)
	to := filepath.Join(dir, "to")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(to, "system.posix_acl_default", acl(), 0); err != nil { // nothing may inherit it
		t.Logf("no default ACL of the target: %v", err)
	}
	t.Cleanup(func() { unflagged(to) })
	for _, overwrite := range []bool{false, true} {
		unflagged(to) // what is immutable is not replaced
		r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: overwrite})
		if err != nil || len(r.Problems) > 0 {
			t.Fatalf("problems %v, %v", r.Problems, err)
		}
		sameTrees(t, want, looked(t, filepath.Join(to, "src")))
		if had, has := blocks(t, filepath.Join(s.src, "d/sparse")), blocks(t, filepath.Join(to, "src/d/sparse")); has > had+64<<10 {
			t.Errorf("the sparse file takes %d bytes, and took %d", has, had)
		}
		if names, err := os.ReadDir(to); err != nil || len(names) != 1 {
			t.Errorf("%v is left behind, %v", names, err)
		}
	}
}

func TestEverythingThatLinuxKeepsOfFilesComesBack(t *testing.T) {
	t.Run("temporary directory", func(t *testing.T) { comesBack(t, t.TempDir(), "") })
	t.Run("tmpfs", func(t *testing.T) { comesBack(t, mounted(t, "tmpfs", ""), "tmpfs") })
	for fsType, size := range map[string]int64{"ext4": 64 << 20, "xfs": 320 << 20, "btrfs": 128 << 20} {
		t.Run(fsType, func(t *testing.T) { comesBack(t, mounted(t, fsType, imageOf(t, fsType, size)), fsType) })
	}
}

// putSocket commits a socket, as earlier versions stored them.
func (s *scene) putSocket(name string) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) {
		sources, err := e.catalog.Sources(e.state.Head().Device)
		if err != nil {
			s.t.Fatal(err)
		}
		top, _, err := e.catalog.Page(e.state.Head().Device, sources[0].ID, "")
		if err != nil {
			s.t.Fatal(err)
		}
		socket := vault.Node{Kind: vault.KindSpecial, Special: vault.Socket, Meta: vault.Meta{Mode: 0o600}}
		mark := &vault.Mark{ID: seal.ID{9}, Time: vault.TimeOf(e.now()), Sources: []seal.ID{sources[0].ID}}
		s.commit(e, &vault.Put{EntryName: vault.EntryName{Parent: top[0].Directory, Name: name}, Node: socket}, mark)
	})
}

func TestSocketOfAnOlderVersionIsRestoredAndTheNextBackupHasItNoMore(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("x"))
	if err := unix.Mknod(filepath.Join(s.src, "socket"), unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	if r := s.backup(s.data); r.Skipped != 1 || r.New != 2 {
		t.Errorf("report %+v, want that the socket was skipped", r)
	}
	s.putSocket("socket")
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(s.restore(s.data, "latest"), "socket"), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		t.Errorf("mode %o, %v, want a socket", st.Mode, err)
	}
	if r := s.backup(s.data); r.Skipped != 1 || r.Deleted != 1 {
		t.Errorf("report %+v, want that the socket is gone from the vault", r)
	}
	if names := contents(t, s.restore(s.data, "latest")); len(names) != 1 {
		t.Errorf("%v was restored", names)
	}
	s.clean(s.data)
}

// Holes are asked for while the file is read: that must not move the reading.
func TestSparseFilesComeBackWhereverTheirHolesAre(t *testing.T) {
	const mib = 1 << 20
	for name, data := range map[string][]int64{ // offsets of one MiB of noise each; the rest are holes
		"a short hole first":           {mib},
		"data, a hole, data":           {0, mib, 2 * mib, 4 * mib, 5 * mib, 6 * mib},
		"data and holes in turn":       {0, 2 * mib, 4 * mib, 6 * mib, 8 * mib, 10 * mib},
		"data, then a hole to the end": {0, mib, 2 * mib},
		"much data, a hole, much data": {0, mib, 2 * mib, 3 * mib, 4 * mib, 5 * mib, 12 * mib, 13 * mib, 14 * mib, 15 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			f, err := os.Create(filepath.Join(s.src, "sparse"))
			if err != nil {
				t.Fatal(err)
			}
			for i, at := range data {
				if _, err := f.WriteAt(noise(uint64(i), mib), at); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(f.Truncate(16*mib), f.Close()); err != nil {
				t.Fatal(err)
			}
			if blocks(t, f.Name()) >= 16*mib {
				t.Skip("this file system keeps no holes")
			}
			s.backup(s.data)
			sameTrees(t, image(t, s.src), image(t, s.restore(s.data, "")))
		})
	}
}

// A restore plans so many pieces before it reads them: a file that ends just
// behind that is one file all the same.
func TestFileThatEndsWhereAPlanIsFullIsRestoredAsOne(t *testing.T) {
	const planned, size = 8192, 4096 // pieces of a plan; bytes of the largest chunk here
	for _, chunks := range []int64{planned - 1, planned, planned + 1, 2*planned + 1} {
		t.Run(fmt.Sprint(chunks, " chunks"), func(t *testing.T) {
			s := newScene(t)
			f, err := os.Create(filepath.Join(s.src, "hole"))
			if err := errors.Join(err, f.Truncate(chunks*size), f.Close()); err != nil {
				t.Fatal(err)
			}
			s.backup(s.data)
			sameTrees(t, image(t, s.src), image(t, s.restore(s.data, "")))
		})
	}
}
