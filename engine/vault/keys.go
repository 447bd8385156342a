package vault

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
)

// errAnotherWay is why a wrapped key is not tried: it is whole, and not for a
// passphrase.
var errAnotherWay = errors.New("not wrapped for a passphrase")

// PutPassphraseKey wraps the keyring for a passphrase and stores it, twice.
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
	return v.putKey(ctx, name, b)
}

// PutDeviceKey wraps the keyring for a device and stores it, twice.
func (v *Vault) PutDeviceKey(ctx context.Context, c *Card) error {
	name := DeviceKeyName(c.Device, v.Keys.Epoch())
	b, err := seal.WrapForDevice(c.Device, c.HPKE[:], v.Keys, v.ID, name)
	if err != nil {
		return err
	}
	return v.putKey(ctx, name, b)
}

func (v *Vault) putKey(ctx context.Context, name string, b []byte) error {
	if err := v.put(ctx, name, b); err != nil {
		return err
	}
	return v.put(ctx, KeyCopyName(name), b)
}

// keyNames lists the wrapped keys whose names begin with a prefix, by their
// first names, whichever of their two copies is there.
func (v *Vault) keyNames(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	for _, place := range []string{prefix, KeyCopyName(prefix)} {
		for o, err := range v.Store.List(ctx, place) {
			if err != nil {
				return nil, fmt.Errorf("listing keys: %w", err)
			}
			names = append(names, KeysPrefix+o.Name[strings.IndexByte(o.Name, '/')+1:])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// eitherKey calls open with the bytes of a wrapped key, and with those of its
// copy if the first ones are not there or do not open and the others differ.
// The error is that of both, but for a copy that is missing; seal.ErrPassphrase
// or errAnotherWay alone if an intact one gave it.
func (v *Vault) eitherKey(ctx context.Context, name string, open func(object []byte) error) error {
	var problem, intact error
	var first []byte
	for i, place := range []string{name, KeyCopyName(name)} {
		b, err := getObject(ctx, v.Store, place, seal.MaxKeyObject)
		if storeGone(err) {
			return fmt.Errorf("reading %s: %w", place, err)
		}
		if i > 0 && (errors.Is(err, storage.ErrNotFound) || err == nil && bytes.Equal(b, first)) {
			break // it says nothing more
		}
		if err == nil {
			first = b
			err = open(b)
		}
		switch {
		case err == nil || errors.Is(err, errAnotherWay):
			return err
		case errors.Is(err, seal.ErrPassphrase):
			intact = err
		case !errors.Is(err, seal.ErrOtherVault):
			problem = errors.Join(problem, objectError(place, err))
		}
	}
	if intact != nil {
		return intact
	}
	return problem
}

// UnlockWithDevice opens the vault with the newest keyring that is wrapped
// for the device.
func (v *Vault) UnlockWithDevice(ctx context.Context, device seal.ID, key seal.DeviceKey) error {
	names, err := v.keyNames(ctx, DeviceKeyPrefix(device))
	if err != nil {
		return err
	}
	var newest *seal.Keyring
	for _, name := range names {
		err := v.eitherKey(ctx, name, func(object []byte) error {
			r, err := seal.OpenWithDevice(object, device, key, v.ID, name)
			if err == nil {
				err = v.check(r)
			}
			if err == nil && name != DeviceKeyName(device, r.Epoch()) {
				err = fmt.Errorf("epochs up to %d: %w", r.Epoch(), ErrMalformed)
			}
			if err == nil && (newest == nil || r.Epoch() > newest.Epoch()) {
				newest = r
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if newest == nil {
		return damaged(DeviceKeyPrefix(device)+"…", storage.ErrNotFound)
	}
	v.Keys = newest
	return nil
}

// UnlockWithPassphrase opens the vault with the first keyring that the
// passphrase opens. It returns seal.ErrPassphrase if it opens none, and the
// damage instead if a key has no copy that is intact.
func (v *Vault) UnlockWithPassphrase(ctx context.Context, passphrase []byte) error {
	names, err := v.keyNames(ctx, KeysPrefix)
	if err != nil {
		return err
	}
	var problem error
	for _, name := range names {
		var keys *seal.Keyring
		err := v.eitherKey(ctx, name, func(object []byte) error {
			w, err := seal.CheckWrapped(object, v.ID)
			if err != nil {
				return err
			}
			if w != seal.WrapPassphrase {
				return errAnotherWay
			}
			if keys, err = seal.OpenWithPassphrase(object, passphrase, v.ID, name); err != nil {
				return err
			}
			return v.check(keys)
		})
		switch {
		case err == nil && keys != nil:
			v.Keys = keys
			return nil
		case storeGone(err):
			return err
		case err != nil && !errors.Is(err, seal.ErrPassphrase) && !errors.Is(err, errAnotherWay):
			problem = errors.Join(problem, err)
		}
	}
	if problem != nil {
		return problem
	}
	return seal.ErrPassphrase
}

// keyCopy is one copy of a wrapped key as it was found. The error is nil if it
// is intact and of this vault, storage.ErrNotFound if it is not there, and
// seal.ErrOtherVault if it is intact, of another vault.
type keyCopy struct {
	name   string
	object []byte
	err    error
}

// absent reports whether a copy is not there, or of another vault.
func (c *keyCopy) absent() bool {
	return errors.Is(c.err, storage.ErrNotFound) || errors.Is(c.err, seal.ErrOtherVault)
}

// keyCopies reads both copies of a wrapped key. It needs no secret.
func (v *Vault) keyCopies(ctx context.Context, name string) (list [2]keyCopy) {
	for i, place := range []string{name, KeyCopyName(name)} {
		c := &list[i]
		c.name = place
		if c.object, c.err = getObject(ctx, v.Store, place, seal.MaxKeyObject); c.err != nil {
			continue
		}
		var device seal.ID
		if device, c.err = seal.WrappedFor(c.object, v.ID); c.err != nil {
			continue
		}
		owner, _, ok := strings.Cut(name[len(KeysPrefix):], "-")
		if ok != (device != seal.ID{}) || ok && owner != hex.EncodeToString(device[:]) {
			c.err = fmt.Errorf("wrapped for somebody else: %w", ErrMalformed)
		}
	}
	return list
}

// KeysReport is what CheckKeys found.
type KeysReport struct {
	Count    int     // wrapped keys
	Single   int     // of those, keys that have no second copy
	Problems []error // copies that are not intact, or not there though the other is
}

// CheckKeys reads both copies of every wrapped key. It needs no secret.
func (v *Vault) CheckKeys(ctx context.Context) KeysReport {
	var r KeysReport
	names, err := v.keyNames(ctx, KeysPrefix)
	if err != nil {
		return KeysReport{Problems: []error{err}}
	}
	r.Count = len(names)
	for _, name := range names {
		list := v.keyCopies(ctx, name)
		first, second := &list[0], &list[1]
		none := first.err != nil && second.err != nil
		switch {
		case first.err == nil && second.err == nil:
			if !bytes.Equal(first.object, second.object) {
				r.Problems = append(r.Problems, fmt.Errorf("%s and %s differ: %w", first.name, second.name, ErrDamaged))
			}
			continue
		case first.err == nil && errors.Is(second.err, storage.ErrNotFound):
			r.Single++
			continue
		}
		for _, c := range list {
			if c.err != nil && !(none && c.absent()) {
				r.Problems = append(r.Problems, objectError(c.name, c.err))
			}
		}
	}
	return r
}

// RestoreKeys makes a copy of a wrapped key that is missing, damaged or of
// another vault from the other one, if that is intact. It returns what was
// wrong with those that it has put back.
func (v *Vault) RestoreKeys(ctx context.Context) (restored []error, err error) {
	names, err := v.keyNames(ctx, KeysPrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		list := v.keyCopies(ctx, name)
		for i := range list {
			bad, good := &list[i], &list[1-i]
			if storeGone(bad.err) || errors.Is(bad.err, ErrUnread) { // it may be whole
				return restored, fmt.Errorf("reading %s: %w", bad.name, bad.err)
			}
			if bad.err == nil || good.err != nil {
				continue
			}
			if err := v.putBack(ctx, bad.name, good.object, !errors.Is(bad.err, storage.ErrNotFound)); err != nil {
				return restored, err
			}
			restored = append(restored, damaged(bad.name, bad.err))
		}
	}
	return restored, nil
}
