// Package vault is the bytes of a vault: its configuration, cards, packs and
// segments, as docs/vault-format.md specifies them.
//
// It promises that what it reads was written by a device of this vault, under
// that very name, whole, or that the error names the object; that nothing
// from the store is interpreted before it is authenticated, except the
// strict, bounded vault.json and the heads of objects; and that every build
// writes and reads the same bytes. The package is pure over engine/storage:
// it knows no files and no clock.
package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

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
	Keys  *seal.Keyring
	codec *codec
}

// New makes the handle of a vault with a known configuration; keys may be nil.
func New(s storage.Store, c Config, keys *seal.Keyring) (*Vault, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	return &Vault{Store: s, Config: c, ID: c.ID(), Keys: keys, codec: codec}, nil
}

// check returns ErrSealed if a keyring is not this vault's.
func (v *Vault) check(r *seal.Keyring) error {
	if public := r.Signer().Public().(ed25519.PublicKey); !bytes.Equal(public, v.Config.Signer[:]) {
		return fmt.Errorf("keyring of another vault: %w", seal.ErrSealed)
	}
	return nil
}

// PutPassphraseKey wraps the keyring for a passphrase and stores it.
func (v *Vault) PutPassphraseKey(ctx context.Context, random io.Reader, passphrase []byte, d seal.Derivation) error {
	var id seal.ID
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return fmt.Errorf("naming a key: %w", err)
	}
	name := KeyName(id)
	b, err := seal.WrapForPassphrase(random, passphrase, d, v.Keys, v.ID, name)
	if err != nil {
		return fmt.Errorf("wrapping keys: %w", err)
	}
	return v.put(ctx, name, b)
}

// PutDeviceKey wraps the keyring for a device and stores it.
func (v *Vault) PutDeviceKey(ctx context.Context, c *Card) error {
	name := DeviceKeyName(c.Device, v.Keys.Epoch())
	b, err := seal.WrapForDevice(c.Device, c.HPKE[:], v.Keys, v.ID, name)
	if err != nil {
		return err
	}
	return v.put(ctx, name, b)
}

func (v *Vault) put(ctx context.Context, name string, b []byte) error {
	if err := v.Store.Put(ctx, name, storage.Body(b)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// UnlockWithDevice opens the vault with the newest keyring that is wrapped
// for the device.
func (v *Vault) UnlockWithDevice(ctx context.Context, device seal.ID, key seal.DeviceKey) error {
	prefix := DeviceKeyPrefix(device)
	var newest *seal.Keyring
	for o, err := range v.Store.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("listing keys: %w", err)
		}
		b, err := v.Store.Get(ctx, o.Name, seal.MaxKeyObject)
		if err != nil {
			return objectError(o.Name, err)
		}
		r, err := seal.OpenWithDevice(b, device, key, v.ID, o.Name)
		if err == nil {
			err = v.check(r)
		}
		if err == nil && o.Name != DeviceKeyName(device, r.Epoch()) {
			err = fmt.Errorf("epochs up to %d: %w", r.Epoch(), ErrMalformed)
		}
		if err != nil {
			return damaged(o.Name, err)
		}
		if newest == nil || r.Epoch() > newest.Epoch() {
			newest = r
		}
	}
	if newest == nil {
		return damaged(prefix+"…", storage.ErrNotFound)
	}
	v.Keys = newest
	return nil
}

// UnlockWithPassphrase opens the vault with the first keyring that the
// passphrase opens. It returns seal.ErrPassphrase if it opens none, and the
// damage instead if any key object is damaged.
func (v *Vault) UnlockWithPassphrase(ctx context.Context, passphrase []byte) error {
	var problem error
	for o, err := range v.Store.List(ctx, KeysPrefix) {
		if err != nil {
			return fmt.Errorf("listing keys: %w", err)
		}
		b, err := v.Store.Get(ctx, o.Name, seal.MaxKeyObject)
		if err != nil {
			problem = errors.Join(problem, objectError(o.Name, err))
			continue
		}
		w, err := seal.CheckWrapped(b, v.ID)
		if errors.Is(err, seal.ErrOtherVault) || err == nil && w != seal.WrapPassphrase {
			continue
		}
		var r *seal.Keyring
		if err == nil {
			r, err = seal.OpenWithPassphrase(b, passphrase, v.ID, o.Name)
		}
		if err == nil {
			err = v.check(r)
		}
		if err == nil {
			v.Keys = r
			return nil
		}
		if !errors.Is(err, seal.ErrPassphrase) {
			problem = errors.Join(problem, damaged(o.Name, err))
		}
	}
	if problem != nil {
		return problem
	}
	return seal.ErrPassphrase
}

// CheckKeys reports the key objects that are not intact, and says how many
// there are.
func (v *Vault) CheckKeys(ctx context.Context) (count int, problems []error) {
	for o, err := range v.Store.List(ctx, KeysPrefix) {
		if err != nil {
			return count, append(problems, fmt.Errorf("listing keys: %w", err))
		}
		count++
		b, err := v.Store.Get(ctx, o.Name, seal.MaxKeyObject)
		var device seal.ID
		if err == nil {
			device, err = seal.WrappedFor(b, v.ID)
		}
		if owner, _, ok := strings.Cut(o.Name[len(KeysPrefix):], "-"); err == nil {
			if ok != (device != seal.ID{}) || ok && owner != hex.EncodeToString(device[:]) {
				err = fmt.Errorf("wrapped for somebody else: %w", ErrMalformed)
			}
		}
		if err != nil && !errors.Is(err, seal.ErrOtherVault) {
			problems = append(problems, objectError(o.Name, err))
		}
	}
	return count, problems
}

// objectError is the error of reading an object that must be there.
func objectError(name string, err error) error {
	if outOfReach(err) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return damaged(name, err)
}

// outOfReach reports whether an error says nothing about the object that was
// asked for.
func outOfReach(err error) bool {
	return errors.Is(err, storage.ErrUnreachable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
