package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/pkg/sftp"

	"holm.example/internal/durable"
)

// The extensions of OpenSSH's server that make a Put durable and create-only.
const (
	fsyncExtension    = "fsync@openssh.com"
	hardlinkExtension = "hardlink@openssh.com"
	renameExtension   = "posix-rename@openssh.com"
)

// writesAtOnce is how many packets of 32 KiB of one Put are under way.
const writesAtOnce = 16

// SFTPConfig says where an SFTP store is.
type SFTPConfig struct {
	// Command starts the protocol on its standard input and output: ssh, or in
	// tests an sftp-server.
	Command []string
	// Root is the directory on the server, with slashes; a relative one begins
	// at the home directory.
	Root   string
	Limits Limits
	// Stall is how long the connection may be silent; 0 means a minute.
	Stall time.Duration
}

// SFTP is a store in a directory of an SFTP server.
//
// It runs the user's own ssh rather than a client of its own: the
// configuration, agent, hardware keys, known hosts, jump hosts and connection
// sharing that make "ssh HOST" work count here too, and there is one place
// less that could check a host key wrongly. ssh never asks (BatchMode): a
// backup that waits for an answer at night is none.
//
// A Put writes a temporary file in the directory of the name, syncs it
// (fsync@openssh.com), gives it the name by a hard link (hardlink@openssh.com)
// and syncs the directory, which OpenSSH's server can open like a file. A
// server without hard links is asked for a plain rename of SFTP version 3,
// which must not replace, and never for posix-rename, which does; what it
// makes of that Probe finds out. A server without fsync keeps what its own
// system keeps. What killed Puts left Tidy removes, where it is asked to: by
// packs, journals and probes; what is left of a vault.json, a key or a card
// stays.
//
// One connection serves all goroutines. When it breaks, everything that was
// under way fails with an error that may pass, and the next call connects
// anew; nothing is tried again here: Retry does that. A context that ends
// ends the connection, because the protocol has no other way to end a wait.
type SFTP struct {
	c        SFTPConfig
	up, down *brake

	gate    chan struct{} // held while connecting; guards session
	session *session

	mu   sync.Mutex
	made map[string]bool // directories that are there, and synced
}

// NewSFTP returns the store; nothing is connected yet.
func NewSFTP(c SFTPConfig) *SFTP {
	c.Stall = cmp.Or(c.Stall, stall)
	return &SFTP{c: c, up: newBrake(c.Limits.Upload), down: newBrake(c.Limits.Download),
		gate: make(chan struct{}, 1), made: map[string]bool{}}
}

// connected returns the connection, which it makes if there is none.
func (s *SFTP) connected(ctx context.Context) (*session, error) {
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.session != nil && !s.session.dead() {
		return s.session, nil
	}
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
	se, err := startSession(ctx, s.c, newWire(s.up, s.down))
	if err != nil {
		return nil, err
	}
	s.session = se
	return se, nil
}

// Close ends the connection.
func (s *SFTP) Close() error {
	s.gate <- struct{}{}
	defer func() { <-s.gate }()
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
	return nil
}

// with does something on the connection, and says what an error means.
func (s *SFTP) with(ctx context.Context, name string, do func(*session) error) error {
	se, err := s.connected(ctx)
	if err != nil {
		return fmt.Errorf("object %s: %w", name, err)
	}
	release := se.guard(ctx)
	err = do(se)
	release()
	var body bodyError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("object %s: %w", name, ctx.Err())
	case errors.As(err, &body):
		return fmt.Errorf("object %s: %w", name, body.error)
	case se.dead():
		return fmt.Errorf("object %s: %w", name, se.lost(err))
	case errors.Is(err, fs.ErrNotExist):
		// A name is only missing while its store is there.
		if _, rootErr := se.Stat(s.c.Root); rootErr != nil {
			if se.dead() {
				return fmt.Errorf("object %s: %w", name, se.lost(rootErr))
			}
			return fmt.Errorf("opening store %s: %w: %w", s.c.Root, ErrUnreachable, rootErr)
		}
		s.forget()
		return fmt.Errorf("object %s: %w", name, ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("object %s: %w: %w", name, ErrDenied, err)
	}
	return fmt.Errorf("object %s: %w", name, err)
}

func (s *SFTP) path(name string) string { return path.Join(s.c.Root, name) }

// Create makes the directory of the store, and its parents, if they are
// missing.
func (s *SFTP) Create(ctx context.Context) error {
	return s.with(ctx, path.Base(s.c.Root), func(se *session) error {
		return s.mkdirAll(se, s.c.Root)
	})
}

// mkdirAll makes a directory and the parents it lacks.
func (s *SFTP) mkdirAll(se *session, dir string) error {
	info, err := se.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is not a directory: %w", dir, ErrUnreachable)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) || path.Dir(dir) == dir {
		return err
	}
	if err := s.mkdirAll(se, path.Dir(dir)); err != nil {
		return err
	}
	return s.mkdir(se, dir)
}

// mkdir makes one directory for the owner alone, unless it is there.
func (s *SFTP) mkdir(se *session, dir string) error {
	err := se.Mkdir(dir)
	if err == nil {
		err = se.Chmod(dir, dirMode)
	} else if info, statErr := se.Stat(dir); statErr == nil && info.IsDir() {
		err = nil
	}
	if err == nil {
		err = se.syncDir(path.Dir(dir))
	}
	return err
}

// makeDir makes a directory below the root, and the parents it lacks; each is
// made sure of once in the life of this SFTP.
func (s *SFTP) makeDir(se *session, dir string) error {
	if dir == path.Clean(s.c.Root) {
		return nil
	}
	s.mu.Lock()
	made := s.made[dir]
	s.mu.Unlock()
	if made {
		return nil
	}
	if err := s.makeDir(se, path.Dir(dir)); err != nil {
		return err
	}
	if err := s.mkdir(se, dir); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[dir] = true
	return nil
}

// forget makes makeDir look again.
func (s *SFTP) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.made)
}

// bodyError is an error of the body of a Put.
type bodyError struct{ error }

// bodyOf reads a body and tells its errors from those of the connection.
type bodyOf struct{ contextReader }

func (b bodyOf) Read(p []byte) (int, error) {
	n, err := b.contextReader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = bodyError{err}
	}
	return n, err
}

// Put implements Store.
func (s *SFTP) Put(ctx context.Context, name string, body *io.SectionReader) error {
	return s.put(ctx, name, body, func(se *session, full string) error {
		if _, err := se.Lstat(full); err == nil {
			return se.taken(path.Dir(full))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}, (*session).publish)
}

// Overwrite is Overwrite of this package.
func (s *SFTP) Overwrite(ctx context.Context, name string, body *io.SectionReader) error {
	return s.put(ctx, name, body, func(*session, string) error { return nil }, (*session).replace)
}

// put writes an object to a temporary file, and has publish give it its name,
// if check has nothing against that.
func (s *SFTP) put(ctx context.Context, name string, body *io.SectionReader,
	check func(se *session, full string) error, publish func(se *session, temporary, full string) error) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	return s.with(ctx, name, func(se *session) error {
		full := s.path(name)
		dir := path.Dir(full)
		if err := check(se, full); err != nil {
			return err
		}
		if err := s.makeDir(se, dir); err != nil {
			return err
		}
		temporary := path.Join(dir, durable.TemporaryName())
		err := se.fill(temporary, bodyOf{contextReader{ctx, io.NewSectionReader(body, 0, body.Size())}}, body.Size())
		if err == nil {
			err = publish(se, temporary, full)
		}
		if err == nil {
			return se.syncDir(dir)
		}
		if !se.dead() {
			err = se.full(dir, err)
			_ = se.Remove(temporary) // what stays is for Tidy
		}
		return err
	})
}

// read opens an object, which is a regular file, and calls use with it and its
// size.
func (s *SFTP) read(ctx context.Context, name string, use func(f *sftp.File, size int64) error) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	return s.with(ctx, name, func(se *session) error {
		f, err := se.Open(s.path(name))
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fs.ErrNotExist
		}
		if err == nil {
			err = use(f, info.Size())
		}
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

// readAt reads exactly len(b) bytes.
func readAt(f *sftp.File, b []byte, offset int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := f.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	return cmp.Or(err, io.ErrUnexpectedEOF)
}

// Get implements Store.
func (s *SFTP) Get(ctx context.Context, name string, limit int64) (b []byte, err error) {
	err = s.read(ctx, name, func(f *sftp.File, size int64) error {
		if size > limit {
			return fmt.Errorf("%d bytes: %w", size, ErrTooLarge)
		}
		b = make([]byte, size)
		return readAt(f, b, 0)
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// GetRange implements Store.
func (s *SFTP) GetRange(ctx context.Context, name string, offset, length int64) (b []byte, err error) {
	err = s.read(ctx, name, func(f *sftp.File, size int64) error {
		if offset < 0 || length < 0 || offset > size || length > size-offset {
			return fmt.Errorf("%d bytes, wanted %d at %d: %w", size, length, offset, ErrShort)
		}
		b = make([]byte, length)
		return readAt(f, b, offset)
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Delete implements Store.
func (s *SFTP) Delete(ctx context.Context, name string) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	err := s.with(ctx, name, func(se *session) error {
		full := s.path(name)
		if err := se.Remove(full); err != nil {
			return err
		}
		return se.syncDir(path.Dir(full))
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Tidy is Tidy of this package; the times are those of the server.
func (s *SFTP) Tidy(ctx context.Context, name string, before time.Time) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	err := s.with(ctx, name, func(se *session) error {
		dir := path.Dir(s.path(name))
		entries, err := se.ReadDirContext(ctx, dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if durable.IsTemporary(e.Name()) && e.ModTime().Before(before) {
				_ = se.Remove(path.Join(dir, e.Name())) // what stays takes room and does no harm
			}
		}
		return se.syncDir(dir)
	})
	if errors.Is(err, ErrNotFound) {
		return nil // nothing was put there yet
	}
	return err
}

// List implements Store. It holds the directories it is in.
func (s *SFTP) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		// The store must be there: without it, nothing is empty.
		if _, err := s.readDir(ctx, ""); err != nil {
			yield(Object{}, err)
			return
		}
		readDir := func(dir string) ([]fs.DirEntry, error) { return s.readDir(ctx, dir) }
		tree{ctx, prefix, readDir, yield}.list(path.Dir("/" + prefix + "x")[1:])
	}
}

// readDir reads a directory; one that is not there has no entries.
func (s *SFTP) readDir(ctx context.Context, dir string) ([]fs.DirEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	err := s.with(ctx, cmp.Or(dir, "."), func(se *session) error {
		infos, err := se.ReadDirContext(ctx, path.Join(s.c.Root, dir))
		for _, info := range infos {
			entries = append(entries, fs.FileInfoToDirEntry(info))
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return entries, err
}

// full says of a failed write that the disk is full, if it is: the protocol
// has no word for that.
func (se *session) full(dir string, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) {
		return err
	}
	if room, statErr := se.StatVFS(dir); statErr == nil && room.Bavail == 0 {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

// fill writes and syncs a new file for the owner alone.
func (se *session) fill(name string, body io.Reader, size int64) error {
	f, err := se.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	err = f.Chmod(fileMode)
	if err == nil {
		var n int64
		n, err = f.ReadFromWithConcurrency(body, writesAtOnce)
		if err == nil && n != size {
			err = io.ErrShortWrite
		}
	}
	if _, can := se.HasExtension(fsyncExtension); can && err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// publish gives a temporary file its name, or returns ErrExists. Where there
// are no hard links, the rename of sftp-server looks whether the name is there
// and renames then: of two Puts at the same moment both can succeed.
func (se *session) publish(temporary, name string) error {
	if _, can := se.HasExtension(hardlinkExtension); can {
		err := se.Link(temporary, name)
		if err == nil {
			_ = se.Remove(temporary) // what stays is for Tidy
			return nil
		}
		if se.dead() {
			return err
		}
		if _, statErr := se.Lstat(name); statErr == nil {
			return se.taken(path.Dir(name))
		}
		// The file system over there has no hard links.
	}
	err := se.Rename(temporary, name)
	if err == nil || se.dead() {
		return err
	}
	if _, statErr := se.Lstat(name); statErr == nil {
		return se.taken(path.Dir(name))
	}
	return err
}

// replace gives a temporary file its name, whatever has that. A server without
// the extension for it cannot do that at once.
func (se *session) replace(temporary, name string) error {
	if _, can := se.HasExtension(renameExtension); !can {
		return fmt.Errorf("%s: %w", renameExtension, errors.ErrUnsupported)
	}
	return se.PosixRename(temporary, name)
}

// taken returns ErrExists once the name that is there is durable: whoever made
// it may have been cut off before that, and may be us.
func (se *session) taken(dir string) error {
	if err := se.syncDir(dir); err != nil {
		return err
	}
	return ErrExists
}

// syncDir makes the names in a directory durable, as far as the server can.
func (se *session) syncDir(dir string) error {
	if _, can := se.HasExtension(fsyncExtension); !can {
		return nil
	}
	f, err := se.Open(dir)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil && se.dead() {
		return err
	}
	return nil // this server cannot, or its file system has nothing to do
}
