// Package durable changes names in the file system so that a change survives
// a power cut.
//
// The promise: when a function of this package returns nil, what it did is on
// the disk. When it returns an error, or the machine stops half way, a name
// holds either what it held before or the whole of what was to be written,
// never a part; which of the two is not known. Contents are written to a
// temporary file in the same directory, synced, given their name in one step,
// and then the directory is synced. A write or sync that was refused is never
// tried again on the same file, because the kernel may have dropped the dirty
// pages it reported.
//
// CreateFile and CreateFrom are create-only: of any number of callers, on any
// number of machines that share the directory, exactly one gets the name and
// the others fs.ErrExist. They use a hard link, and where the file system has
// none a rename that refuses to replace.
//
// The gap: a disk or a controller that acknowledges a flush it has not done
// defeats all of this, and so does a file system whose directory sync does
// nothing (some FUSE and network file systems refuse it; the refusal is taken
// for "nothing to do"). Windows has no documented directory sync: there every
// rename is written through instead, and the removal of a name may come back
// after a power cut. A crash can leave temporary files behind; IsTemporary
// knows them by name and RemoveTemporary clears them away.
package durable

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// temporaryPrefix and temporarySuffix enclose the names of temporary files.
const (
	temporaryPrefix = ".holm-"
	temporarySuffix = ".tmp"
	temporaryRandom = 8 // bytes, written as hexadecimal digits
)

// A disk is what this package asks of the file system. The tests put one
// there that loses power.
type disk interface {
	// create makes a file that must not exist.
	create(name string, perm fs.FileMode) (file, error)
	// publish gives a temporary file its name: create-only or replacing.
	publish(temporary, name string, replace bool) error
	remove(name string) error
	syncDir(dir string) error
}

// A file is an open file of a disk.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// WriteFile makes name hold data, replacing a file that is there. perm is
// subject to the umask, and applies to a replaced file as well.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return write(system{}, name, bytes.NewReader(data), perm, true)
}

// WriteFrom makes name hold everything that src gives, replacing a file that
// is there. An error of src leaves name alone.
func WriteFrom(name string, src io.Reader, perm fs.FileMode) error {
	return write(system{}, name, src, perm, true)
}

// CreateFile makes the new file name hold data. The error is fs.ErrExist when
// something has that name already, and ErrNotCreateOnly when the file system
// cannot promise that.
func CreateFile(name string, data []byte, perm fs.FileMode) error {
	return write(system{}, name, bytes.NewReader(data), perm, false)
}

// CreateFrom is CreateFile for contents that do not fit memory. An error of
// src leaves the name free.
func CreateFrom(name string, src io.Reader, perm fs.FileMode) error {
	return write(system{}, name, src, perm, false)
}

// CreateLink gives an open file that the caller has written the new name name
// as well, when its content is on the disk: CreateFrom without a copy. The
// error is fs.ErrExist when something else has that name already, and
// errors.ErrUnsupported, with nothing done, when one file cannot have both
// names, on two file systems for example. The file must not be written any more.
func CreateLink(name string, f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := linkName(f.Name(), name); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// Rename gives old the name new, replacing a file that is there. Both names
// must lie on one file system.
func Rename(old, new string) error {
	return rename(system{}, old, new)
}

// Remove removes a file or an empty directory.
func Remove(name string) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// MkdirAll makes a directory and the parents it lacks, each one synced into
// its own parent, in that order. The deepest one that is there already is left
// as it is but synced too, because whoever made it may have been stopped
// before that; not if its parent may not be read.
func MkdirAll(dir string, perm fs.FileMode) error {
	return mkdirAll(dir, perm, os.Mkdir, SyncDir)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	return system{}.syncDir(dir)
}

// IsTemporary reports whether a base name is one that this package gives to a
// file before it has its own name. Whoever lists a directory leaves them out.
func IsTemporary(base string) bool {
	digits, ok := strings.CutPrefix(base, temporaryPrefix)
	if !ok {
		return false
	}
	digits, ok = strings.CutSuffix(digits, temporarySuffix)
	if !ok || len(digits) != 2*temporaryRandom {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

// RemoveTemporary removes the temporary files in a directory that were last
// written before the given time, as a crash leaves them. Files that vanish
// meanwhile are no error.
func RemoveTemporary(dir string, before time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, e := range entries {
		if !IsTemporary(e.Name()) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
			continue
		}
		if err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// write puts the contents of src under name, by way of a temporary file.
func write(d disk, name string, src io.Reader, perm fs.FileMode, replace bool) error {
	dir := filepath.Dir(name)
	temporary := filepath.Join(dir, TemporaryName())
	if err := fill(d, temporary, src, perm); err != nil {
		return named(name, err)
	}
	if err := d.publish(temporary, name, replace); err != nil {
		d.remove(temporary)
		return named(name, err)
	}
	if err := d.syncDir(dir); err != nil {
		return named(name, err)
	}
	return nil
}

// named gives an error the name that the caller knows in place of that of the
// temporary file.
func named(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return &fs.PathError{Op: path.Op, Path: name, Err: path.Err}
	}
	var link *os.LinkError
	if errors.As(err, &link) && !errors.Is(err, ErrNotCreateOnly) {
		return &fs.PathError{Op: link.Op, Path: name, Err: link.Err}
	}
	return fmt.Errorf("writing %s: %w", name, err)
}

// fill writes and syncs a temporary file; on an error it is gone again.
func fill(d disk, temporary string, src io.Reader, perm fs.FileMode) (err error) {
	f, err := d.create(temporary, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.remove(temporary)
		}
	}()
	if _, err = io.Copy(f, src); err != nil {
		f.Close()
		return err
	}
	if err = f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// rename syncs the directories of both names: the new one first, so that a
// power cut in between leaves two names rather than none.
func rename(d disk, old, new string) error {
	if err := d.publish(old, new, true); err != nil {
		return err
	}
	to, from := filepath.Dir(new), filepath.Dir(old)
	if err := d.syncDir(to); err != nil {
		return err
	}
	if to == from {
		return nil
	}
	return d.syncDir(from)
}

// mkdirAll is MkdirAll over the given calls.
func mkdirAll(dir string, perm fs.FileMode, mkdir func(string, fs.FileMode) error, syncDir func(string) error) error {
	info, err := os.Stat(dir)
	parent := filepath.Dir(dir)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errNotDirectory}
		}
		if err := syncDir(parent); !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent != dir {
		if err := mkdirAll(parent, perm, mkdir, syncDir); err != nil {
			return err
		}
	}
	// Whoever made it first may not have synced it yet: the sync below is
	// for both.
	if err := mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// TemporaryName returns a new base name that IsTemporary knows, for whoever
// writes a file beside the one it will replace.
func TemporaryName() string {
	var b [temporaryRandom]byte
	rand.Read(b[:]) // never fails, crypto/rand says
	return temporaryPrefix + hex.EncodeToString(b[:]) + temporarySuffix
}

// system is the disk of this machine.
type system struct{}

func (system) create(name string, perm fs.FileMode) (file, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}

func (system) publish(temporary, name string, replace bool) error {
	if replace {
		return replaceName(temporary, name)
	}
	return createName(temporary, name)
}

func (system) remove(name string) error { return os.Remove(name) }

func (system) syncDir(dir string) error { return syncDir(dir) }
