// Package vault is the bytes of a vault: its configuration, cards, packs and
// segments, as docs/vault-format.md specifies them.
//
// It promises that what it reads was written by a device of this vault, under
// that very name, whole, or that the error names the object; that nothing
// from the store is interpreted before it is authenticated, except the
// strict, bounded vault.json, the heads of objects, and of a fence, which has
// one size, the device that has signed it, whose card is read to verify it;
// and that every build writes and reads the same bytes. The package is pure over engine/storage:
// it knows no files and no clock.
package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
)

// Vault reads and writes the objects of one vault. It is safe for use by
// several goroutines.
type Vault struct {
	Store  storage.Store
	Config Config
	ID     seal.Hash
	// Keys opens and seals; it is nil until the vault is unlocked.
	Keys *seal.Keyring
	// Repaired, if not nil, is told of objects that are damaged and were read
	// whole by their parity, some of them more than once and by any goroutine.
	// The error names the object and is ErrDamaged and ErrRepairable.
	Repaired func(object string, err error)

	codec   *codec
	parity  bool // a parity tail follows every object but wrapped keys
	strict  bool
	patches *patches
}

// New makes the handle of a vault with a known configuration; keys may be nil.
func New(s storage.Store, c Config, keys *seal.Keyring) (*Vault, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	return &Vault{Store: s, Config: c, ID: c.ID(), Keys: keys, codec: codec, parity: c.Parity(), patches: &patches{}}, nil
}

// check returns ErrSealed if a keyring is not this vault's.
func (v *Vault) check(r *seal.Keyring) error {
	if public := r.Signer().Public().(ed25519.PublicKey); !bytes.Equal(public, v.Config.Signer[:]) {
		return fmt.Errorf("keyring of another vault: %w", seal.ErrSealed)
	}
	return nil
}

func (v *Vault) put(ctx context.Context, name string, b []byte) error {
	if err := v.Store.Put(ctx, name, storage.Body(b)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// getObject reads a whole object. ErrUnread is part of an error that does not
// say that the object is missing, too large or lost by its disk.
func getObject(ctx context.Context, s storage.Store, name string, limit int64) ([]byte, error) {
	b, err := s.Get(ctx, name, limit)
	return b, unread(err)
}

// unread adds ErrUnread to an error of the store that proves nothing.
func unread(err error) error {
	if err == nil || errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrTooLarge) || errors.Is(err, storage.ErrMedium) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnread, err)
}

// objectError is the error of reading an object that must be there: ErrDamaged
// if it is missing, ends too early or is too large, if its disk has lost a
// part of it, or if its bytes do not verify.
func objectError(name string, err error) error {
	if outOfReach(err) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return damaged(name, err)
}

// outOfReach reports whether an error says nothing about the object that was
// asked for.
func outOfReach(err error) bool {
	cut := errors.Is(err, storage.ErrShort) || errors.Is(err, io.ErrUnexpectedEOF)
	return storeGone(err) || errors.Is(err, ErrUnread) && !cut
}

// storeGone reports whether an error is that of all objects.
func storeGone(err error) bool {
	return errors.Is(err, storage.ErrUnreachable) || errors.Is(err, storage.ErrDenied) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
