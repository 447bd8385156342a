package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"testing"

	"holm.example/engine/seal"
)

// cheap are the lowest costs that the format allows.
func cheap() seal.Derivation {
	return seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}
}

const (
	wrapName   = "keys/0123456789abcdef0123456789abcdef"
	passphrase = "correct horse"
	headLength = 8 + 1 + 32 // of a wrapped key: magic, kind, version, flags, wrapping, vault id
)

func wrapped(t testing.TB) []byte {
	t.Helper()
	b, err := seal.WrapForPassphrase(reader(bytes.Repeat([]byte{3}, 64)), []byte(passphrase), cheap(), fixedKeyring(), fixedHash(1), wrapName)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// resum is the object with the checksum that its bytes have now: what somebody
// writes who knows the format and not the passphrase.
func resum(b []byte) []byte {
	body := b[:len(b)-32]
	return join(body, refH(body))
}

// changed is a copy with those bytes from offset on, and a right checksum.
func changed(b []byte, offset int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[offset:], with)
	return resum(b)
}

func sameKeyring(a, b *seal.Keyring) bool {
	return a != nil && a.VaultSecret == b.VaultSecret && maps.Equal(a.Epochs, b.Epochs)
}

func TestPassphraseOpensWhatWasWrappedForIt(t *testing.T) {
	b := wrapped(t)
	got, err := seal.OpenWithPassphrase(b, []byte(passphrase), fixedHash(1), wrapName)
	if err != nil || !sameKeyring(got, fixedKeyring()) {
		t.Errorf("opened %v, %v", got, err)
	}
	if w, err := seal.CheckWrapped(b, fixedHash(1)); err != nil || w != seal.WrapPassphrase {
		t.Errorf("CheckWrapped: %v, %v", w, err)
	}
	for _, wrong := range []string{"", "correct horse ", "Correct horse"} {
		if _, err := seal.OpenWithPassphrase(b, []byte(wrong), fixedHash(1), wrapName); !errors.Is(err, seal.ErrPassphrase) {
			t.Errorf("passphrase %q: %v, want ErrPassphrase", wrong, err)
		}
	}
}

func TestEveryFlippedBitOfAWrappedKeyIsDamageNotAWrongPassphrase(t *testing.T) {
	b := wrapped(t)
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		_, err := seal.OpenWithPassphrase(b, []byte(passphrase), fixedHash(1), wrapName)
		if !errors.Is(err, seal.ErrMalformed) || errors.Is(err, seal.ErrPassphrase) {
			t.Errorf("bit %d flipped: %v, want ErrMalformed", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	for n := range b {
		if _, err := seal.CheckWrapped(b[:n], fixedHash(1)); !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v, want ErrMalformed", n, err)
		}
	}
}

func TestForgedWrappedKeysAreRefused(t *testing.T) {
	b := wrapped(t)
	const params, salt, commitment, length = headLength, headLength + 12, headLength + 44, headLength + 76
	vault := fixedHash(1)
	for _, c := range []struct {
		what   string
		object []byte
		name   string
		want   error
	}{
		{"another name", b, "keys/ffffffffffffffffffffffffffffffff", seal.ErrSealed},
		{"another magic", changed(b, 0, 'H'), wrapName, seal.ErrMalformed},
		{"another kind", changed(b, 4, 'c'), wrapName, seal.ErrMalformed},
		{"another version", changed(b, 5, 2), wrapName, seal.ErrMalformed},
		{"a flag", changed(b, 6, 1), wrapName, seal.ErrMalformed},
		{"a wrapping that is none", changed(b, 8, 0), wrapName, seal.ErrMalformed},
		{"a wrapping of the future", changed(b, 8, 4), wrapName, seal.ErrMalformed},
		{"the wrapping of a device", changed(b, 8, 3), wrapName, seal.ErrMalformed},
		{"another vault id", changed(b, 9, ^vault[0]), wrapName, seal.ErrOtherVault},
		{"another salt", changed(b, salt, 0xFF), wrapName, seal.ErrPassphrase},
		{"another commitment", changed(b, commitment, b[commitment]^1), wrapName, seal.ErrPassphrase},
		{"more passes", changed(b, params+4, 2), wrapName, seal.ErrPassphrase},
		{"a longer payload than there is", changed(b, length, 0xFF), wrapName, seal.ErrMalformed},
		{"a shorter payload than there is", changed(b, length, b[length]-1), wrapName, seal.ErrMalformed},
		{"a payload without end", changed(b, length, 0xFF, 0xFF, 0xFF, 0xFF), wrapName, seal.ErrMalformed},
		{"another nonce", changed(b, length+4, b[length+4]^1), wrapName, seal.ErrSealed},
		{"another ciphertext", changed(b, length+20, b[length+20]^1), wrapName, seal.ErrSealed},
		{"a payload of nothing", resum(join(b[:length], u32(0), make([]byte, 32))), wrapName, seal.ErrMalformed},
		{"above the limit", resum(join(b[:length], u32(seal.MaxKeyObject), make([]byte, seal.MaxKeyObject+32))), wrapName, seal.ErrMalformed},
	} {
		r, err := seal.OpenWithPassphrase(c.object, []byte(passphrase), vault, c.name)
		if !errors.Is(err, c.want) || r != nil {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestCostsOutOfBoundsAreRefusedBeforeAnyWork(t *testing.T) {
	b := wrapped(t)
	// Were any of these tried, the test would end without memory, or never.
	for _, d := range []seal.Derivation{
		{MemoryKiB: seal.MinMemoryKiB - 1, Passes: 1, Lanes: 1},
		{MemoryKiB: 0, Passes: 1, Lanes: 1},
		{MemoryKiB: seal.MaxMemoryKiB + 1, Passes: 1, Lanes: 1},
		{MemoryKiB: 1<<32 - 1, Passes: 1, Lanes: 1},
		{MemoryKiB: seal.MinMemoryKiB, Passes: 0, Lanes: 1},
		{MemoryKiB: seal.MinMemoryKiB, Passes: seal.MaxPasses + 1, Lanes: 1},
		{MemoryKiB: seal.MinMemoryKiB, Passes: 1<<32 - 1, Lanes: 1},
		{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 0},
		{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: seal.MaxLanes + 1},
		{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 257}, // 1 in a byte
	} {
		params := binary.LittleEndian.AppendUint32(nil, d.MemoryKiB)
		params = binary.LittleEndian.AppendUint32(params, d.Passes)
		params = binary.LittleEndian.AppendUint32(params, d.Lanes)
		_, err := seal.OpenWithPassphrase(changed(b, headLength, params...), []byte(passphrase), fixedHash(1), wrapName)
		if !errors.Is(err, seal.ErrDerivation) {
			t.Errorf("opening with %+v: %v, want ErrDerivation", d, err)
		}
		_, err = seal.WrapForPassphrase(reader(make([]byte, 64)), nil, d, fixedKeyring(), fixedHash(1), wrapName)
		if !errors.Is(err, seal.ErrDerivation) {
			t.Errorf("wrapping with %+v: %v, want ErrDerivation", d, err)
		}
	}
	if d := seal.DefaultDerivation(); d.MemoryKiB != 256<<10 || d.Passes != 3 || d.Lanes != 4 {
		t.Errorf("the default costs are %+v", d)
	}
}

func TestWrappingNeedsRandomness(t *testing.T) {
	_, err := seal.WrapForPassphrase(reader(make([]byte, 43)), nil, cheap(), fixedKeyring(), fixedHash(1), wrapName)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("with 43 of 44 bytes: %v, want io.ErrUnexpectedEOF", err)
	}
}

func deviceKey(t testing.TB, first byte) seal.DeviceKey {
	t.Helper()
	k, err := seal.NewDeviceKey(seal.Key(fixedHash(first)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wrappedForDevice(t testing.TB) []byte {
	t.Helper()
	b, err := seal.WrapForDevice(seal.ID{1}, deviceKey(t, 1).Public(), fixedKeyring(), fixedHash(1), wrapName)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDeviceOpensWhatWasWrappedForIt(t *testing.T) {
	b := wrappedForDevice(t)
	got, err := seal.OpenWithDevice(b, seal.ID{1}, deviceKey(t, 1), fixedHash(1), wrapName)
	if err != nil || !sameKeyring(got, fixedKeyring()) {
		t.Errorf("opened %v, %v", got, err)
	}
	if w, err := seal.CheckWrapped(b, fixedHash(1)); err != nil || w != seal.WrapDevice {
		t.Errorf("CheckWrapped: %v, %v", w, err)
	}
	if again := wrappedForDevice(t); bytes.Equal(again, b) {
		t.Error("wrapping twice gives the same bytes: the encapsulation is not random")
	}
}

func TestWhatIsWrappedForADeviceOpensForNothingElse(t *testing.T) {
	b := wrappedForDevice(t)
	const device, suite, message = headLength, headLength + 16, headLength + 22 + 4
	for _, c := range []struct {
		what   string
		object []byte
		device seal.ID
		key    byte
		vault  byte
		name   string
		want   error
	}{
		{"another device", b, seal.ID{2}, 1, 1, wrapName, seal.ErrMalformed},
		{"another key", b, seal.ID{1}, 2, 1, wrapName, seal.ErrSealed},
		{"another vault", b, seal.ID{1}, 1, 2, wrapName, seal.ErrOtherVault},
		{"another name", b, seal.ID{1}, 1, 1, "keys/b", seal.ErrSealed},
		{"another vault, checksum mended", changed(b, 9, 2), seal.ID{1}, 1, 1, wrapName, seal.ErrOtherVault},
		{"a passphrase's object", wrapped(t), seal.ID{1}, 1, 1, wrapName, seal.ErrMalformed},
		{"another KEM", changed(b, suite, 0x21), seal.ID{1}, 1, 1, wrapName, seal.ErrMalformed},
		{"another KDF", changed(b, suite+2, 2), seal.ID{1}, 1, 1, wrapName, seal.ErrMalformed},
		{"another cipher", changed(b, suite+4, 1), seal.ID{1}, 1, 1, wrapName, seal.ErrMalformed},
		// The id is a label, the name and the key are what is bound: with both it opens.
		{"the id of another device", changed(b, device, 2), seal.ID{2}, 1, 1, wrapName, nil},
		{"another encapsulated key", changed(b, message, b[message]^1), seal.ID{1}, 1, 1, wrapName, seal.ErrSealed},
		{"a null encapsulated key", changed(b, message, make([]byte, 32)...), seal.ID{1}, 1, 1, wrapName, seal.ErrSealed},
		{"another ciphertext", changed(b, message+32, b[message+32]^1), seal.ID{1}, 1, 1, wrapName, seal.ErrSealed},
		{"an empty message", resum(join(b[:message-4], u32(0), make([]byte, 32))), seal.ID{1}, 1, 1, wrapName, seal.ErrSealed},
	} {
		_, err := seal.OpenWithDevice(c.object, c.device, deviceKey(t, c.key), fixedHash(c.vault), c.name)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if _, err := seal.OpenWithPassphrase(b, []byte(passphrase), fixedHash(1), wrapName); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("with a passphrase: %v, want ErrPassphrase", err)
	}
}

func TestNothingIsWrappedForAKeyThatIsNone(t *testing.T) {
	for what, public := range map[string][]byte{"short": make([]byte, 31), "long": make([]byte, 33), "null": make([]byte, 32)} {
		if b, err := seal.WrapForDevice(seal.ID{1}, public, fixedKeyring(), fixedHash(1), wrapName); err == nil {
			t.Errorf("%s key: an object of %d bytes, want an error", what, len(b))
		}
	}
}

func FuzzCheckWrapped(f *testing.F) {
	for _, seed := range [][]byte{wrapped(f), wrappedForDevice(f), nil, bytes.Repeat([]byte{0xFF}, 200)} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	key := deviceKey(f, 1)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= 32 {
			b = resum(b) // else the checksum hides the parser from the fuzzer
		}
		w, err := seal.CheckWrapped(b, fixedHash(1))
		if err != nil && !errors.Is(err, seal.ErrMalformed) && !errors.Is(err, seal.ErrOtherVault) {
			t.Errorf("error %v", err)
		}
		if err == nil && w != seal.WrapPassphrase && w != seal.WrapOpenPGP && w != seal.WrapDevice {
			t.Errorf("wrapping %d passes", w)
		}
		r, err := seal.OpenWithDevice(b, seal.ID{1}, key, fixedHash(1), wrapName)
		if (err == nil) != (r != nil) {
			t.Errorf("keyring %v with error %v", r, err)
		}
	})
}
