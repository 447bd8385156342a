package source

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// The ACL of an entry, and what new entries of a directory inherit as theirs.
const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// bequeath is whether new entries of a directory inherit an ACL, which is
// looked up once, when the first is made.
type bequeath struct{ known, acl bool }

// bequeaths reports whether new entries of the directory inherit an ACL.
func (p *place) bequeaths() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bequeath.known {
		n, err := unix.Fgetxattr(p.fd, defaultACL, nil)
		p.bequeath = bequeath{known: true, acl: err == nil && n > 0}
	}
	return p.bequeath.acl
}

// disinherit takes from an entry the ACLs that e had not: those of the
// directory that it was made in, or, of a directory, that it had before.
func (p *place) disinherit(name string, e *Entry) error {
	if e.Kind == Symlink || e.Kind != Directory && !p.bequeaths() {
		return nil
	}
	path := procPath(p.fd, name)
	var room [1024]byte
	names, err := sized(room[:], func(b []byte) (int, error) { return unix.Llistxattr(path, b) })
	if err != nil {
		return failed("listxattr", name, none(err))
	}
	for _, acl := range []string{accessACL, defaultACL} {
		if err == nil && bytes.Contains(names, []byte(acl)) && !e.has(acl) {
			err = none(unix.Lremovexattr(path, acl))
		}
	}
	return failed("removing an inherited ACL", name, err)
}
