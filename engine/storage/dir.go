package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"holm.example/internal/durable"
)

// Permissions of what a directory store makes: the vault is encrypted, but
// nobody else has business in it.
const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600

	// putAttempts is how often a Put begins from which somebody takes away
	// what it has made.
	putAttempts = 3
)

// Dir is a store in a directory of a local or mounted file system.
type Dir struct {
	root   string
	mkdir  func(dir string, perm fs.FileMode) error // durable.MkdirAll
	device func(fs.FileInfo) uint64
	first  uint64 // the device of the root when it was opened

	mu sync.Mutex
	// made are the directories below root that this process has made sure
	// of: they are there, and synced into their parents.
	made map[string]bool
}

// CreateDir makes the directory, and its parents, if they are missing, and
// returns the store in it.
func CreateDir(root string) (*Dir, error) {
	if err := durable.MkdirAll(root, dirMode); err != nil {
		return nil, unreachable(root, err)
	}
	return OpenDir(root)
}

// OpenDir returns the store in an existing directory, or ErrUnreachable: a
// missing directory is most often a disk that is not mounted.
func OpenDir(root string) (*Dir, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, unreachable(root, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory: %w", root, ErrUnreachable)
	}
	if info, err = entered(root); err != nil {
		return nil, unreachable(root, err)
	}
	return &Dir{root: root, mkdir: durable.MkdirAll, device: device, first: device(info), made: map[string]bool{}}, nil
}

// entered examines a directory by opening it: that mounts what is mounted only
// when somebody asks, and stat does not.
func entered(root string) (fs.FileInfo, error) {
	f, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

func unreachable(root string, err error) error {
	return fmt.Errorf("store %s: %w: %w", root, ErrUnreachable, err)
}

// path is where an object lies.
func (d *Dir) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

// wrap turns the error of an operation on a name into one of this package.
// A name is only missing while its store is there.
func (d *Dir) wrap(name string, err error) error {
	if err == nil {
		return nil
	}
	if gone := d.mounted(); gone != nil {
		return gone
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = ErrNotFound
	case errors.Is(err, fs.ErrExist):
		err = ErrExists
	case errors.Is(err, durable.ErrNotCreateOnly):
		err = fmt.Errorf("%w: %w", ErrNotCreateOnly, err)
	}
	return fmt.Errorf("object %s: %w", name, err)
}

// missing takes a name that leads through an object for one that is not there.
func missing(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, name string, body *io.SectionReader) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	full := d.path(name)
	if _, err := os.Lstat(full); err == nil {
		return fmt.Errorf("object %s: %w", name, ErrExists)
	}
	return d.wrap(name, d.create(full, func() error {
		err := link(full, body)
		if errors.Is(err, errors.ErrUnsupported) {
			src := io.NewSectionReader(body, 0, body.Size())
			err = durable.CreateFrom(full, contextReader{ctx, src}, fileMode)
		}
		return err
	}))
}

// create has a file made after the directories that it needs. fs.ErrNotExist
// says that somebody has removed one of them, or, a copy of this machine that
// tidies up, the temporary file: then it is tried again.
func (d *Dir) create(full string, file func() error) (err error) {
	for range putAttempts {
		if err := d.mounted(); err != nil {
			return err // never make a vault on an unmounted disk
		}
		if err = d.makeDir(filepath.Dir(full)); err == nil {
			err = file()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		d.forget()
	}
	return err
}

// Overwrite is Overwrite of this package.
func (d *Dir) Overwrite(ctx context.Context, name string, body *io.SectionReader) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	full := d.path(name)
	return d.wrap(name, d.create(full, func() error {
		src := io.NewSectionReader(body, 0, body.Size())
		return durable.WriteFrom(full, contextReader{ctx, src}, fileMode)
	}))
}

// link gives a body that is a whole file of ours on the same file system its
// name in the store, which saves copying it. Any other body is
// errors.ErrUnsupported.
func link(name string, body *io.SectionReader) error {
	from, offset, size := body.Outer()
	f, ok := from.(*os.File)
	if !ok || offset != 0 {
		return errors.ErrUnsupported
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != size || info.Mode().Perm() != fileMode {
		return errors.ErrUnsupported
	}
	return durable.CreateLink(name, f)
}

// makeDir makes a directory below the root, and the parents it lacks, one
// after the other. One that is there already, whoever made it, is synced into
// its parent once in the life of this Dir: an object is only as durable as
// the way to it.
func (d *Dir) makeDir(dir string) error {
	if dir == d.root {
		return nil
	}
	d.mu.Lock()
	made := d.made[dir]
	d.mu.Unlock()
	if made {
		return nil
	}
	if err := d.makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := d.mkdir(dir, dirMode); err != nil {
		return err
	}
	d.mu.Lock()
	d.made[dir] = true
	d.mu.Unlock()
	return nil
}

// mounted returns ErrUnreachable if the root is not there, or is on another
// file system than when it was opened: its disk was unmounted, and what is
// left is the mount point. Nothing is missing because it is not in there, and
// nothing must be put there.
func (d *Dir) mounted() error {
	info, err := entered(d.root)
	if err == nil && d.device(info) != d.first {
		err = errors.New("another file system is there now")
	}
	if err != nil {
		return unreachable(d.root, err)
	}
	return nil
}

// forget makes makeDir look again.
func (d *Dir) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.made)
}

// contextReader stops a long copy when its context ends.
type contextReader struct {
	ctx context.Context
	src io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.src.Read(p)
}

// open opens an object, which is a regular file, and tells its size. It waits
// for nothing: opening a FIFO would otherwise hang until somebody writes.
func (d *Dir) open(ctx context.Context, name string) (*os.File, int64, error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|openWithoutWaiting, 0)
	if err != nil {
		return nil, 0, d.wrap(name, missing(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, 0, d.wrap(name, err)
	}
	return f, info.Size(), nil
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	f, size, err := d.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, fmt.Errorf("object %s: %d bytes: %w", name, size, ErrTooLarge)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, d.readError(name, err)
	}
	return b, nil
}

// GetRange implements Store.
func (d *Dir) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	f, size, err := d.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("object %s: %d bytes, wanted %d at %d: %w", name, size, length, offset, ErrShort)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, length), b); err != nil {
		return nil, d.readError(name, err)
	}
	return b, nil
}

// readError is the error of reading an object that is open. A disk that was
// pulled out, or a server that does not answer, gives that of a bad sector for
// everything: only where its directory can be read it is that of the object.
func (d *Dir) readError(name string, err error) error {
	if isMedium(err) {
		if _, rootErr := os.ReadDir(d.root); rootErr != nil {
			return unreachable(d.root, rootErr)
		}
		err = fmt.Errorf("%w: %w", ErrMedium, err)
	}
	return fmt.Errorf("object %s: %w", name, err)
}

// Delete implements Store.
func (d *Dir) Delete(ctx context.Context, name string) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	err := missing(durable.Remove(d.path(name)))
	if errors.Is(err, fs.ErrNotExist) {
		if d.mounted() == nil {
			return nil
		}
	}
	return d.wrap(name, err)
}

// Tidy is Tidy of this package: it removes the temporary files in the
// directory of a name, and syncs the directory, whose newest names may be of a
// process that was killed before it did that.
func (d *Dir) Tidy(ctx context.Context, name string, before time.Time) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	dir := filepath.Dir(d.path(name))
	_ = durable.RemoveTemporary(dir, before) // what stays takes room and does no harm
	err := durable.SyncDir(dir)
	if errors.Is(missing(err), fs.ErrNotExist) {
		return nil // nothing was put there yet
	}
	return d.wrap(name, err)
}

// List implements Store.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := d.mounted(); err != nil {
			yield(Object{}, err)
			return
		}
		all := tree{ctx, prefix, d.readDir, yield}
		if all.list(path.Dir("/" + prefix + "x")[1:]) {
			if err := d.mounted(); err != nil { // meanwhile
				yield(Object{}, err)
			}
		}
	}
}

// readDir reads a directory; one that is not there has no entries.
func (d *Dir) readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(d.path(dir))
	if errors.Is(missing(err), fs.ErrNotExist) {
		return nil, nil // the prefix goes through what is not there, or is an object
	}
	return entries, err
}
