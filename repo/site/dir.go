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
// Readers need no lock. Writers hold the lock of the site; a crash releases it.
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

	"holm.example/internal/durable"
)

const (
	filePerm   = 0o644
	folderPerm = 0o755
	lockName   = "publish/lock"
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
	return durable.WriteFrom(to, body, filePerm)
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
	return durable.WriteFrom(target, body, filePerm)
}

// Alias makes name another name of a directory of the site, in one step.
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
	temporary := to + ".alias"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return durable.Rename(temporary, to)
}

// Lock makes the caller the only publisher of the site until unlock, or the end of
// the process. The error is ErrLocked if there is another.
func (d *Dir) Lock(context.Context) (unlock func() error, err error) {
	name, err := d.prepare(lockName)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", d.path, err)
	}
	return f.Close, nil
}

// prepare makes the directory that a name stands in.
func (d *Dir) prepare(name string) (string, error) {
	to, err := d.local(name)
	if err != nil {
		return "", err
	}
	return to, durable.MkdirAll(filepath.Dir(to), folderPerm)
}
