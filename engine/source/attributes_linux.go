package source

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes are those of an entry of the directory that is no file: what a
// file has, its Reader tells. With an error come those that could be read.
func (d *Dir) Attributes(name string) ([]Attribute, error) {
	path := procPath(int(d.f.Fd()), name)
	return attributes(join(d.path, name),
		func(b []byte) (int, error) { return unix.Llistxattr(path, b) },
		func(a string, b []byte) (int, error) { return unix.Lgetxattr(path, a, b) })
}

// OwnAttributes are those of the directory itself.
func (d *Dir) OwnAttributes() ([]Attribute, error) { return handleAttributes(int(d.f.Fd()), d.path) }

// Attributes are those of the file. With an error come those that could be
// read.
func (r *Reader) Attributes() ([]Attribute, error) {
	list, err := handleAttributes(int(r.f.Fd()), r.f.Name())
	if r.entry.Sparse {
		list = append(list, Attribute{Name: AttributeSparse})
		sortAttributes(list)
	}
	return list, err
}

// handleAttributes are the attributes and flags of an open file or directory.
func handleAttributes(fd int, path string) ([]Attribute, error) {
	list, err := attributes(path,
		func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(a string, b []byte) (int, error) { return unix.Fgetxattr(fd, a, b) })
	if flags := getFlags(fd); flags != "" {
		list = append(list, Attribute{AttributeFlags, flags})
	}
	sortAttributes(list)
	return list, err
}

// procPath is a name of an open directory as a path, whatever became of the
// directory's own.
func procPath(dirfd int, name string) string {
	return "/proc/self/fd/" + strconv.Itoa(dirfd) + "/" + name
}

// attributes lists and gets. Most entries have none: that costs one call and
// no memory.
func attributes(path string, list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]Attribute, error) {
	var room [1024]byte
	names, err := sized(room[:], list)
	if err != nil || len(names) == 0 {
		return nil, failed("listxattr", path, none(err))
	}
	return appendAttributes(nil, "getxattr", path, strings.SplitSeq(string(names), "\x00"), kept, func(name string) ([]byte, error) {
		var room [256]byte
		return sized(room[:], func(b []byte) (int, error) { return get(name, b) })
	}, none)
}

// kept reports whether an attribute of the system is worth keeping: what the
// user, root or an ACL said, and not what the system makes by itself.
func kept(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.") || name == "security.capability" || isACL(name)
}

// isACL reports whether an attribute is an ACL. It is set after the mode,
// which it refines; everything else before: a mode can forbid it.
func isACL(name string) bool { return strings.HasPrefix(name, "system.posix_acl_") }

// none takes an attribute, or attributes at all, that are not there for no
// error.
func none(err error) error {
	if err == unix.ENODATA || err == unix.ENOTSUP || err == unix.EOPNOTSUPP {
		return nil
	}
	return err
}

// sized calls f with a buffer that is large enough.
func sized(b []byte, f func([]byte) (int, error)) ([]byte, error) {
	const most = 64 << 10 // of names, and of a value: XATTR_LIST_MAX
	for {
		n, err := f(b)
		switch {
		case err == unix.EINTR:
		case err == unix.ERANGE && len(b) < most:
			b = make([]byte, most)
		case err != nil:
			return nil, err
		default:
			return b[:n], nil
		}
	}
}

// setAttributes sets the ACLs, or all other attributes of the system.
func setAttributes(e *Entry, acls bool, set func(name string, value []byte) error) error {
	var problems []error
	for _, a := range e.Attributes {
		if kept(a.Name) && isACL(a.Name) == acls {
			problems = append(problems, failed("setxattr "+a.Name, e.Name, set(a.Name, []byte(a.Value))))
		}
	}
	return errors.Join(problems...)
}

// flagLetters are the flags of a file that are kept, by letter, rising, with
// the bits of linux/fs.h.
var flagLetters = []struct {
	letter string
	bit    int
}{{"a", 0x20}, {"d", 0x40}, {"i", 0x10}, {"t", 0x80}}

// getFlags are the flags of an open file, none where there are no such things.
func getFlags(fd int) (letters string) {
	bits, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return ""
	}
	for _, f := range flagLetters {
		if bits&f.bit != 0 {
			letters += f.letter
		}
	}
	return letters
}

// SetFlags gives a file or directory at a path the flags of e, after which
// perhaps nothing more can be done with it.
func (t *Tree) SetFlags(path string, e Entry) error {
	letters, ok := e.attribute(AttributeFlags)
	if !ok {
		return nil
	}
	return t.at(path, func(p *place, name string) error {
		fd, err := openatRetry(p.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
		if err != nil {
			return failed("open", name, err)
		}
		defer unix.Close(fd)
		bits, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
		for _, f := range flagLetters {
			if strings.Contains(letters, f.letter) {
				bits |= f.bit
			}
		}
		if err == nil {
			err = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, bits)
		}
		return failed("setting the flags", name, err)
	})
}

// barring are the flags that forbid to link, rename or remove a file.
const barring = 0x20 | 0x10

// Unbarred runs do while the file at a path has no flag that forbids to link,
// rename or remove it, and gives it its flags back, whatever do did.
func (t *Tree) Unbarred(path string, do func() error) error {
	return t.in(path, func(p *place, name string) error {
		fd, err := openatRetry(p.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
		if err != nil {
			return failed("open", name, err)
		}
		defer unix.Close(fd)
		bits, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
		if err != nil || bits&barring == 0 {
			return do()
		}
		if err := unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, bits&^barring); err != nil {
			return failed("clearing the flags", name, err)
		}
		err = do()
		return errors.Join(err, failed("setting the flags", name, unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, bits)))
	})
}

// Hole is how many bytes from an offset on are a hole of the file, 0 if there
// is data.
func (r *Reader) Hole(offset int64) int64 {
	data, err := unix.Seek(int(r.f.Fd()), offset, unix.SEEK_DATA)
	if err == unix.ENXIO {
		data, err = r.entry.Size, nil
	}
	if err != nil {
		return 0
	}
	return max(0, data-offset)
}
