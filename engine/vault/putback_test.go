package vault

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// twice are the objects of a vault that have two copies.
func twice(v *Vault, store *storagetest.Memory) map[string]string {
	other := map[string]string{ConfigName: ConfigCopyName, ConfigCopyName: ConfigName}
	for _, name := range store.Names() {
		if strings.HasPrefix(name, KeysPrefix) {
			other[name], other[KeyCopyName(name)] = KeyCopyName(name), name
		}
	}
	return other
}

// restoreAll puts back every copy that is not as it should be.
func restoreAll(t *testing.T, v *Vault) error {
	if err := v.RestoreConfig(t.Context()); err != nil {
		return err
	}
	_, err := v.RestoreKeys(t.Context())
	return err
}

// Wherever a repair stops, every copy is there: as it was before, or whole.
func TestRepairOfCopiesThatIsStoppedAnywhereLeavesNoneMissing(t *testing.T) {
	v, store := copied(t)
	whole := store.Clone()
	for _, spoil := range [][2]string{{ConfigName, KeysPrefix}, {ConfigCopyName, KeysCopyPrefix}} {
		start := whole.Clone()
		for name := range twice(v, whole) {
			if name == spoil[0] || strings.HasPrefix(name, spoil[1]) {
				start.Replace(name, flipped(t, whole, name, 100))
			}
		}
		storagetest.Crashes(t, start, func(t *testing.T, s storage.Store) func(*testing.T, storagetest.Crash, *storagetest.Memory) {
			v := *v
			v.Store = s
			err := restoreAll(t, &v)
			return func(t *testing.T, c storagetest.Crash, left *storagetest.Memory) {
				if (err == nil) != (c.Write == 0) {
					t.Errorf("the repair said %v", err)
				}
				for name := range twice(&v, whole) {
					got, err := left.Get(t.Context(), name, MaxConfig)
					if err != nil || !bytes.Equal(got, get(t, start, name)) && !bytes.Equal(got, get(t, whole, name)) {
						t.Errorf("%s: %q, %v", name, got, err)
					}
				}
				v.Store = left
				if err := restoreAll(t, &v); err != nil || !slices.Equal(left.Names(), whole.Names()) {
					t.Errorf("the next repair: %v, %v", err, left.Names())
				}
				for name := range twice(&v, whole) {
					if !bytes.Equal(get(t, left, name), get(t, whole, name)) {
						t.Errorf("%s is not put back", name)
					}
				}
			}
		})
	}
}

// plain is a store that has no way to overwrite.
type plain struct{ storage.Store }

// An SFTP server without posix-rename must not keep a vault with one copy, nor
// a device from backing up.
func TestCopiesArePutBackInAStoreThatCannotOverwrite(t *testing.T) {
	v, store := copied(t)
	whole := store.Clone()
	for name, other := range twice(v, whole) {
		store.Replace(name, flipped(t, whole, name, 100))
		v.Store = plain{storagetest.NewFaulty(store, storagetest.On(storagetest.Delete, name, storagetest.Before))}
		if err := restoreAll(t, v); !errors.Is(err, storagetest.ErrFault) {
			t.Errorf("%s cannot be removed: %v", name, err)
		}
		v.Store = plain{store}
		if err := restoreAll(t, v); err != nil || !bytes.Equal(get(t, store, name), get(t, whole, name)) || !bytes.Equal(get(t, store, other), get(t, whole, other)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two may see at once that a copy is missing.
func TestCopyThatSomebodyElsePutsBackFirstIsNoError(t *testing.T) {
	v, store := copied(t)
	for name := range twice(v, store) {
		good := get(t, store, name)
		store.Replace(name, nil)
		v.Store = storagetest.NewFaulty(store, storagetest.On(storagetest.Put, name, storagetest.Twice))
		if err := restoreAll(t, v); err != nil || !bytes.Equal(get(t, store, name), good) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The disk of the vault was unmounted, and its mount point is an empty directory.
func TestConfigIsNotPutBackWhereNoVaultIs(t *testing.T) {
	v, _ := copied(t)
	empty := &storagetest.Memory{}
	v.Store = empty
	if err := v.RestoreConfig(t.Context()); !errors.Is(err, storage.ErrUnreachable) || len(empty.Names()) != 0 {
		t.Errorf("%v, and there is %q", err, empty.Names())
	}
}
