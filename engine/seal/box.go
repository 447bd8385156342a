package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// Lengths of a sealed part, in bytes.
const (
	nonceSize = 12
	tagSize   = 16
	// Overhead is how much longer a sealed part is than its plaintext.
	Overhead = nonceSize + tagSize
)

// Parts that are not counted; docs/vault-format.md, section 4.
const (
	PartTrailer uint32 = 0xFFFFFFFF
	PartIndex   uint32 = 0xFFFFFFFE
)

// Box seals and opens the parts of one object. It is safe for use by several
// goroutines.
type Box struct {
	aead  cipher.AEAD
	nonce *hasher
	vault Hash
	name  string
}

// Box makes the box of an object: the epoch's key of that kind, bound to the
// vault and the full object name. It returns ErrNoEpoch if the keyring lacks
// the epoch.
func (r *Keyring) Box(kind Kind, epoch uint32, vault Hash, name string) (*Box, error) {
	secret, ok := r.Epochs[epoch]
	if !ok {
		return nil, fmt.Errorf("epoch %d: %w", epoch, ErrNoEpoch)
	}
	kindKey := derive(kindContext(kind), secret[:], vault[:])
	key := Key(newHasher(kindKey).sum([]byte(name)))
	return &Box{aead: gcm(key), nonce: newHasher(derive(contextNonce, key[:])), vault: vault, name: name}, nil
}

// gcm is AES-256-GCM under key.
func gcm(key Key) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("seal: " + err.Error()) // the length of a Key is right by type
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return aead
}

// additional is the AAD of a part.
func (b *Box) additional(part uint32, prefix []byte) []byte {
	aad := make([]byte, 0, len(b.vault)+6+len(b.name)+len(prefix))
	aad = append(aad, b.vault[:]...)
	aad = binary.LittleEndian.AppendUint32(aad, part)
	aad = binary.LittleEndian.AppendUint16(aad, uint16(len(b.name)))
	aad = append(aad, b.name...)
	return append(aad, prefix...)
}

// Seal appends the sealed part to dst. prefix is what stands before the part
// in the object, as the specification defines it for the kind. The nonce
// follows from all that differs under one key, the AAD included: one that
// came twice with another AAD would give the authentication key away.
func (b *Box) Seal(dst []byte, part uint32, prefix, plaintext []byte) []byte {
	var p [8]byte
	binary.LittleEndian.PutUint32(p[:], part)
	binary.LittleEndian.PutUint32(p[4:], uint32(len(prefix)))
	n := b.nonce.sum(p[:], prefix, plaintext)
	dst = append(dst, n[:nonceSize]...)
	return b.aead.Seal(dst, n[:nonceSize], plaintext, b.additional(part, prefix))
}

// Open appends the plaintext of a sealed part to dst, or returns ErrSealed.
func (b *Box) Open(dst []byte, part uint32, prefix, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrSealed
	}
	out, err := b.aead.Open(dst, sealed[:nonceSize], sealed[nonceSize:], b.additional(part, prefix))
	if err != nil {
		return nil, ErrSealed
	}
	return out, nil
}
