package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
)

// Card says who a device is; docs/vault-format.md, section 5.
type Card struct {
	Device  seal.ID
	Signing [32]byte // Ed25519 public key
	HPKE    [32]byte // X25519 public key
	Name    string   // that people gave it
	Created Time
	// Hash is the object hash, which the device's first segment names. Set by
	// reading and by PutCard.
	Hash seal.Hash
}

const (
	roleFull       = 1
	signerVault    = 1
	kemX25519      = 0x0020
	cardPublicSize = headSize + idSize + 2 + idSize + 32 + 2 + 32
)

// FormatCard gives the object of a card, signed by the vault's key.
func (v *Vault) FormatCard(c *Card) ([]byte, error) {
	name := CardName(c.Device)
	epoch := v.Keys.Epoch()
	box, err := v.Keys.Box(seal.KindCard, epoch, v.ID, name)
	if err != nil {
		return nil, err
	}
	if len(c.Name) > MaxName {
		return nil, fmt.Errorf("device name of %d bytes: %w", len(c.Name), ErrFull)
	}
	e := encoder{v.head(seal.KindCard, epoch)}
	e.id(c.Device)
	e.u8(roleFull)
	e.u8(signerVault)
	e.id(seal.ID{})
	e.raw(c.Signing[:])
	e.u16(kemX25519)
	e.raw(c.HPKE[:])
	var private encoder
	private.text(c.Name)
	private.time(c.Created)
	private.text("")
	sealed := box.Seal(nil, 0, e.b, private.b)
	e.u16(uint16(len(sealed)))
	e.raw(sealed)
	return append(e.b, seal.Sign(v.Keys.Signer(), seal.KindCard, v.ID, name, e.b)...), nil
}

// ParseCard verifies and reads the card of a device.
func (v *Vault) ParseCard(device seal.ID, b []byte) (*Card, error) {
	name := CardName(device)
	if len(b) > MaxCard || len(b) < cardPublicSize+2+seal.Overhead+signature {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	before, sig := b[:len(b)-signature], b[len(b)-signature:]
	if err := seal.CheckSignature(v.Config.Signer[:], seal.KindCard, v.ID, name, before, sig); err != nil {
		return nil, err
	}
	epoch, err := parseHead(before[:headSize], seal.KindCard, v.flags())
	if err != nil {
		return nil, err
	}
	c := &Card{Hash: seal.Sum(b)}
	d := decoder{b: before[headSize:]}
	c.Device = d.id()
	role, signer, by := d.u8(), d.u8(), d.id()
	copy(c.Signing[:], d.raw(32))
	suite := d.u16()
	copy(c.HPKE[:], d.raw(32))
	sealed := d.raw(int(d.u16()))
	if err := d.end(); err != nil {
		return nil, err
	}
	if c.Device != device || by != (seal.ID{}) && signer == signerVault {
		return nil, fmt.Errorf("device id: %w", ErrMalformed)
	}
	if role != roleFull || signer != signerVault || suite != kemX25519 {
		return nil, fmt.Errorf("role %d, signer %d, key %#x: %w", role, signer, suite, ErrNewer)
	}
	box, err := v.Keys.Box(seal.KindCard, epoch, v.ID, name)
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, 0, before[:cardPublicSize], sealed)
	if err != nil {
		return nil, err
	}
	p := decoder{b: plain}
	c.Name, c.Created = p.text(MaxName, "device name"), p.time()
	p.text(0, "reserved")
	return c, p.end()
}

// PutCard signs and stores the card of a new device, and sets its Hash.
func (v *Vault) PutCard(ctx context.Context, c *Card) error {
	b, err := v.FormatCard(c)
	if err != nil {
		return err
	}
	c.Hash = seal.Sum(b)
	if b, err = v.Whole(b); err != nil {
		return err
	}
	err = v.put(ctx, CardName(c.Device), b)
	if !errors.Is(err, storage.ErrExists) {
		return err
	}
	there, getErr := v.Store.Get(ctx, CardName(c.Device), v.ObjectSize(MaxCard))
	if getErr == nil && bytes.Equal(there, b) {
		return nil
	}
	return err
}

// ReadCard reads the card of a device: ErrForeign for one that belongs to
// another vault, else ErrDamaged for one that does not verify.
func (v *Vault) ReadCard(ctx context.Context, device seal.ID) (*Card, error) {
	c, _, err := v.readCard(ctx, device)
	return c, err
}

// readCard is ReadCard, with the body of the object.
func (v *Vault) readCard(ctx context.Context, device seal.ID) (c *Card, body []byte, err error) {
	name := CardName(device)
	o, err := v.fetch(ctx, name, MaxCard)
	if err != nil {
		return nil, nil, objectError(name, err)
	}
	err = o.body(ctx, nextCardSize, func(b []byte) error {
		c, err = v.ParseCard(device, b)
		body = b
		return err
	})
	if err == nil {
		return c, body, nil
	}
	if errors.Is(err, seal.ErrSignature) || errors.Is(err, ErrBeyondParity) {
		foreign, keysErr := v.foreign(ctx, device)
		if keysErr != nil {
			return nil, nil, keysErr
		}
		if foreign {
			return nil, nil, fmt.Errorf("%s: %w", name, ErrForeign)
		}
	}
	return nil, nil, objectError(name, err)
}

// nextCardSize is the least size above n that cards have.
func nextCardSize(n int64) int64 { return max(n+1, cardPublicSize+2+seal.Overhead+3+signature) }

// foreign reports whether the wrapped keys of a device say that it belongs to
// another vault.
func (v *Vault) foreign(ctx context.Context, device seal.ID) (bool, error) {
	names, err := v.keyNames(ctx, DeviceKeyPrefix(device))
	if err != nil {
		return false, err
	}
	foreign := false
	for _, name := range names {
		for _, c := range v.keyCopies(ctx, name) {
			switch {
			case outOfReach(c.err):
				return false, fmt.Errorf("reading %s: %w", c.name, c.err)
			case errors.Is(c.err, seal.ErrOtherVault):
				foreign = true
			case !errors.Is(c.err, storage.ErrNotFound):
				return false, nil
			}
		}
	}
	return foreign, nil
}

// Sweep removes the wrapped keys, and the cards of their devices, whose vault
// drop says so of. Init clears away what others have left, and what it has
// put itself when it came second. The copies go first: a key without one is
// found again.
func (v *Vault) Sweep(ctx context.Context, drop func(vault seal.Hash) bool) error {
	for _, prefix := range []string{KeysCopyPrefix, KeysPrefix} {
		for o, err := range v.Store.List(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("listing keys: %w", err)
			}
			b, err := v.Store.Get(ctx, o.Name, seal.MaxKeyObject)
			if err != nil {
				return fmt.Errorf("reading %s: %w", o.Name, err)
			}
			if id, err := seal.WrappedVault(b); err != nil || !drop(id) {
				continue
			}
			owner, _, ok := strings.Cut(o.Name[len(prefix):], "-")
			if device, err := ParseID(owner); ok && err == nil && prefix == KeysPrefix { // the card first: its key says whose it is
				if err := v.Store.Delete(ctx, CardName(device)); err != nil {
					return fmt.Errorf("removing a card: %w", err)
				}
			}
			if err := v.Store.Delete(ctx, o.Name); err != nil {
				return fmt.Errorf("removing a key: %w", err)
			}
		}
	}
	return nil
}

// key is the card's signing key.
func (c *Card) key() ed25519.PublicKey { return c.Signing[:] }

// Journal is what a listing of the store says of a device.
type Journal struct {
	Device seal.ID
	Last   uint64 // the highest seq that is there; 0: none
	Gap    uint64 // the lowest seq below Last that is not there; 0: none
}

// Missing is the lowest seq that is not there.
func (j Journal) Missing() uint64 {
	if j.Gap > 0 {
		return j.Gap
	}
	return j.Last + 1
}

// Journals lists the devices that have a card or a journal, and how far each
// journal goes.
func (v *Vault) Journals(ctx context.Context) ([]Journal, error) {
	var list []Journal
	for o, err := range v.Store.List(ctx, DevicesPrefix) {
		if err != nil {
			return nil, fmt.Errorf("listing devices: %w", err)
		}
		rest := o.Name[len(DevicesPrefix):]
		if len(rest) < 2*idSize {
			continue
		}
		id, err := ParseID(rest[:2*idSize])
		if err != nil {
			continue
		}
		if len(list) == 0 || list[len(list)-1].Device != id {
			list = append(list, Journal{Device: id})
		}
		j := &list[len(list)-1]
		if _, seq, err := ParseSegmentName(o.Name); err == nil {
			if j.Gap == 0 && seq > j.Last+1 {
				j.Gap = j.Last + 1
			}
			j.Last = seq
		}
	}
	return list, nil
}
