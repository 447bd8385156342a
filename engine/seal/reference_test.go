package seal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/zeebo/blake3"
	"golang.org/x/crypto/argon2"

	"holm.example/engine/seal"
)

// This file says section 4 of docs/vault-format.md a second time, as plainly
// as it can be said, so that the package is compared with the specification
// and not with itself.

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func u16(n int) []byte    { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func u32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func refH(x []byte) []byte {
	sum := blake3.Sum256(x)
	return sum[:]
}

func refK(key, x []byte, size int) []byte {
	h, err := blake3.NewKeyed(key)
	if err != nil {
		panic(err)
	}
	_, _ = h.Write(x)
	out := make([]byte, size)
	_, _ = h.Digest().Read(out)
	return out
}

func refD(context string, material []byte) []byte {
	out := make([]byte, 32)
	blake3.DeriveKey(context, material, out)
	return out
}

func refGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// refSealed is a sealed part.
func refSealed(context string, epochSecret, vault []byte, name string, part uint32, prefix, plaintext []byte) []byte {
	kindKey := refD(context, join(epochSecret, vault))
	objectKey := refK(kindKey, []byte(name), 32)
	nonceKey := refD("holm vault 1 nonce", objectKey)
	nonce := refK(nonceKey, join(u32(part), u32(uint32(len(prefix))), prefix, plaintext), 32)[:12]
	aad := join(vault, u32(part), u16(len(name)), []byte(name), prefix)
	return join(nonce, refGCM(objectKey).Seal(nil, nonce, plaintext, aad))
}

// refKeyring is a keyring with two epochs below 128.
func refKeyring(vaultSecret []byte, n1 byte, s1 []byte, n2 byte, s2 []byte) []byte {
	return join(vaultSecret, []byte{2, n1}, s1, []byte{n2}, s2)
}

// refSigned is what an Ed25519 signature covers.
func refSigned(kind byte, vault []byte, name string, before []byte) []byte {
	return join([]byte("holm vault 1 signature"), []byte{0, kind}, vault, u16(len(name)), []byte(name), refH(before))
}

// refWrapped is a keyring wrapped for a passphrase with 64 MiB, 1 pass, 1 lane.
func refWrapped(passphrase string, salt, nonce, keyring, vault []byte, name string) []byte {
	kek := argon2.IDKey([]byte(passphrase), salt, 1, 64<<10, 1, 32)
	commitment := refD("holm vault 1 commitment", join(kek, salt, vault))
	b := join([]byte("holmk\x01\x00\x00\x01"), vault, u32(64<<10), u32(1), u32(1), salt, commitment)
	aad := join(vault, u16(len(name)), []byte(name), b)
	sealed := join(nonce, refGCM(refD("holm vault 1 wrapping", kek)).Seal(nil, nonce, keyring, aad))
	b = join(b, u32(uint32(len(sealed))), sealed)
	return join(b, refH(b))
}

func TestHashIsBLAKE3OfItsAuthors(t *testing.T) {
	// The first row of test_vectors.json of the BLAKE3 team: input of length 0.
	const (
		hash    = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
		keyed   = "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"
		derived = "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"
	)
	sum := seal.Sum()
	for what, c := range map[string][2]string{
		"hash":       {hex.EncodeToString(sum[:]), hash},
		"keyed_hash": {hex.EncodeToString(refK([]byte("whats the Elvish word for friend"), nil, 32)), keyed},
		"derive_key": {hex.EncodeToString(refD("BLAKE3 2019-12-27 16:29:52 test vectors context", nil)), derived},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %s, want %s", what, c[0], c[1])
		}
	}
}

func TestPackageFollowsTheSpecification(t *testing.T) {
	r, vault := fixedKeyring(), fixedHash(0x70)
	vaultSecret, one, seven := r.VaultSecret, r.Epochs[1], r.Epochs[7]
	same := func(what string, got, want []byte) {
		t.Helper()
		if hex.EncodeToString(got) != hex.EncodeToString(want) {
			t.Errorf("%s: %x, want %x", what, got, want)
		}
	}
	same("keyring", seal.FormatKeyring(r), refKeyring(vaultSecret[:], 1, one[:], 7, seven[:]))

	content := []byte("the content of a chunk")
	id := r.ChunkKey().ID(content)
	same("chunk id", id[:], refK(refD("holm vault 1 chunk id", vaultSecret[:]), content, 32))

	var gear [256]uint64
	r.Gear(&gear)
	stream := refK(refD("holm vault 1 chunker", vaultSecret[:]), []byte("gear"), 2048)
	for i, g := range gear {
		same("gear", binary.LittleEndian.AppendUint64(nil, g), stream[8*i:8*i+8])
	}

	vaultKey := ed25519.NewKeyFromSeed(refD("holm vault 1 signing", vaultSecret[:]))
	same("signer", r.Signer(), vaultKey)
	before := []byte("the bytes of a card")
	same("signature", seal.Sign(r.Signer(), seal.KindCard, vault, "devices/x/card", before),
		ed25519.Sign(vaultKey, refSigned('c', vault[:], "devices/x/card", before)))

	for kind, context := range map[seal.Kind]string{seal.KindSegment: "holm vault 1 segment", seal.KindPack: "holm vault 1 pack",
		seal.KindCard: "holm vault 1 card", seal.KindTable: "holm vault 1 table"} {
		box, err := r.Box(kind, 7, vault, "some/name")
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []uint32{0, 1, seal.PartIndex, seal.PartTrailer} {
			same(context, box.Seal(nil, part, []byte("prefix"), content),
				refSealed(context, seven[:], vault[:], "some/name", part, []byte("prefix"), content))
		}
	}

	salt, nonce := fixedHash(0x20), fixedHash(0x40)
	random := join(salt[:], nonce[:12])
	object, err := seal.WrapForPassphrase(reader(random), []byte("päss"), cheap(), r, vault, "keys/aa")
	if err != nil {
		t.Fatal(err)
	}
	same("wrapped key", object, refWrapped("päss", salt[:], nonce[:12], seal.FormatKeyring(r), vault[:], "keys/aa"))
}
