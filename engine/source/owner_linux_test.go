package source

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// club is a group that nobody is a member of in the test below.
const club = 4321

func TestMembersOfAGroupRestoreItAndOwnersAreCounted(t *testing.T) {
	if dir := os.Getenv("SOURCE_OWNERS"); dir != "" {
		restoreAsMember(t, dir)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root becomes somebody with groups of our choice")
	}
	dir, err := os.MkdirTemp("/tmp", "source-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "to"), 0o755), os.Chown(filepath.Join(dir, "to"), nobody, nobody)))
	exe := filepath.Join(dir, "test")
	data, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(exe, data, 0o755))
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SOURCE_OWNERS="+filepath.Join(dir, "to"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{club}}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("restoring as another user: %v\n%s", err, out)
	}
}

func restoreAsMember(t *testing.T, dir string) {
	t.Helper()
	for _, c := range []struct {
		name           string
		uid, gid, mode uint32
		gets, left     uint32 // group and mode that it ends with
		kept           int64
	}{
		{"mine", nobody, nobody, 0o640, nobody, 0o640, 0},
		{"of the club", nobody, club, 0o640, club, 0o640, 0},
		{"of the club, setgid", nobody, club, 0o2750, club, 0o2750, 0},
		{"of strangers, setgid", nobody, club + 1, 0o2750, nobody, 0o750, 1},
		{"of root and the club", 0, club, 0o6755, club, 0o2755, 1},
		{"of root", 0, 0, 0o644, nobody, 0o644, 1},
	} {
		for how, set := range map[string]func(tree *Tree, name string, e Entry) error{
			"finished": func(tree *Tree, name string, e Entry) error {
				f, err := tree.CreateAs(name, e)
				must(t, err)
				refused, err := tree.Finish(f, name, e)
				must(t, err)
				return refused
			},
			"set": func(tree *Tree, name string, e Entry) error {
				e.Kind = Directory
				must(t, tree.Mkdir(name))
				return tree.SetMetadata(name, e)
			},
		} {
			tree, err := OpenTree(dir, false)
			must(t, err)
			defer tree.Close()
			name := c.name + ", " + how
			err = set(tree, name, Entry{Name: name, Kind: File, Mode: c.mode, UID: c.uid, GID: c.gid})
			if lost := c.mode != c.left; errors.Is(err, ErrSetID) != lost || !lost && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got, err := tree.Lstat(name)
			must(t, err)
			if got.UID != nobody || got.GID != c.gets || got.Mode != c.left || tree.Kept() != c.kept {
				t.Errorf("%s: %d:%d %o, %d kept, want group %d, mode %o, %d kept", name, got.UID, got.GID, got.Mode, tree.Kept(), c.gets, c.left, c.kept)
			}
		}
	}
}
