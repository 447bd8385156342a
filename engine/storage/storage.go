// Package storage is the dumb object store under a vault, and its forms: a
// directory, a bucket of an S3-compatible service, a directory of an SFTP
// server.
//
// It promises what the commit protocol needs and nothing else: an object that
// Put returned nil for survives a power cut, is seen whole by every later Get
// and List of every device, and was **created**: of any number of Puts under
// one name exactly one succeeds. Names are slash-separated; what is stored is
// bytes that the store need not understand. storagetest holds the suite that
// every store passes.
//
// One server cannot keep it: an SFTP server on a file system without hard
// links looks first and renames then, and of two Puts in the same moment both
// may succeed, the later one over the other.
//
// # Asking again
//
// A store over a network (S3, SFTP) marks the errors that may pass: no
// connection, no answer, a server that is busy. It never asks again itself.
// Retry does, in this one way, so that what create-only means stays exact:
//
//   - A Put whose first attempt says ErrExists has lost to somebody else, and
//     says so. That decides a race, and nothing is compared.
//   - An attempt that ends without an answer may have put the object. Every
//     later attempt of the same call looks first. An object with exactly the
//     bytes of the body is taken for that attempt's: the Put has succeeded.
//     One with other bytes is somebody else's: ErrExists. If it cannot be
//     read, neither is said, and the error is that of the reading.
//   - An attempt that is still under way when a later one succeeds, or that
//     arrives hours later, finds the name taken: the server refuses it.
//
// The second rule is as good as create-only because no two writers of a vault
// have the same bytes for one name: names or bodies hold random numbers of
// their writer (of a segment the incarnation; docs/vault-format.md, sections 8
// and 13). Two calls with equal bodies could both be told of success if the
// answer of one was lost; nobody commits by such bodies.
//
// A Delete that is asked again can meet an object that was created meanwhile
// under the same name. No name of a vault is used twice, but those of the
// copies of vault.json and of wrapped keys, whose damaged ones are removed and
// created anew where Overwrite cannot be had; they are put back by whoever
// finds them missing. Overwrite puts what a name held before, and may be asked
// any number of times.
package storage

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// MaxName is the longest object name, in bytes.
const MaxName = 512

// Object is a stored object as List reports it.
type Object struct {
	Name      string
	SizeBytes int64
}

// Store is an object store. Implementations are safe for use by several
// goroutines and several processes.
type Store interface {
	// Put creates an object. It returns ErrExists, and leaves the object
	// alone, if the name is taken. After any other error it is not known
	// whether the object is there. The same body may be put again. A body that
	// is a whole *os.File is never written again by who puts it: a store may
	// keep the file itself.
	Put(ctx context.Context, name string, body *io.SectionReader) error
	// Get returns a whole object of at most limit bytes, ErrNotFound or
	// ErrTooLarge.
	Get(ctx context.Context, name string, limit int64) ([]byte, error)
	// GetRange returns length bytes from offset on, ErrNotFound, or ErrShort
	// if the object ends before that.
	GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error)
	// List yields the objects whose names begin with prefix, in the order of
	// their names, and ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

var (
	// ErrNotFound is returned for an object that is not there.
	ErrNotFound = errors.New("no such object")
	// ErrExists is returned by Put when the name is taken.
	ErrExists = errors.New("object exists")
	// ErrTooLarge is returned by Get for an object above the limit.
	ErrTooLarge = errors.New("object larger than its kind allows")
	// ErrShort is returned by GetRange for an object that ends too early.
	ErrShort = errors.New("object ends too early")
	// ErrMedium is returned by Get and GetRange when a disk cannot read back a
	// part of an object: it has a bad sector there, most often.
	ErrMedium = errors.New("the disk cannot read it back")
	// ErrUnreachable is returned when the store itself cannot be used now.
	ErrUnreachable = errors.New("store cannot be reached")
	// ErrDenied is returned when the store answers, but not to us: a key that
	// is missing, wrong or has too few rights, or a host key nobody knows.
	ErrDenied = errors.New("store denies access")
	// ErrName is returned for a name that no object can have.
	ErrName = errors.New("not an object name")
	// ErrNotListed is returned by Probe for a store that does not list what it
	// has just stored.
	ErrNotListed = errors.New("store does not list at once what it has stored")
	// ErrNotCreateOnly is returned by Probe for a store that overwrites.
	ErrNotCreateOnly = errors.New("store does not keep an existing object from being overwritten")
)

// CheckName returns nil for a name that every store can hold: elements of
// a-z, 0-9, dot and hyphen, not beginning with a dot, joined by slashes.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%.40q: %w", name, ErrName)
	}
	for e := range strings.SplitSeq(name, "/") {
		if e == "" || e[0] == '.' || strings.Trim(e, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			return fmt.Errorf("%.40q: %w", name, ErrName)
		}
	}
	return nil
}

// probePrefix begins the names of the objects of Probe.
const probePrefix = "probe/"

// probeMaxAge is when the object of a Probe is one of a killed process, also
// for a device whose clock is some hours off.
const probeMaxAge = 24 * time.Hour

// Probe finds out whether the store keeps its promises of create-only and of
// listing, with an object of its own that it removes again, together with
// those that killed processes left. It returns ErrNotCreateOnly or
// ErrNotListed if not.
func Probe(ctx context.Context, s Store, now time.Time) error {
	if err := removeProbes(ctx, s, now.Add(-probeMaxAge)); err != nil {
		return fmt.Errorf("probing the store: %w", err)
	}
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(now.Unix()))
	if _, err := rand.Read(id[8:]); err != nil {
		return fmt.Errorf("probing the store: %w", err)
	}
	name := probePrefix + hex.EncodeToString(id[:])
	first, second := []byte("first"), []byte("second")
	// Nobody else has this name: one that exists was put by something that
	// tried again on the way.
	if err := s.Put(ctx, name, Body(first)); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("probing the store: %w", err)
	}
	err := s.Put(ctx, name, Body(second))
	got, getErr := s.Get(ctx, name, 64)
	listErr := isListed(ctx, s, Object{name, int64(len(first))})
	if delErr := s.Delete(ctx, name); delErr != nil {
		return fmt.Errorf("probing the store: %w", delErr)
	}
	switch {
	case err == nil, getErr == nil && string(got) != string(first):
		return ErrNotCreateOnly
	case !errors.Is(err, ErrExists):
		return fmt.Errorf("probing the store: %w", err)
	}
	if err := errors.Join(getErr, listErr); err != nil {
		return fmt.Errorf("probing the store: %w", err)
	}
	return nil
}

// isListed returns ErrNotListed if a listing has not exactly that object.
func isListed(ctx context.Context, s Store, want Object) error {
	var got []Object
	for o, err := range s.List(ctx, want.Name) {
		if err != nil {
			return err
		}
		got = append(got, o)
	}
	if len(got) != 1 || got[0] != want {
		return ErrNotListed
	}
	return nil
}

// removeProbes removes the objects of probes that began before a time. Their
// names begin with it: seconds since 1970, 8 bytes in hexadecimal digits.
func removeProbes(ctx context.Context, s Store, before time.Time) error {
	// Any device puts probes; none of them takes so long.
	if err := Tidy(ctx, s, probePrefix+"x", before); err != nil {
		return err
	}
	for o, err := range s.List(ctx, probePrefix) {
		if err != nil {
			return err
		}
		id, err := hex.DecodeString(strings.TrimPrefix(o.Name, probePrefix))
		if err != nil || len(id) != 16 || int64(binary.BigEndian.Uint64(id)) >= before.Unix() {
			continue
		}
		if err := s.Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	return nil
}

// Tidy clears away what killed Puts of this name and its neighbours left
// behind, as far as it was last written before the given time, and makes
// durable what they finished. Only the one device that puts objects there may
// ask for it. A store where a killed Put leaves nothing has nothing to do.
func Tidy(ctx context.Context, s Store, name string, before time.Time) error {
	t, ok := s.(interface {
		Tidy(ctx context.Context, name string, before time.Time) error
	})
	if !ok {
		return nil
	}
	return t.Tidy(ctx, name, before)
}

// Overwrite puts an object in the place of another under its name, or where
// none is: a reader sees one of the two, whole, and after a power cut it is one
// of the two. Only a repair may ask for it, with the bytes that the object had
// when it was whole: then it does not matter who comes last. A store that
// cannot do it at once returns errors.ErrUnsupported.
func Overwrite(ctx context.Context, s Store, name string, body *io.SectionReader) error {
	o, ok := s.(interface {
		Overwrite(ctx context.Context, name string, body *io.SectionReader) error
	})
	if !ok {
		return fmt.Errorf("object %s: overwriting: %w", name, errors.ErrUnsupported)
	}
	return o.Overwrite(ctx, name, body)
}

// Close ends the connections of a store, if it has any.
func Close(s Store) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Body makes the body of a Put from bytes.
func Body(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytesAt(b), 0, int64(len(b)))
}

// bytesAt reads from a byte slice at any offset.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
