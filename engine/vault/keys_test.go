package vault

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// locked is a stored vault with one key for "oak" and one for each device,
// and a handle on it that is not unlocked.
func locked(t *testing.T) (v *Vault, store *storagetest.Memory, key seal.DeviceKey) {
	t.Helper()
	v, store = fixed(t)
	card, _ := fixedDevice(t, v, 100)
	if err := errors.Join(v.PutDeviceKey(t.Context(), card), putOak(t, v), v.PutConfig(t.Context())); err != nil {
		t.Fatal(err)
	}
	key, err := seal.NewDeviceKey(seal.Key(counting(132, 32)))
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), store, &v.ID)
	if err != nil {
		t.Fatal(err)
	}
	return found, store, key
}

func putOak(t *testing.T, v *Vault) error {
	cost := seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}
	return v.PutPassphraseKey(t.Context(), bytes.NewReader(counting(7, 60)), []byte("oak"), cost)
}

// The names of the key objects of locked.
var (
	passphraseKey = KeyName(seal.ID(counting(7, 16)))
	deviceKeyName = DeviceKeyName(seal.ID(counting(100, 16)), 1)
)

// replaceKey replaces a wrapped key and its copy.
func replaceKey(store *storagetest.Memory, name string, b []byte) {
	store.Replace(name, b)
	store.Replace(KeyCopyName(name), b)
}

func flipped(t *testing.T, store *storagetest.Memory, name string, at int) []byte {
	b := get(t, store, name)
	b[at] ^= 1
	return b
}

func TestPassphraseUnlocksOrTheReasonIsTold(t *testing.T) {
	v, store, _ := locked(t)
	good := get(t, store, passphraseKey)
	otherVault := bytes.Clone(good[:len(good)-32])
	otherVault[9] ^= 1
	sum := seal.Sum(otherVault)
	otherVault = append(otherVault, sum[:]...)
	for _, c := range []struct {
		what       string
		object     []byte
		passphrase string
		want       error
	}{
		{"as it was written", good, "oak", nil},
		{"another passphrase", good, "elm", seal.ErrPassphrase},
		{"a damaged key", flipped(t, store, passphraseKey, 100), "oak", ErrDamaged},
		{"a key cut short", good[:50], "oak", ErrDamaged},
		{"an empty key", []byte{}, "oak", ErrDamaged},
		{"a huge key", make([]byte, seal.MaxKeyObject+1), "oak", ErrDamaged},
		{"the key of another vault alone", otherVault, "oak", seal.ErrPassphrase},
		{"no key for a passphrase", nil, "oak", seal.ErrPassphrase},
	} {
		replaceKey(store, passphraseKey, c.object)
		v.Keys = nil
		err := v.UnlockWithPassphrase(t.Context(), []byte(c.passphrase))
		if !errors.Is(err, c.want) || (v.Keys != nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if c.want == ErrDamaged && (errors.Is(err, seal.ErrPassphrase) || !strings.Contains(err.Error(), passphraseKey)) {
			t.Errorf("%s: %v, want an error that names %s", c.what, err, passphraseKey)
		}
	}
}

func TestOnePassphraseOfManyIsEnough(t *testing.T) {
	v, store, _ := locked(t)
	before, after := KeyName(seal.ID{1}), KeyName(seal.ID{0xFF})
	store.Replace(before, []byte("damaged"))
	store.Replace(after, get(t, store, passphraseKey)) // intact, under another name
	if err := v.UnlockWithPassphrase(t.Context(), []byte("oak")); err != nil {
		t.Errorf("beside a damaged key: %v", err)
	}
	r := v.CheckKeys(t.Context())
	if r.Count != 4 || r.Single != 1 || len(r.Problems) != 1 || !errors.Is(r.Problems[0], ErrDamaged) || !strings.Contains(r.Problems[0].Error(), before) {
		t.Errorf("check finds %+v", r)
	}
}

func TestKeyringOfAnotherSignerIsRefused(t *testing.T) {
	v, store, key := locked(t)
	forged := *v
	forged.Keys = &seal.Keyring{VaultSecret: seal.Key{1}, Epochs: map[uint32]seal.Key{1: {2}}} // of whoever owns the store
	replaceKey(store, passphraseKey, nil)
	replaceKey(store, deviceKeyName, nil)
	card := &Card{Device: seal.ID(counting(100, 16)), HPKE: [32]byte(key.Public())}
	if err := errors.Join(putOak(t, &forged), forged.PutDeviceKey(t.Context(), card)); err != nil {
		t.Fatal(err)
	}
	if err := v.UnlockWithPassphrase(t.Context(), []byte("oak")); !errors.Is(err, ErrDamaged) || v.Keys != nil {
		t.Errorf("with the passphrase: %v, want ErrDamaged", err)
	}
	if err := v.UnlockWithDevice(t.Context(), card.Device, key); !errors.Is(err, ErrDamaged) || v.Keys != nil {
		t.Errorf("with the device key: %v, want ErrDamaged", err)
	}
}

func TestDeviceUnlocksWithItsNewestKeyring(t *testing.T) {
	v, store, key := locked(t)
	device := seal.ID(counting(100, 16))
	if err := v.UnlockWithDevice(t.Context(), device, key); err != nil || v.Keys.Epoch() != 1 {
		t.Fatalf("epoch 1: %v", err)
	}
	v.Keys.Epochs[2] = seal.Key{2}
	if err := v.PutDeviceKey(t.Context(), &Card{Device: device, HPKE: [32]byte(key.Public())}); err != nil {
		t.Fatal(err)
	}
	v.Keys = nil
	if err := v.UnlockWithDevice(t.Context(), device, key); err != nil || v.Keys.Epoch() != 2 || len(v.Keys.Epochs) != 2 {
		t.Errorf("after a second epoch: %v", err)
	}
	for what, object := range map[string][]byte{"damaged": flipped(t, store, deviceKeyName, 90), "a passphrase's": get(t, store, passphraseKey)} {
		replaceKey(store, deviceKeyName, object)
		if err := v.UnlockWithDevice(t.Context(), device, key); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), deviceKeyName) {
			t.Errorf("%s object: %v", what, err)
		}
	}
	if err := v.UnlockWithDevice(t.Context(), seal.ID{7}, key); !errors.Is(err, ErrDamaged) {
		t.Errorf("a device without a key: %v", err)
	}
}

func TestStoreOutOfReachIsNeverAWrongPassphraseOrDamage(t *testing.T) {
	v, store, key := locked(t)
	for number := 1; number <= 2; number++ { // the listing, the first object
		v.Store = storagetest.NewFaulty(store, storagetest.From(number, storagetest.Gone))
		err := v.UnlockWithPassphrase(t.Context(), []byte("oak"))
		problems := v.CheckKeys(t.Context()).Problems
		for what, err := range map[string]error{
			"passphrase": err,
			"device":     v.UnlockWithDevice(t.Context(), seal.ID(counting(100, 16)), key),
			"check":      errors.Join(problems...),
			"find":       errorOf(Find(t.Context(), v.Store, nil)),
			"devices":    errorOf(devices(t, v)),
		} {
			if !errors.Is(err, storage.ErrUnreachable) || errors.Is(err, seal.ErrPassphrase) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNoVault) {
				t.Errorf("gone from operation %d on: %s: %v, want ErrUnreachable alone", number, what, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v.Store = store
	if err := v.UnlockWithPassphrase(ctx, []byte("oak")); !errors.Is(err, context.Canceled) || errors.Is(err, ErrDamaged) {
		t.Errorf("cancelled: %v", err)
	}
}

// devices lists the devices that have a card or a journal.
func devices(t *testing.T, v *Vault) (list []seal.ID, err error) {
	journals, err := v.Journals(t.Context())
	for _, j := range journals {
		list = append(list, j.Device)
	}
	return list, err
}

func TestDevicesAreListedOnceByCardOrJournal(t *testing.T) {
	v, store, _ := locked(t)
	card := seal.ID(counting(100, 16))
	store.Replace(SegmentName(card, 1), []byte("x"))
	store.Replace(SegmentName(seal.ID{7}, 1), []byte("x")) // its card is lost
	store.Replace(SegmentName(seal.ID{7}, 2), []byte("x"))
	store.Replace("devices/readme", []byte("x"))
	store.Replace("devices/not-the-name-of-any-device-at-all/card", []byte("x"))
	if got, err := devices(t, v); err != nil || !slices.Equal(got, []seal.ID{{7}, card}) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestNamesOfObjectsHaveOneForm(t *testing.T) {
	device := strings.Repeat("0a", 16)
	good := map[string]bool{
		"devices/" + device + "/journal/000000000001/0007":                  true,
		"devices/" + device + "/journal/000000000000/0000":                  false, // seq 0
		"devices/" + device + "/journal/999999999999/9999":                  true,
		"devices/" + device + "/journal/00000000001/00007":                  false,
		"devices/" + device + "/journal/000000000001/+007":                  false,
		"devices/" + strings.ToUpper(device) + "/journal/000000000001/0007": false,
		"devices/" + device + "/journal/000000000001/0007/x":                false,
		"device/" + device + "/journal/000000000001/0007":                   false,
	}
	for name, want := range good {
		_, seq, err := ParseSegmentName(name)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrMalformed) || want && seq == 0 {
			t.Errorf("%s: seq %d, %v", name, seq, err)
		}
		pack := strings.NewReplacer("devices/", "packs/", "/journal", "").Replace(name) + "-" + device
		id, err := ParsePackName(pack)
		if (err == nil) != want && !strings.HasPrefix(name, "device/") || want && id.Name() != pack {
			t.Errorf("%s: %+v, %v", pack, id, err)
		}
	}
}

func TestTimesOfEveryYearAreInOrder(t *testing.T) {
	at := time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	if got := TimeOf(at); got != (Time{-1, 999_999_999}) || got.Time() != at {
		t.Errorf("one nanosecond before 1970 is %+v", got)
	}
	order := []Time{{math.MinInt64, 0}, {-1, 0}, {-1, 5}, {0, 0}, {math.MaxInt64, 999_999_999}}
	for i, a := range order {
		for j, b := range order {
			if a.Before(b) != (i < j) {
				t.Errorf("%+v and %+v are out of order", a, b)
			}
		}
	}
}

// A decoder that cannot hold a frame stands for memory that does not keep
// what was written to it.
func TestFrameThatDoesNotOpenNeverLeavesTheMachine(t *testing.T) {
	v, _ := fixed(t)
	small, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	v.codec.dec = small
	var spool bytes.Buffer
	w, err := v.NewPackWriter(packName, &spool)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.SizeBytes(); n != headSize || w.Chunks() != 0 {
		t.Errorf("a new pack has %d bytes, %d chunks", n, w.Chunks())
	}
	err = w.Add(seal.Hash{1}, make([]byte, FrameSize))
	if !errors.Is(err, ErrBadMemory) || spool.Len() != headSize {
		t.Errorf("%v, %d bytes spooled", err, spool.Len())
	}
	if _, err := w.Finish(); !errors.Is(err, ErrBadMemory) {
		t.Errorf("Finish: %v", err)
	}
}
