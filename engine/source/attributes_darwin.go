package source

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes are those of an entry of the directory that is no file: what a
// file has, its Reader tells. With an error come those that could be read.
func (d *Dir) Attributes(name string) ([]Attribute, error) {
	path := join(d.path, name) // there is no call that is relative to a directory
	return attributes(path,
		func(b []byte) (int, error) { return unix.Llistxattr(path, b) },
		func(a string, b []byte) (int, error) { return unix.Lgetxattr(path, a, b) })
}

// OwnAttributes are those of the directory itself.
func (d *Dir) OwnAttributes() ([]Attribute, error) { return handleAttributes(int(d.f.Fd()), d.path) }

// Attributes are those of the file. With an error come those that could be
// read.
func (r *Reader) Attributes() ([]Attribute, error) {
	return handleAttributes(int(r.f.Fd()), r.f.Name())
}

// handleAttributes are the attributes and flags of an open file or directory.
func handleAttributes(fd int, path string) ([]Attribute, error) {
	list, err := attributes(path,
		func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(a string, b []byte) (int, error) { return unix.Fgetxattr(fd, a, b) })
	var st unix.Stat_t
	if serr := unix.Fstat(fd, &st); serr != nil {
		return list, errors.Join(err, failed("fstat", path, serr))
	}
	if letters := lettersOf(st.Flags); letters != "" {
		list = append(list, Attribute{AttributeFlags, letters})
	}
	sortAttributes(list)
	return list, err
}

// kept reports whether an attribute of the system is worth keeping: not what
// only the system sets, and not what means something on other systems only.
func kept(name string) bool {
	for _, prefix := range []string{"holm.", "com.apple.system.", "system.", "trusted.", "security."} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return name != "" && name != "com.apple.provenance" && name != "com.apple.macl"
}

// attributes lists and gets. com.apple.ResourceFork and com.apple.FinderInfo
// are attributes like any other.
func attributes(path string, list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]Attribute, error) {
	names, err := whole(list)
	if err != nil {
		return nil, failed("listxattr", path, none(err))
	}
	return appendAttributes(nil, "getxattr", path, strings.SplitSeq(string(names), "\x00"), kept, func(name string) ([]byte, error) {
		return whole(func(b []byte) (int, error) { return get(name, b) })
	}, none)
}

// none takes an attribute, or attributes at all, that are not there for no
// error.
func none(err error) error {
	if err == unix.ENOATTR || err == unix.ENOTSUP || err == unix.EPERM {
		return nil // EPERM: of what can have none, a device for example
	}
	return err
}

// whole asks f for the size first: of a resource fork it would give a part.
func whole(f func([]byte) (int, error)) ([]byte, error) {
	const most = 64 << 10 // what the vault has room for
	for {
		n, err := f(nil)
		if err != nil || n == 0 {
			return nil, err
		}
		if n > most {
			return nil, unix.E2BIG
		}
		b := make([]byte, n)
		got, err := f(b)
		if err != unix.ERANGE && (err != nil || got == n) {
			return b, err
		}
	}
}

// flagLetters are the flags of a file that are kept, by letter, rising, with
// the bits of sys/stat.h: SF_APPEND, SF_IMMUTABLE, UF_APPEND, UF_NODUMP,
// UF_HIDDEN, UF_IMMUTABLE.
var flagLetters = []struct {
	letter string
	bit    uint32
}{{"A", 0x40000}, {"I", 0x20000}, {"a", 0x4}, {"d", 0x1}, {"h", 0x8000}, {"i", 0x2}}

func lettersOf(flags uint32) (letters string) {
	for _, f := range flagLetters {
		if flags&f.bit != 0 {
			letters += f.letter
		}
	}
	return letters
}

func flagsOf(letters string) (flags uint32) {
	for _, f := range flagLetters {
		if strings.Contains(letters, f.letter) {
			flags |= f.bit
		}
	}
	return flags
}

// SetFlags gives a file or directory at a path the flags of e, after which
// perhaps nothing more can be done with it.
func (t *Tree) SetFlags(path string, e Entry) error {
	letters, ok := e.attribute(AttributeFlags)
	if !ok {
		return nil
	}
	return t.at(path, func(p *place, name string) error {
		return p.itself(name, func(fd int) error {
			var st unix.Stat_t
			err := unix.Fstat(fd, &st)
			if err == nil {
				err = unix.Fchflags(fd, int(st.Flags|flagsOf(letters)))
			}
			return failed("setting the flags", name, err)
		})
	})
}

// Unbarred runs do while the file at a path has no flag that forbids to link,
// rename or remove it, and gives it its flags back, whatever do did.
func (t *Tree) Unbarred(path string, do func() error) error {
	return t.in(path, func(p *place, name string) error {
		return p.itself(name, func(fd int) error {
			barring := flagsOf("aiAI")
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil || st.Flags&barring == 0 {
				return do()
			}
			if err := unix.Fchflags(fd, int(st.Flags&^barring)); err != nil {
				return failed("clearing the flags", name, err)
			}
			err := do()
			return errors.Join(err, failed("setting the flags", name, unix.Fchflags(fd, int(st.Flags))))
		})
	})
}

// itself opens an entry, or a link itself, for what takes a handle.
func (p *place) itself(name string, do func(fd int) error) error {
	fd, err := openatRetry(p.fd, name, unix.O_RDONLY|unix.O_SYMLINK|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err != nil {
		return failed("open", name, err)
	}
	return errors.Join(do(fd), failed("close", name, unix.Close(fd)))
}

// setAttributes sets all attributes of an entry at once: none are ACLs.
func (p *place) setAttributes(name string, e *Entry, acls bool) error {
	if acls || !slices.ContainsFunc(e.Attributes, func(a Attribute) bool { return kept(a.Name) }) {
		return nil
	}
	return p.itself(name, func(fd int) error {
		var problems []error
		for _, a := range e.Attributes {
			if kept(a.Name) {
				problems = append(problems, failed("setxattr "+a.Name, name, unix.Fsetxattr(fd, a.Name, []byte(a.Value), 0)))
			}
		}
		return errors.Join(problems...)
	})
}

// Hole finds no holes.
func (r *Reader) Hole(int64) int64 { return 0 }
