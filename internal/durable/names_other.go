//go:build !windows

package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// replaceName gives a file its name and drops what had the name before.
func replaceName(temporary, name string) error {
	return os.Rename(temporary, name)
}

// createName gives a file its name unless something has it. A link is tried
// first: every file system that has links makes them create-only, NFS too.
func createName(temporary, name string) error {
	err := os.Link(temporary, name)
	switch {
	case err == nil, errors.Is(err, syscall.EEXIST) && sameFile(temporary, name):
		// The second case is a network file system that lost the answer to
		// our own link and asked again.
		os.Remove(temporary) // what stays behind, RemoveTemporary finds
		return nil
	case errors.Is(err, syscall.EEXIST):
		return err
	}
	if !noLinks(err) {
		return err
	}
	renamed := renameCreateOnly(temporary, name)
	if errors.Is(renamed, errors.ErrUnsupported) || errors.Is(renamed, syscall.EINVAL) {
		return fmt.Errorf("%w (link: %v; rename: %v)", ErrNotCreateOnly, err, renamed)
	}
	return renamed
}

// linkName gives a file a second name.
func linkName(old, name string) error {
	err := os.Link(old, name)
	switch {
	case errors.Is(err, syscall.EEXIST) && sameFile(old, name):
		return nil
	case errors.Is(err, syscall.EXDEV) || err != nil && noLinks(err):
		return errors.ErrUnsupported
	}
	return err
}

// noLinks reports whether a refused link means that there are no links here:
// FAT says EPERM, others ENOTSUP or ENOSYS, and Android's policy EACCES.
func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) ||
		errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EMLINK)
}

// sameFile reports whether two names are names of one file.
func sameFile(a, b string) bool {
	ia, err := os.Lstat(a)
	if err != nil {
		return false
	}
	ib, err := os.Lstat(b)
	return err == nil && os.SameFile(ia, ib)
}

// syncDir makes the names in a directory durable. File systems that cannot
// sync a directory say EINVAL or ENOTSUP, which is not an error of ours.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
