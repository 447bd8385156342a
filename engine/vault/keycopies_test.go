package vault

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage/storagetest"
)

// otherVaultsKey is a wrapped key as another vault would have it.
func otherVaultsKey(good []byte) []byte {
	b := bytes.Clone(good[:len(good)-32])
	b[9] ^= 1
	sum := seal.Sum(b)
	return append(b, sum[:]...)
}

// harms are what can become of one copy of a wrapped key.
func harms(t *testing.T, store *storagetest.Memory, name string) map[string][]byte {
	good := get(t, store, name)
	return map[string][]byte{"missing": nil, "a flipped bit": flipped(t, store, name, 100), "cut": good[:len(good)/2],
		"empty": {}, "too long": make([]byte, seal.MaxKeyObject+1), "another vault's": otherVaultsKey(good)}
}

func TestOneGoodCopyOfAKeyUnlocksAndTheOtherIsToldAndMended(t *testing.T) {
	v, store, key := locked(t)
	device := seal.ID(counting(100, 16))
	for _, name := range []string{passphraseKey, deviceKeyName} {
		good := get(t, store, name)
		for _, place := range []string{name, KeyCopyName(name)} {
			for how, bad := range harms(t, store, name) {
				store.Replace(place, bad)
				if err := v.UnlockWithPassphrase(t.Context(), []byte("oak")); err != nil {
					t.Errorf("%s, %s: with the passphrase: %v", place, how, err)
				}
				v.Keys = nil
				if err := v.UnlockWithPassphrase(t.Context(), []byte("elm")); !errors.Is(err, seal.ErrPassphrase) || errors.Is(err, ErrDamaged) {
					t.Errorf("%s, %s: with another passphrase: %v", place, how, err)
				}
				if err := v.UnlockWithDevice(t.Context(), device, key); err != nil {
					t.Errorf("%s, %s: with the device key: %v", place, how, err)
				}
				r := v.CheckKeys(t.Context())
				if how == "missing" && place != name {
					if r.Single != 1 || len(r.Problems) != 0 {
						t.Errorf("%s, %s: check finds %+v, want one key without a copy", place, how, r)
					}
				} else if len(r.Problems) != 1 || !errors.Is(r.Problems[0], ErrDamaged) || !strings.HasPrefix(r.Problems[0].Error(), place+": ") {
					t.Errorf("%s, %s: check finds %+v", place, how, r)
				}
				restored, err := v.RestoreKeys(t.Context())
				if err != nil || len(restored) != 1 || !strings.HasPrefix(restored[0].Error(), place+": ") || !bytes.Equal(get(t, store, place), good) {
					t.Errorf("%s, %s: put back %v, %v", place, how, restored, err)
				}
			}
		}
	}
	if r := v.CheckKeys(t.Context()); r.Count != 2 || r.Single != 0 || len(r.Problems) != 0 {
		t.Errorf("at the end check finds %+v", r)
	}
	if restored, err := v.RestoreKeys(t.Context()); err != nil || len(restored) != 0 {
		t.Errorf("at the end there was something to put back: %v, %v", restored, err)
	}
}

func TestKeyWithTwoDamagedCopiesIsToldAndLeftAlone(t *testing.T) {
	v, store, _ := locked(t)
	replaceKey(store, passphraseKey, flipped(t, store, passphraseKey, 100))
	err := v.UnlockWithPassphrase(t.Context(), []byte("oak"))
	if !errors.Is(err, ErrDamaged) || errors.Is(err, seal.ErrPassphrase) || !strings.Contains(err.Error(), passphraseKey) {
		t.Errorf("unlocking: %v", err)
	}
	before := store.Names()
	if restored, err := v.RestoreKeys(t.Context()); err != nil || len(restored) != 0 || !slices.Equal(before, store.Names()) {
		t.Errorf("put back %v, %v", restored, err)
	}
	if r := v.CheckKeys(t.Context()); len(r.Problems) != 2 {
		t.Errorf("check finds %+v", r)
	}
}

// Both are whole and nobody without the passphrase can tell which is right:
// each is tried, none is overwritten.
func TestCopiesOfAKeyThatDifferAreBothTriedAndKept(t *testing.T) {
	v, store, _ := locked(t)
	good := get(t, store, passphraseKey)
	again, fresh := fixed(t)
	cost := seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}
	if err := again.PutPassphraseKey(t.Context(), bytes.NewReader(counting(7, 60)), []byte("elm"), cost); err != nil {
		t.Fatal(err)
	}
	elm := get(t, fresh, passphraseKey)
	for _, first := range []bool{true, false} {
		store.Replace(passphraseKey, good)
		store.Replace(KeyCopyName(passphraseKey), elm)
		if !first {
			store.Replace(passphraseKey, elm)
			store.Replace(KeyCopyName(passphraseKey), good)
		}
		for passphrase, want := range map[string]error{"oak": nil, "elm": nil, "fir": seal.ErrPassphrase} {
			if err := v.UnlockWithPassphrase(t.Context(), []byte(passphrase)); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", passphrase, err, want)
			}
		}
		if r := v.CheckKeys(t.Context()); len(r.Problems) != 1 || !strings.Contains(fmt.Sprint(r.Problems), KeyCopyName(passphraseKey)) {
			t.Errorf("check finds %+v", r)
		}
		if restored, err := v.RestoreKeys(t.Context()); err != nil || len(restored) != 0 {
			t.Errorf("put back %v, %v", restored, err)
		}
	}
}

// A derivation costs a second and 256 MiB: two copies must not make it two.
func TestWrongPassphraseIsTriedOnceOnEqualCopies(t *testing.T) {
	v, store, _ := locked(t)
	tried := 0
	try := func([]byte) error {
		tried++
		return seal.ErrPassphrase
	}
	if err := v.eitherKey(t.Context(), passphraseKey, try); !errors.Is(err, seal.ErrPassphrase) || tried != 1 {
		t.Errorf("tried %d times, %v", tried, err)
	}
	store.Replace(KeyCopyName(passphraseKey), flipped(t, store, passphraseKey, 100))
	if err := v.eitherKey(t.Context(), passphraseKey, try); !errors.Is(err, seal.ErrPassphrase) || tried != 3 {
		t.Errorf("with a copy that differs tried %d times more, %v", tried-1, err)
	}
}

// What earlier versions of holm made has keys without copies.
func TestVaultWithoutKeyCopiesIsReadAndGetsThem(t *testing.T) {
	v, store, key := locked(t)
	for _, name := range store.Names() {
		if strings.HasPrefix(name, KeysCopyPrefix) {
			store.Replace(name, nil)
		}
	}
	if err := errors.Join(v.UnlockWithPassphrase(t.Context(), []byte("oak")), v.UnlockWithDevice(t.Context(), seal.ID(counting(100, 16)), key)); err != nil {
		t.Error(err)
	}
	if r := v.CheckKeys(t.Context()); r.Count != 2 || r.Single != 2 || len(r.Problems) != 0 {
		t.Errorf("check finds %+v", r)
	}
	if restored, err := v.RestoreKeys(t.Context()); err != nil || len(restored) != 2 {
		t.Errorf("put back %v, %v", restored, err)
	}
	if r := v.CheckKeys(t.Context()); r.Count != 2 || r.Single != 0 || len(r.Problems) != 0 {
		t.Errorf("then check finds %+v", r)
	}
}

// Init removes the keys of a vault that never was, wherever it was stopped.
func TestSweepRemovesKeysWithTheirCopies(t *testing.T) {
	v, store, _ := locked(t)
	plan := func(n int) *storagetest.Faulty {
		return storagetest.NewFaulty(store, storagetest.From(n, storagetest.Gone))
	}
	for n := 1; ; n++ {
		v.Store = plan(n)
		err := v.Sweep(t.Context(), func(id seal.Hash) bool { return id == v.ID })
		r := (&Vault{Store: store, ID: v.ID}).CheckKeys(t.Context())
		if len(r.Problems) > 0 {
			t.Errorf("stopped at operation %d: a copy without its key: %v", n, r.Problems)
		}
		if err == nil {
			break
		}
	}
	for _, name := range store.Names() {
		if strings.HasPrefix(name, "keys") {
			t.Errorf("%s is left", name)
		}
	}
}
