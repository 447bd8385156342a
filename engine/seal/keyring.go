package seal

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
)

// MaxEpochs is the largest number of key epochs in a keyring.
const MaxEpochs = 1024

// Keyring holds the secrets that open a vault.
type Keyring struct {
	// VaultSecret never changes: chunk ids, cutting and the vault's signature
	// depend on it.
	VaultSecret Key
	// Epochs are the secrets that objects are sealed with, by number from 1.
	Epochs map[uint32]Key
}

// NewKeyring makes the keyring of a new vault from random bytes.
func NewKeyring(random io.Reader) (*Keyring, error) {
	var secrets [2]Key
	for i := range secrets {
		if _, err := io.ReadFull(random, secrets[i][:]); err != nil {
			return nil, fmt.Errorf("making secrets: %w", err)
		}
	}
	return &Keyring{VaultSecret: secrets[0], Epochs: map[uint32]Key{1: secrets[1]}}, nil
}

// Epoch is the epoch that new objects are sealed with.
func (r *Keyring) Epoch() uint32 {
	return slices.Max(slices.Collect(maps.Keys(r.Epochs)))
}

// FormatKeyring gives the bytes that are wrapped.
func FormatKeyring(r *Keyring) []byte {
	b := append([]byte(nil), r.VaultSecret[:]...)
	b = binary.AppendUvarint(b, uint64(len(r.Epochs)))
	for _, n := range slices.Sorted(maps.Keys(r.Epochs)) {
		b = binary.AppendUvarint(b, uint64(n))
		secret := r.Epochs[n]
		b = append(b, secret[:]...)
	}
	return b
}

// ParseKeyring reads what FormatKeyring wrote; it returns ErrMalformed for
// anything that FormatKeyring would not write.
func ParseKeyring(b []byte) (*Keyring, error) {
	r := &Keyring{Epochs: map[uint32]Key{}}
	if len(b) < KeySize {
		return nil, ErrMalformed
	}
	copy(r.VaultSecret[:], b)
	b = b[KeySize:]
	count, b, ok := uvarint(b)
	if !ok || count == 0 || count > MaxEpochs {
		return nil, ErrMalformed
	}
	var last uint64
	for range count {
		var n uint64
		n, b, ok = uvarint(b)
		if !ok || n <= last || n > 1<<32-1 || len(b) < KeySize {
			return nil, ErrMalformed
		}
		r.Epochs[uint32(n)] = Key(b[:KeySize])
		b, last = b[KeySize:], n
	}
	if len(b) != 0 {
		return nil, ErrMalformed
	}
	return r, nil
}

// uvarint cuts a minimal varint off b.
func uvarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
