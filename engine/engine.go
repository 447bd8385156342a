// Package engine is the running engine of a data directory: it opens the
// vault that the directory belongs to, and backs up, lists, restores and
// checks.
//
// It promises that what Backup reported as a snapshot restores bit for bit,
// whatever happened since to this machine; that a process killed at any point
// needs no repair but to be started again; that one engine at a time has a
// data directory; and that nothing in the data directory is the only copy of
// anything but the device's own identity, in place of which a new one can be
// made with the passphrase.
//
// A data directory holds:
//
//	lock             locked while an engine runs; says which process, since when
//	state.1 state.2  vault, identity, last commit and intents (two copies)
//	catalog/         what all devices have said; derived
//	bad-packs        packs that check has found damaged or missing, if any; derived
//	catalog-…/       while a journal is damaged: see beyond.go; removed after use
//	spool/           packs on their way; emptied at each start
package engine

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"holm.example/engine/backup"
	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/upkeep"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// Engine is an open data directory. Its verbs are for one goroutine at a
// time.
type Engine struct {
	dataDir string
	lock    *dataLock
	state   *stateFile
	store   storage.Store
	vault   *vault.Vault
	catalog *catalog.Catalog
	device  backup.Device
	now     func() time.Time
	note    func(format string, args ...any)
	random  io.Reader
	limits  backup.Limits
	overlay int            // OpenOptions.OverlayBytes
	stopped []catalog.Stop // journals that are not known to their end
	said    mentions       // of what parity made good
	bad     []upkeep.BadPack
	beyond  *beyond // what stands after gaps in them; nil until it is wanted
}

// storeOf wraps the store of a vault; tests put faults there.
type storeOf func(storage.Store) storage.Store

func same(s storage.Store) storage.Store { return s }

// Open opens a data directory. The errors that have an occasion of their own:
// ErrAlreadyRunning, ErrNotJoined, ErrUnreachable, ErrDamaged, ErrNewer.
func Open(ctx context.Context, o OpenOptions) (*Engine, error) { return open(ctx, o, same) }

func open(ctx context.Context, o OpenOptions, wrap storeOf) (_ *Engine, err error) {
	e := &Engine{dataDir: o.DataDir, now: o.Now, note: o.Note, random: rand.Reader,
		overlay: o.OverlayBytes, limits: backup.DefaultLimits()}
	if e.now == nil {
		e.now = time.Now
	}
	if e.note == nil {
		e.note = func(string, ...any) {}
	}
	if _, err := os.Stat(o.DataDir); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", o.DataDir, ErrNotJoined)
	}
	if e.lock, err = acquire(o.DataDir, e.now()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.state, err = loadState(o.DataDir); err != nil {
		return nil, err
	}
	if err := e.openVault(ctx, o, wrap); err != nil {
		return nil, err
	}
	e.bad = loadBad(o.DataDir, e.note)
	return e, e.openCatalog(ctx)
}

// openVault opens the vault of the state with the device's own key.
func (e *Engine) openVault(ctx context.Context, o OpenOptions, wrap storeOf) error {
	where := e.state.state.Vault
	if o.Vault != "" {
		where = o.Vault
	}
	at, err := storage.ParseLocation(where)
	if err != nil {
		return err
	}
	if e.store, err = storage.Open(at, o.Store); err != nil {
		return err
	}
	var id seal.Hash
	if err := hexTo(id[:], e.state.state.VaultID); err != nil {
		return err
	}
	if e.vault, err = find(ctx, wrap(e.store), at, &id); err != nil {
		return err
	}
	e.vault.Repaired = func(object string, err error) {
		if e.said.first(object) {
			e.note("%v; what it holds was read whole", err)
		}
	}
	key, err := e.identity()
	if err != nil {
		return err
	}
	if err := e.vault.UnlockWithDevice(ctx, e.state.Head().Device, key); err != nil {
		return err
	}
	if e.device.Card, err = e.vault.ReadCard(ctx, e.state.Head().Device); err != nil {
		return err
	}
	if at.String() != e.state.state.Vault {
		e.state.state.Vault = at.String()
		return e.state.save()
	}
	return nil
}

// maxTold bounds how many objects are remembered as told.
const maxTold = 1024

// mentions are the objects of which something was said already.
type mentions struct {
	mu      sync.Mutex
	objects map[string]bool
}

// first reports whether nothing was said of an object yet. Once very many are
// told the others stay unsaid: check names them all.
func (t *mentions) first(object string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects[object] || len(t.objects) >= maxTold {
		return false
	}
	if t.objects == nil {
		t.objects = map[string]bool{}
	}
	t.objects[object] = true
	return true
}

// find is vault.Find, for which a directory without a vault is most often a
// disk that is not mounted.
func find(ctx context.Context, s storage.Store, at storage.Location, id *seal.Hash) (*vault.Vault, error) {
	v, err := vault.Find(ctx, s, id)
	if errors.Is(err, vault.ErrNoVault) {
		return nil, fmt.Errorf("%s: %w: %w", at, err, ErrUnreachable)
	}
	return v, err
}

// identity takes the keys of this device from the state.
func (e *Engine) identity() (seal.DeviceKey, error) {
	var signing, device seal.Key
	var id seal.ID
	s := &e.state.state
	err := errors.Join(hexTo(signing[:], s.SigningSeed), hexTo(device[:], s.DeviceSeed), hexTo(id[:], s.DeviceID))
	if err != nil {
		return seal.DeviceKey{}, err
	}
	e.device.Key = ed25519.NewKeyFromSeed(signing[:])
	if _, err := io.ReadFull(e.random, e.device.Incarnation[:]); err != nil {
		return seal.DeviceKey{}, fmt.Errorf("naming this incarnation: %w", err)
	}
	return seal.NewDeviceKey(device)
}

func (e *Engine) catalogPath() string { return filepath.Join(e.dataDir, "catalog") }

// openCatalog opens the catalog and brings it up to date with the vault.
func (e *Engine) openCatalog(ctx context.Context) error {
	if err := e.clearAside(); err != nil {
		return err
	}
	if err := e.loadCatalog(); err != nil {
		return err
	}
	return e.withCatalog(ctx, func() error { return e.follow(ctx) })
}

// loadCatalog opens the catalog as it lies there.
func (e *Engine) loadCatalog() (err error) {
	e.catalog, err = catalog.Open(e.catalogPath(), e.vault.ID, e.note)
	if err == nil && e.overlay > 0 {
		e.catalog.SpillAt(e.overlay)
	}
	return err
}

// follow folds what is new in the vault. What stops a journal is noted: the
// other journals go on.
func (e *Engine) follow(ctx context.Context) error {
	stopped, err := e.catalog.Follow(ctx, e.vault)
	if forgetErr := e.forgetBeyond(); err == nil {
		err = forgetErr // what was beyond may be whole now
	}
	if fmt.Sprint(stopped) != fmt.Sprint(e.stopped) {
		for _, s := range stopped {
			e.note("%v", s)
		}
	}
	e.stopped = stopped
	return errors.Join(err, e.avoid())
}

// withCatalog does something with the catalog, and again with a new one if
// that turns out to be damaged. So it does if one beside it is, once: that is
// made anew, and the catalog stays.
func (e *Engine) withCatalog(ctx context.Context, do func() error) error {
	err := do()
	if errors.Is(err, catalog.ErrAside) {
		e.note("%v; it is built again from the vault", err)
		if err := e.forgetBeyond(); err != nil && !errors.Is(err, catalog.ErrAside) {
			return err
		}
		err = do()
	}
	if !errors.Is(err, catalog.ErrDamaged) || errors.Is(err, catalog.ErrAside) {
		return err
	}
	e.note("%v; it is set aside and built again from the vault", err)
	if closeErr := e.catalog.Close(); closeErr != nil && !errors.Is(closeErr, catalog.ErrDamaged) {
		return closeErr
	}
	if err := catalog.SetAside(e.catalogPath()); err != nil {
		return err
	}
	if err := e.loadCatalog(); err != nil {
		return err
	}
	if err := e.follow(ctx); err != nil {
		return err
	}
	return do()
}

// Close frees the data directory.
func (e *Engine) Close() error {
	var problems []error
	problems = append(problems, e.forgetBeyond())
	if e.catalog != nil {
		problems = append(problems, e.catalog.Close())
	}
	if e.store != nil {
		problems = append(problems, storage.Close(e.store))
	}
	if e.lock != nil {
		problems = append(problems, e.lock.release())
	}
	e.catalog, e.store, e.lock = nil, nil, nil
	return errors.Join(problems...)
}

// Info says what the data directory belongs to.
func (e *Engine) Info() Info {
	info := e.state.info()
	info.Parity = e.vault.Config.Parity()
	return info
}

func (f *stateFile) info() Info {
	s := &f.state
	return Info{Vault: s.Vault, VaultID: s.VaultID, DeviceID: s.DeviceID, DeviceName: s.DeviceName, DataDir: f.dir}
}

// makeDataDir makes a data directory that belongs to no vault yet, and locks
// it.
func makeDataDir(dir string, now time.Time) (*dataLock, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	lock, err := acquire(dir, now)
	if err != nil {
		return nil, err
	}
	_, err = loadState(dir)
	if errors.Is(err, ErrNotJoined) {
		return lock, nil
	}
	if err == nil {
		err = fmt.Errorf("%s: %w", dir, ErrJoined)
	}
	return nil, errors.Join(err, lock.release())
}
