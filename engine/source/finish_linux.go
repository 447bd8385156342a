package source

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Finish gives the file at a path, which is open, the metadata of e, as
// SetMetadata does, and closes it. What it has already is not set again.
// refused is about metadata, err about content.
func (t *Tree) Finish(f *NewFile, _ string, e Entry) (refused, err error) {
	var problems []error
	mode := f.is.mode
	changed, err := t.owning.give(f.name, f.is.uid, f.is.gid, &e, func(uid, gid int) error { return unix.Fchown(f.fd, uid, gid) })
	if changed {
		mode &^= SetUID | SetGID
	}
	problems = append(problems, err)
	if f.is.acl && !e.has(accessACL) {
		problems = append(problems, failed("removexattr "+accessACL, f.name, none(unix.Fremovexattr(f.fd, accessACL))))
	}
	problems = append(problems, setAttributes(&e, false, func(name string, value []byte) error { return unix.Fsetxattr(f.fd, name, value, 0) }))
	want, err := e.modeFor(func() (uint32, uint32, error) {
		now, err := look(f.fd)
		return now.uid, now.gid, err
	})
	problems = append(problems, failed("chmod", f.name, err))
	if mode != want || mode != f.is.mode {
		problems = append(problems, failed("chmod", f.name, unix.Fchmod(f.fd, want)))
	}
	problems = append(problems, setAttributes(&e, true, func(name string, value []byte) error { return unix.Fsetxattr(f.fd, name, value, 0) }))
	problems = append(problems, failed("utimensat", f.name, utimes(f.fd, "", e.ModTime)))
	if e.ModTime.rare() {
		var st unix.Stat_t
		err := unix.Fstat(f.fd, &st)
		there := entryOf(f.name, &st)
		if err == nil {
			err = wideTimes(f.fd, "", &there)
		}
		if err == nil {
			err = checkModTime(there, e)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...), f.Close()
}
