// Package seal is the cryptography of the vault: key derivation, sealed
// parts, signatures, and keyrings wrapped for a passphrase or a device.
//
// It promises that what Open returns is what Seal was given, under the same
// key, name, part and prefix, or an error; that nothing is interpreted before
// it is authenticated, except the bounded public fields of a wrapped key; and
// that sealing two different plaintexts under one key and name, or one with
// two prefixes, never reuses a nonce, even when the random generator was
// cloned. The bytes are specified in docs/vault-format.md, section 4.
package seal

import (
	"crypto/ed25519"
	"encoding/binary"
	"sync"

	"github.com/zeebo/blake3"
)

// KeySize is the length in bytes of every secret, key and hash.
const KeySize = 32

// Hash is a BLAKE3 hash of 32 bytes.
type Hash [KeySize]byte

// ID is the random name of a device, a source, a directory, a mark or a pack.
type ID [16]byte

// Key is a symmetric key. It is a secret: it has no String method.
type Key [KeySize]byte

// Kind is the letter of an object kind; docs/vault-format.md, section 2.
type Kind byte

// The kinds of objects of format 1.
const (
	KindKey     Kind = 'k'
	KindCard    Kind = 'c'
	KindSegment Kind = 'j'
	KindFence   Kind = 'f'
	KindPack    Kind = 'p'
	KindTable   Kind = 't'
)

// Contexts of key derivation; docs/vault-format.md, section 4.
const (
	contextChunkID    = "holm vault 1 chunk id"
	contextChunker    = "holm vault 1 chunker"
	contextSigning    = "holm vault 1 signing"
	contextNonce      = "holm vault 1 nonce"
	contextCommitment = "holm vault 1 commitment"
	contextWrapping   = "holm vault 1 wrapping"
	contextSignature  = "holm vault 1 signature"
	contextDeviceKey  = "holm vault 1 device key"
)

// kindContext is the context of a kind key. The caller passes a kind that
// has one.
func kindContext(k Kind) string {
	switch k {
	case KindSegment:
		return "holm vault 1 segment"
	case KindPack:
		return "holm vault 1 pack"
	case KindCard:
		return "holm vault 1 card"
	case KindTable:
		return "holm vault 1 table"
	}
	panic("seal: kind has no key: " + string(rune(k)))
}

// Sum is the plain hash of everything given, joined.
func Sum(data ...[]byte) Hash {
	h := blake3.New()
	for _, d := range data {
		_, _ = h.Write(d) // never fails
	}
	return Hash(h.Sum(nil))
}

// derive is D(context, material) of the specification.
func derive(context string, material ...[]byte) Key {
	h := blake3.NewDeriveKey(context)
	for _, m := range material {
		_, _ = h.Write(m) // never fails
	}
	return Key(h.Sum(nil))
}

// hasher computes K(key, data) of the specification for one key. It is safe
// for use by several goroutines. What a hash needs is large, above 8 KiB, and
// is used again.
type hasher struct{ idle sync.Pool }

func newHasher(key Key) *hasher {
	h := &hasher{}
	h.idle.New = func() any {
		k, err := blake3.NewKeyed(key[:])
		if err != nil {
			panic("seal: " + err.Error()) // the length of a Key is right by type
		}
		return k
	}
	return h
}

// sum is the hash of everything given, joined.
func (h *hasher) sum(data ...[]byte) (out Hash) {
	k := h.idle.Get().(*blake3.Hasher)
	k.Reset()
	for _, d := range data {
		_, _ = k.Write(d) // never fails
	}
	k.Sum(out[:0])
	h.idle.Put(k)
	return out
}

// ChunkKey computes chunk ids. Only who holds the vault secret can tell
// whether a chunk is a known file.
type ChunkKey struct{ hasher *hasher }

// ID is the id of a chunk with that content.
func (k ChunkKey) ID(content []byte) Hash { return k.hasher.sum(content) }

// Gear fills table with the secret numbers of the cutter, 8 bytes
// little-endian each.
func (r *Keyring) Gear(table *[256]uint64) {
	key := derive(contextChunker, r.VaultSecret[:])
	h, err := blake3.NewKeyed(key[:])
	if err != nil {
		panic("seal: " + err.Error())
	}
	_, _ = h.WriteString("gear")
	var stream [2048]byte
	_, _ = h.Digest().Read(stream[:]) // an extended output never ends
	for i := range table {
		table[i] = binary.LittleEndian.Uint64(stream[8*i:])
	}
}

// ChunkKey is the key of chunk ids in this vault; it is worth keeping.
func (r *Keyring) ChunkKey() ChunkKey {
	return ChunkKey{newHasher(derive(contextChunkID, r.VaultSecret[:]))}
}

// Signer is the vault's own key pair; it signs device cards.
func (r *Keyring) Signer() ed25519.PrivateKey {
	seed := derive(contextSigning, r.VaultSecret[:])
	return ed25519.NewKeyFromSeed(seed[:])
}

// signedMessage is what a signature covers. before are the object's bytes
// that precede the signature.
func signedMessage(kind Kind, vault Hash, name string, before []byte) []byte {
	sum := Sum(before)
	m := append([]byte(contextSignature), 0, byte(kind))
	m = append(m, vault[:]...)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(name)))
	m = append(m, name...)
	return append(m, sum[:]...)
}

// Sign signs the bytes of an object that stand before its signature
// (Ed25519, RFC 8032). The result has 64 bytes.
func Sign(key ed25519.PrivateKey, kind Kind, vault Hash, name string, before []byte) []byte {
	return ed25519.Sign(key, signedMessage(kind, vault, name, before))
}

// CheckSignature returns nil if the signature over the bytes before it is the
// key's, and ErrSignature otherwise.
func CheckSignature(key ed25519.PublicKey, kind Kind, vault Hash, name string, before, signature []byte) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signedMessage(kind, vault, name, before), signature) {
		return ErrSignature
	}
	return nil
}
