// Package site holds the places that a release is served from: Dir, a
// directory that a publisher writes and any web server serves, and HTTP, a
// site as the world reads it. Handler serves a directory with the content
// types and cache headers that docs/repo-layout.md asks for.
//
// The promise of every place that can be written: a name holds either what
// it held before or the whole of what was put there, after a crash too; when
// a call returns without error, its effect is durable. Files are replaced,
// never changed, so copies may share their bytes. Names are slash-separated
// and relative, as fs.ValidPath has them.
//
// Everybody may read a site, whatever the umask of its publisher.
//
// Readers need no lock. Writers hold the lock of the site; a crash releases
// it, and the next to take it clears away what was written halfway.
package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"holm.example/internal/durable"
	"holm.example/internal/filelock"
)

const (
	filePerm   = 0o644
	folderPerm = 0o755
	lockName   = "publish/lock"
	// aliasPrefix begins the names that links have before they replace
	// others. No name of a site begins with a dot.
	aliasPrefix = ".holm-alias-"
)

// A Dir is a site in a directory of this machine.
type Dir struct {
	path string
}

// OpenDir returns the site in a directory, which need not be there yet.
func OpenDir(path string) *Dir { return &Dir{path} }

// local turns a name into a path of this machine.
func (d *Dir) local(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." {
		return "", fmt.Errorf("%w: %q", ErrName, name)
	}
	return filepath.Join(d.path, filepath.FromSlash(name)), nil
}

// Open opens a file for reading; the error is fs.ErrNotExist if there is
// none. Links that lead out of the site are not followed.
func (d *Dir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if _, err := d.local(name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Put makes name hold all of body, replacing what is there. An error of body
// leaves the name alone.
func (d *Dir) Put(_ context.Context, name string, body io.Reader) error {
	to, err := d.prepare(name)
	if err != nil {
		return err
	}
	return write(to, body)
}

// Copy makes to hold what from holds. A hard link is enough, because no file
// of a site is ever changed in place.
func (d *Dir) Copy(ctx context.Context, to, from string) error {
	source, err := d.local(from)
	if err != nil {
		return err
	}
	target, err := d.prepare(to)
	if err != nil {
		return err
	}
	if err := os.Link(source, target); err == nil {
		return durable.SyncDir(filepath.Dir(target))
	}
	body, err := d.Open(ctx, from)
	if err != nil {
		return err
	}
	defer body.Close()
	return write(target, body)
}

// Alias makes name another name of a directory of the site, in one step. A
// real directory of that name, as a copy of a site without its links has one,
// gives way to the link and is removed; where the system cannot exchange two
// names, name is missing for an instant.
func (d *Dir) Alias(_ context.Context, name, dir string) error {
	if _, err := d.local(dir); err != nil {
		return err
	}
	to, err := d.prepare(name)
	if err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.FromSlash(path.Dir(name)), filepath.FromSlash(dir))
	if err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(to), aliasPrefix+filepath.Base(to))
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	if info, err := os.Lstat(to); err != nil || !info.IsDir() {
		return durable.Rename(temporary, to)
	}
	if err := exchange(temporary, to); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	return os.RemoveAll(temporary)
}

// Lock makes the caller the only publisher of the site until unlock, or the end of
// the process, and removes what one that was killed left behind. The error is
// ErrLocked if there is another.
func (d *Dir) Lock(context.Context) (unlock func() error, err error) {
	name, err := d.prepare(lockName)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	if err := filelock.Try(f); err != nil {
		f.Close()
		if errors.Is(err, filelock.ErrHeld) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", d.path, err)
	}
	if err := d.sweep(); err != nil {
		f.Close()
		return nil, fmt.Errorf("clearing away what a killed publisher left: %w", err)
	}
	return f.Close, nil
}

// sweep removes temporary names. Under the lock nobody is going to need them.
func (d *Dir) sweep() error {
	return fs.WalkDir(os.DirFS(d.path), ".", func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return nil // lost+found, or whatever else is not of a publisher
		}
		if err != nil {
			return err
		}
		base := entry.Name()
		if !strings.HasPrefix(base, aliasPrefix) && (entry.IsDir() || !durable.IsTemporary(base)) {
			return nil
		}
		if err := os.RemoveAll(filepath.Join(d.path, filepath.FromSlash(name))); err != nil {
			return err
		}
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

// prepare makes the directory that a name stands in. All directories down to
// it are for everybody to read.
func (d *Dir) prepare(name string) (string, error) {
	to, err := d.local(name)
	if err != nil {
		return "", err
	}
	root := filepath.Clean(d.path)
	_, err = os.Stat(root)
	made := errors.Is(err, fs.ErrNotExist)
	if err := durable.MkdirAll(filepath.Dir(to), folderPerm); err != nil {
		return "", err
	}
	for folder := filepath.Dir(to); folder != root; folder = filepath.Dir(folder) {
		if err := widen(folder); err != nil {
			return "", err
		}
	}
	if made {
		// Who has made the directory of the site decides on its mode.
		err = widen(root)
		return to, err
	}
	return to, nil
}
