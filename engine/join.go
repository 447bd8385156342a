package engine

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// Init makes a vault in a store that is empty, or a directory that is missing,
// and makes the data directory its first device.
func Init(ctx context.Context, o Options) (Info, error) { return initVault(ctx, o, same) }

func initVault(ctx context.Context, o Options, wrap storeOf) (Info, error) {
	return enter(ctx, o, storage.Create, func(s storage.Store, at storage.Location) (*vault.Vault, error) {
		s = wrap(s)
		if err := checkEmpty(ctx, s, at); err != nil {
			return nil, err
		}
		if err := storage.Probe(ctx, s, o.now()); err != nil {
			return nil, err
		}
		parity := !at.Redundant()
		if o.Parity != nil {
			parity = *o.Parity
		}
		v, err := newVault(s, o.Chunker, parity)
		if err != nil {
			return nil, err
		}
		d := o.Derivation
		if d == (seal.Derivation{}) {
			d = seal.DefaultDerivation()
		}
		return v, v.PutPassphraseKey(ctx, rand.Reader, o.Passphrase, d)
	}, establish)
}

// establish commits a new vault, and clears away what is left of others: what an
// Init before us has left if it was stopped, or what this one has put if
// another one was first.
func establish(ctx context.Context, v *vault.Vault) error {
	err := v.PutConfig(ctx)
	if errors.Is(err, ErrVaultExists) {
		return errors.Join(err, v.Sweep(ctx, func(id seal.Hash) bool { return id == v.ID }))
	}
	if err != nil {
		return err
	}
	// The vault is made; what stays if this fails counts for nothing.
	_ = v.Sweep(ctx, func(id seal.Hash) bool { return id != v.ID })
	return nil
}

// Join makes the data directory a new device of a vault that is there.
func Join(ctx context.Context, o Options) (Info, error) { return join(ctx, o, same) }

func join(ctx context.Context, o Options, wrap storeOf) (Info, error) {
	open := func(_ context.Context, at storage.Location, o storage.OpenOptions) (storage.Store, error) {
		return storage.Open(at, o)
	}
	return enter(ctx, o, open, func(s storage.Store, at storage.Location) (*vault.Vault, error) {
		v, err := find(ctx, wrap(s), at, nil)
		if err != nil {
			return nil, err
		}
		if err := v.Config.CheckWrite(); err != nil {
			return nil, err
		}
		return v, v.UnlockWithPassphrase(ctx, o.Passphrase)
	}, func(context.Context, *vault.Vault) error { return nil })
}

// Foresee returns what Init, or Join if not isNew, would refuse whatever the
// passphrase is, as far as that is known without making anything: so nobody is
// asked for a passphrase in vain. o.Passphrase is not used.
func Foresee(ctx context.Context, o Options, isNew bool) (err error) {
	at, err := storage.ParseLocation(o.Vault)
	if err != nil {
		return err
	}
	dir, isDir := at.Directory()
	if isDir {
		if err := checkBeside(o.DataDir, dir); err != nil {
			return err
		}
	}
	if _, err := loadState(o.DataDir); err == nil {
		return fmt.Errorf("%s: %w", o.DataDir, ErrJoined)
	} else if !errors.Is(err, ErrNotJoined) {
		return err
	}
	if _, err := os.Lstat(dir); isNew && isDir && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, err := storage.Open(at, o.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, storage.Close(store)) }()
	if !isNew {
		v, err := find(ctx, store, at, nil)
		if err != nil {
			return err
		}
		return v.Config.CheckWrite()
	}
	err = checkEmpty(ctx, store, at)
	if errors.Is(err, ErrVaultExists) || errors.Is(err, ErrNotEmpty) || errors.Is(err, ErrDenied) {
		return err
	}
	return ctx.Err() // a directory of a server may still be made
}

// enter is what Init and Join share: open a store, get an unlocked vault, add
// a device to it, commit, remember.
func enter(ctx context.Context, o Options,
	open func(context.Context, storage.Location, storage.OpenOptions) (storage.Store, error),
	get func(storage.Store, storage.Location) (*vault.Vault, error),
	commit func(context.Context, *vault.Vault) error) (info Info, err error) {
	if len(o.Passphrase) == 0 {
		return info, ErrNoPassphrase
	}
	at, err := storage.ParseLocation(o.Vault)
	if err != nil {
		return info, err
	}
	if dir, ok := at.Directory(); ok {
		if err := checkBeside(o.DataDir, dir); err != nil {
			return info, err
		}
	}
	lock, err := makeDataDir(o.DataDir, o.now())
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	store, err := open(ctx, at, o.Store)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, storage.Close(store)) }()
	v, err := get(store, at)
	if err != nil {
		return info, err
	}
	f := &stateFile{dir: o.DataDir, state: state{Vault: at.String(), VaultID: hex.EncodeToString(v.ID[:])}}
	if err := f.newDevice(ctx, v, o.DeviceName, o.now(), rand.Reader); err != nil {
		return info, err
	}
	if err := commit(ctx, v); err != nil {
		return info, err
	}
	info = f.info()
	info.Parity = v.Config.Parity()
	return info, f.save()
}

// now is the time of the options' clock.
func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// newVault makes keys and configuration, in memory.
func newVault(s storage.Store, sizes vault.ChunkSizes, parity bool) (*vault.Vault, error) {
	if sizes == (vault.ChunkSizes{}) {
		sizes = vault.DefaultChunker()
	}
	keys, err := seal.NewKeyring(rand.Reader)
	if err != nil {
		return nil, err
	}
	c := vault.Config{Signer: [32]byte(keys.Signer().Public().(ed25519.PublicKey)), Chunker: sizes}
	if _, err := io.ReadFull(rand.Reader, c.Nonce[:]); err != nil {
		return nil, fmt.Errorf("naming the vault: %w", err)
	}
	if parity {
		c = c.WithParity()
	}
	if _, err := vault.ParseConfig(vault.FormatConfig(c)); err != nil {
		return nil, err // chunk sizes out of bounds
	}
	return vault.New(s, c, keys)
}

// checkEmpty returns ErrVaultExists or ErrNotEmpty unless the store holds
// nothing, or what an interrupted Init left.
func checkEmpty(ctx context.Context, s storage.Store, where storage.Location) error {
	for o, err := range s.List(ctx, "") {
		if err != nil {
			return err
		}
		switch {
		case o.Name == vault.ConfigName || o.Name == vault.ConfigCopyName:
			return fmt.Errorf("%s: %w", where, ErrVaultExists)
		case strings.HasPrefix(o.Name, vault.KeysPrefix), strings.HasPrefix(o.Name, vault.KeysCopyPrefix), strings.HasPrefix(o.Name, vault.DevicesPrefix),
			strings.HasPrefix(o.Name, "probe/"):
		default:
			return fmt.Errorf("%s: %w", where, ErrNotEmpty)
		}
	}
	return nil
}

// newDevice makes an identity, stores its card and its wrapped key, and sets
// the state to it, which the caller saves.
func (f *stateFile) newDevice(ctx context.Context, v *vault.Vault, name string, now time.Time, random io.Reader) error {
	var signing, device seal.Key
	c := &vault.Card{Name: name, Created: vault.TimeOf(now)}
	for _, p := range [][]byte{signing[:], device[:], c.Device[:]} {
		if _, err := io.ReadFull(random, p); err != nil {
			return fmt.Errorf("making a device: %w", err)
		}
	}
	key, err := seal.NewDeviceKey(device)
	if err != nil {
		return err
	}
	c.Signing = [32]byte(ed25519.NewKeyFromSeed(signing[:]).Public().(ed25519.PublicKey))
	c.HPKE = [32]byte(key.Public())
	// The key says whose card it is, should we be stopped in between.
	if err := v.PutDeviceKey(ctx, c); err != nil {
		return err
	}
	if err := v.PutCard(ctx, c); err != nil {
		return err
	}
	s := &f.state
	s.DeviceID, s.DeviceName = hex.EncodeToString(c.Device[:]), name
	s.SigningSeed, s.DeviceSeed = hex.EncodeToString(signing[:]), hex.EncodeToString(device[:])
	s.HeadSeq, s.HeadHash, s.Intents = 0, hex.EncodeToString(c.Hash[:]), nil
	return nil
}
