package source

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// shared is an ACL that lets user 1234 read and write.
func shared() []byte {
	b := []byte{2, 0, 0, 0}
	for _, e := range [][3]uint32{{1, 7, ^uint32(0)}, {2, 6, 1234}, {4, 5, ^uint32(0)}, {0x10, 7, ^uint32(0)}, {0x20, 5, ^uint32(0)}} {
		b = append(b, byte(e[0]), 0, byte(e[1]), 0, byte(e[2]), byte(e[2]>>8), byte(e[2]>>16), byte(e[2]>>24))
	}
	return b
}

func TestDefaultACLOfTheTargetIsNotLeftOnWhatHadNone(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Setxattr(dir, "system.posix_acl_default", shared(), 0); err != nil {
		t.Skip("no ACLs here: ", err)
	}
	tree := openTree(t, dir)
	me, us := uint32(os.Geteuid()), uint32(os.Getegid())
	with := []Attribute{{"system.posix_acl_access", string(shared())}}
	for _, c := range []struct {
		name  string
		e     Entry
		wants bool // an ACL
	}{
		{"plain", Entry{Kind: File, Mode: 0o664}, false},
		{"second", Entry{Kind: File, Mode: 0o600}, false},
		{"shared", Entry{Kind: File, Mode: 0o775, Attributes: with}, true},
		{"directory", Entry{Kind: Directory, Mode: 0o775}, false},
		{"fifo", Entry{Kind: Special, Special: FIFO, Mode: 0o664}, false},
		{"link", Entry{Kind: Symlink, Target: "nowhere"}, false},
	} {
		c.e.Name, c.e.UID, c.e.GID = c.name, me, us
		switch c.e.Kind {
		case Directory:
			must(t, tree.Mkdir(c.name))
		case Special:
			must(t, tree.Special(c.name, c.e))
		case Symlink:
			must(t, tree.Symlink("nowhere", c.name))
		default:
			f, err := tree.CreateAs(c.name, c.e)
			must(t, err)
			info, err := os.Stat(filepath.Join(dir, c.name))
			if must(t, err); !c.wants && info.Mode()&0o077 != 0 {
				t.Errorf("%s lets others in while it is written: %v", c.name, info.Mode())
			}
			refused, err := tree.Finish(f, c.name, c.e)
			must(t, err)
			must(t, refused)
		}
		if c.e.Kind != File {
			must(t, tree.SetMetadata(c.name, c.e))
		}
		got, err := tree.Lstat(c.name)
		if must(t, err); c.e.Kind != Symlink && got.Mode != c.e.Mode {
			t.Errorf("%s has mode %o, want %o", c.name, got.Mode, c.e.Mode)
		}
		for _, acl := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
			_, err := unix.Lgetxattr(filepath.Join(dir, c.name), acl, nil)
			if has := err == nil; has != (c.wants && acl == "system.posix_acl_access") {
				t.Errorf("%s has %s: %v, %v", c.name, acl, has, err)
			}
		}
	}
}
