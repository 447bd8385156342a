package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"holm.example/engine/seal"
)

func TestKeyringComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		epochs := rapid.MapOfN(rapid.Uint32Min(1), rapid.SliceOfN(rapid.Byte(), 32, 32), 1, 20).Draw(t, "epochs")
		r := &seal.Keyring{VaultSecret: seal.Key(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")), Epochs: map[uint32]seal.Key{}}
		newest := uint32(0)
		for n, secret := range epochs {
			r.Epochs[n] = seal.Key(secret)
			newest = max(newest, n)
		}
		b := seal.FormatKeyring(r)
		got, err := seal.ParseKeyring(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.VaultSecret != r.VaultSecret || len(got.Epochs) != len(r.Epochs) || got.Epoch() != newest {
			t.Fatalf("got %d epochs up to %d, want %d up to %d", len(got.Epochs), got.Epoch(), len(r.Epochs), newest)
		}
		if !bytes.Equal(seal.FormatKeyring(got), b) {
			t.Fatal("formatted again, the bytes differ")
		}
	})
}

func TestKeyringParserRefusesWhatIsNeverWritten(t *testing.T) {
	secret := bytes.Repeat([]byte{5}, 32)
	epoch := func(number ...byte) []byte { return join(number, secret) }
	many := binary.AppendUvarint(bytes.Clone(secret), seal.MaxEpochs+1)
	for n := range uint64(seal.MaxEpochs + 1) {
		many = append(binary.AppendUvarint(many, n+1), secret...)
	}
	for what, b := range map[string][]byte{
		"nothing":                      nil,
		"half a secret":                secret[:16],
		"no count":                     secret,
		"no epoch":                     join(secret, []byte{0}),
		"epoch 0":                      join(secret, []byte{1}, epoch(0)),
		"an epoch twice":               join(secret, []byte{2}, epoch(1), epoch(1)),
		"epochs falling":               join(secret, []byte{2}, epoch(2), epoch(1)),
		"fewer epochs than counted":    join(secret, []byte{2}, epoch(1)),
		"an epoch cut short":           join(secret, []byte{1}, epoch(1)[:32]),
		"a byte left over":             join(secret, []byte{1}, epoch(1), []byte{0}),
		"a count that is not minimal":  join(secret, []byte{0x81, 0}, epoch(1)),
		"an epoch that is not minimal": join(secret, []byte{1}, epoch(0x81, 0)),
		"an epoch above 32 bits":       join(secret, []byte{1}, epoch(0x80, 0x80, 0x80, 0x80, 0x10)),
		"a count without end":          join(secret, bytes.Repeat([]byte{0xFF}, 11)),
		"more epochs than allowed":     many,
	} {
		if _, err := seal.ParseKeyring(b); !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", what, err)
		}
	}
}

func TestNewKeyringIsMadeOfTheRandomBytesAndNothingElse(t *testing.T) {
	random := join(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32))
	r, err := seal.NewKeyring(reader(random))
	if err != nil || r.Epoch() != 1 || r.VaultSecret != seal.Key(random[:32]) || r.Epochs[1] != seal.Key(random[32:]) {
		t.Errorf("keyring %+v, %v", r, err)
	}
	if _, err := seal.NewKeyring(reader(random[:63])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("with too little randomness: %v, want io.ErrUnexpectedEOF", err)
	}
}

func FuzzParseKeyring(f *testing.F) {
	f.Add(seal.FormatKeyring(fixedKeyring()))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xFF}, 50))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := seal.ParseKeyring(b)
		if err != nil {
			if !errors.Is(err, seal.ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		if got := seal.FormatKeyring(r); !bytes.Equal(got, b) {
			t.Errorf("%x parses and formats as %x", b, got)
		}
	})
}
