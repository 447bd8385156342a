package vault

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage/storagetest"
)

// copied is a vault with both copies of its configuration and a wrapped key.
func copied(t *testing.T) (*Vault, *storagetest.Memory) {
	t.Helper()
	v, store := fixed(t)
	card, _ := fixedDevice(t, v, 100)
	if err := v.PutDeviceKey(t.Context(), card); err != nil {
		t.Fatal(err)
	}
	if err := v.PutConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v, store
}

func TestAnyFlippedBitInEitherCopyOfTheConfigCostsNothing(t *testing.T) {
	v, store := copied(t)
	good := FormatConfig(v.Config)
	for _, name := range []string{ConfigName, ConfigCopyName} {
		for i := range 8 * len(good) {
			bad := bytes.Clone(good)
			bad[i/8] ^= 1 << (i % 8)
			store.Replace(name, bad)
			for who, want := range map[string]*seal.Hash{"a device": &v.ID, "who joins": nil} {
				if found, err := Find(t.Context(), store, want); err != nil || found.ID != v.ID {
					t.Fatalf("%s, bit %d of byte %d (%q becomes %q): %s finds %v", name, i%8, i/8, good[i/8], bad[i/8], who, err)
				}
			}
			problems := v.CheckConfig(t.Context())
			if len(problems) != 1 || !errors.Is(problems[0], ErrDamaged) || !strings.HasPrefix(problems[0].Error(), name+":") {
				t.Fatalf("%s, bit %d of byte %d: check finds %v", name, i%8, i/8, problems)
			}
			if err := v.RestoreConfig(t.Context()); err != nil || !bytes.Equal(get(t, store, name), good) {
				t.Fatalf("%s, bit %d of byte %d: putting it back: %v", name, i%8, i/8, err)
			}
		}
	}
}

func TestCopiesThatDifferAreDecidedByTheWrappedKeys(t *testing.T) {
	v, _ := copied(t)
	other := v.Config
	other.Nonce[0]++
	foreign, err := New(&storagetest.Memory{}, other, v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		prepare func(store *storagetest.Memory, key string)
		want    error
	}{
		"a key of the one":              {func(*storagetest.Memory, string) {}, nil},
		"no key":                        {func(s *storagetest.Memory, key string) { replaceKey(s, key, nil) }, ErrDamaged},
		"its copy alone":                {func(s *storagetest.Memory, key string) { s.Replace(key, nil) }, nil},
		"a damaged key":                 {func(s *storagetest.Memory, key string) { replaceKey(s, key, append(get(t, s, key), 0)) }, ErrDamaged},
		"a damaged key and a good one":  {func(s *storagetest.Memory, key string) { s.Replace("keys/00", []byte("holmk")) }, nil},
		"a huge object and a good key":  {func(s *storagetest.Memory, key string) { s.Replace("keys/00", make([]byte, seal.MaxKeyObject+1)) }, nil},
		"keys of both":                  {func(s *storagetest.Memory, key string) { copyKey(t, s, foreign, 150) }, ErrDamaged},
		"a key of a third vault beside": {func(s *storagetest.Memory, key string) { copyKey(t, s, third(t, v), 150) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v, store := copied(t)
			c.prepare(store, DeviceKeyName(seal.ID(counting(100, 16)), 1))
			store.Replace(ConfigName, FormatConfig(other))
			found, err := Find(t.Context(), store, nil)
			if !errors.Is(err, c.want) || err == nil && found.ID != v.ID {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func third(t *testing.T, v *Vault) *Vault {
	t.Helper()
	c := v.Config
	c.Nonce[1]++
	w, err := New(&storagetest.Memory{}, c, v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// copyKey puts a key of another vault into a store.
func copyKey(t *testing.T, store *storagetest.Memory, of *Vault, device byte) {
	t.Helper()
	card, _ := fixedDevice(t, of, device)
	if err := of.PutDeviceKey(t.Context(), card); err != nil {
		t.Fatal(err)
	}
	name := DeviceKeyName(card.Device, 1)
	store.Replace(name, get(t, of.Store, name))
}

func TestConfigOfALaterFormatIsNotTakenForDamage(t *testing.T) {
	v, store := copied(t)
	later := bytes.Replace(FormatConfig(v.Config), []byte(`"format": 1`), []byte(`"format": 2`), 1)
	store.Replace(ConfigName, later)
	store.Replace(ConfigCopyName, later)
	if _, err := Find(t.Context(), store, nil); !errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestFeaturesAreWrittenAsTheSpecificationShows(t *testing.T) {
	v, _ := fixed(t)
	v.Config.Features = Features{Read: []string{"parity"}, Collect: []string{"a-1", "opaque-devices"}}
	want := `  "features": {
    "read": [
      "parity"
    ],
    "write": [],
    "collect": [
      "a-1",
      "opaque-devices"
    ]
  }
}
`
	if got := string(FormatConfig(v.Config)); !strings.HasSuffix(got, want) {
		t.Errorf("features are written as\n%s", got)
	}
}

func TestDeviceKeyThatHoldsAnotherEpochThanItsNameIsDamaged(t *testing.T) {
	v, store := fixed(t)
	card, _ := fixedDevice(t, v, 100)
	name := DeviceKeyName(card.Device, 2) // the keyring ends with epoch 1
	b, err := seal.WrapForDevice(card.Device, card.HPKE[:], v.Keys, v.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	store.Replace(name, b)
	key, err := seal.NewDeviceKey(seal.Key(counting(132, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.UnlockWithDevice(t.Context(), card.Device, key); !errors.Is(err, ErrDamaged) || !strings.Contains(fmt.Sprint(err), name) {
		t.Errorf("got %v", err)
	}
}
