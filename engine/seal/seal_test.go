package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"holm.example/engine/seal"
)

// fixedHash is 32 bytes that count up from first.
func fixedHash(first byte) (h seal.Hash) {
	for i := range h {
		h[i] = first + byte(i)
	}
	return h
}

// fixedKeyring holds the epochs 1 and 7.
func fixedKeyring() *seal.Keyring {
	return &seal.Keyring{VaultSecret: seal.Key(fixedHash(0)),
		Epochs: map[uint32]seal.Key{1: seal.Key(fixedHash(0x81)), 7: seal.Key(fixedHash(0xA7))}}
}

func reader(b []byte) io.Reader { return bytes.NewReader(b) }

func box(t testing.TB, r *seal.Keyring, kind seal.Kind, epoch uint32, vault seal.Hash, name string) *seal.Box {
	t.Helper()
	b, err := r.Box(kind, epoch, vault, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenReturnsWhatSealWasGiven(t *testing.T) {
	b := box(t, fixedKeyring(), seal.KindPack, 1, fixedHash(1), "packs/a")
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "plaintext")
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "prefix")
		part := rapid.Uint32().Draw(t, "part")
		sealed := b.Seal([]byte("before"), part, prefix, plain)
		if len(sealed) != len("before")+seal.Overhead+len(plain) || string(sealed[:6]) != "before" {
			t.Fatalf("%d bytes of plaintext make %d", len(plain), len(sealed))
		}
		got, err := b.Open([]byte("head"), part, prefix, sealed[6:])
		if err != nil || !bytes.Equal(got, append([]byte("head"), plain...)) {
			t.Fatalf("opened %x, %v", got, err)
		}
	})
}

func TestEveryFlippedBitOfASealedPartIsRefused(t *testing.T) {
	b := box(t, fixedKeyring(), seal.KindSegment, 1, fixedHash(1), "a")
	sealed := b.Seal(nil, 0, []byte("prefix"), []byte("thirty-three bytes of a plaintext"))
	for bit := range 8 * len(sealed) {
		sealed[bit/8] ^= 1 << (bit % 8)
		if got, err := b.Open(nil, 0, []byte("prefix"), sealed); !errors.Is(err, seal.ErrSealed) || got != nil {
			t.Errorf("bit %d flipped: %q, %v, want ErrSealed", bit, got, err)
		}
		sealed[bit/8] ^= 1 << (bit % 8)
	}
	for n := range sealed {
		if _, err := b.Open(nil, 0, []byte("prefix"), sealed[:n]); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("cut to %d bytes: %v, want ErrSealed", n, err)
		}
	}
	if _, err := b.Open(nil, 0, []byte("prefix"), append(sealed, 0)); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("a byte appended: %v, want ErrSealed", err)
	}
}

func TestSealedPartOpensOnlyInItsOwnPlace(t *testing.T) {
	r := fixedKeyring()
	sealed := box(t, r, seal.KindPack, 1, fixedHash(1), "packs/a").Seal(nil, 3, []byte("head"), []byte("secret"))
	other := fixedKeyring()
	other.Epochs[1] = seal.Key(fixedHash(0x82))
	for _, c := range []struct {
		what   string
		box    *seal.Box
		part   uint32
		prefix string
		opens  bool
	}{
		{"its own place", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/a"), 3, "head", true},
		{"another name", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/b"), 3, "head", false},
		{"a longer name", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/ah"), 3, "ead", false},
		{"another kind", box(t, r, seal.KindTable, 1, fixedHash(1), "packs/a"), 3, "head", false},
		{"another epoch", box(t, r, seal.KindPack, 7, fixedHash(1), "packs/a"), 3, "head", false},
		{"another secret", box(t, other, seal.KindPack, 1, fixedHash(1), "packs/a"), 3, "head", false},
		{"another vault", box(t, r, seal.KindPack, 1, fixedHash(2), "packs/a"), 3, "head", false},
		{"another part", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/a"), 4, "head", false},
		{"the trailer's part", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/a"), seal.PartTrailer, "head", false},
		{"another prefix", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/a"), 3, "heae", false},
		{"no prefix", box(t, r, seal.KindPack, 1, fixedHash(1), "packs/a"), 3, "", false},
	} {
		got, err := c.box.Open(nil, c.part, []byte(c.prefix), sealed)
		switch {
		case c.opens && (err != nil || string(got) != "secret"):
			t.Errorf("in %s: %q, %v", c.what, got, err)
		case !c.opens && !errors.Is(err, seal.ErrSealed):
			t.Errorf("in %s: %q, %v, want ErrSealed", c.what, got, err)
		}
	}
}

func TestMissingEpochIsNamed(t *testing.T) {
	for _, epoch := range []uint32{0, 2, 8, 1<<32 - 1} {
		if _, err := fixedKeyring().Box(seal.KindPack, epoch, fixedHash(1), "a"); !errors.Is(err, seal.ErrNoEpoch) {
			t.Errorf("epoch %d: %v, want ErrNoEpoch", epoch, err)
		}
	}
}

// A nonce may come twice under one key only for the same plaintext and the
// same AAD: that is what a cloned random generator would break, and why it is
// not random.
func TestNonceFollowsPartPrefixAndPlaintext(t *testing.T) {
	b := box(t, fixedKeyring(), seal.KindSegment, 1, fixedHash(1), "a")
	seen := map[string]string{}
	for _, c := range []struct {
		part          uint32
		prefix, plain string
	}{{0, "", "x"}, {1, "", "x"}, {0, "", "y"}, {0, "", ""}, {1, "", ""}, {seal.PartTrailer, "", "x"}, {0, "", "\x00x"}, {0, "", "x\x00"},
		{0, "p", "x"}, {0, "q", "x"}, {0, "px", ""}, {0, "p", ""}, {0, "pp", "x"}, {0, "", "px"}, {0, "", "\x01\x00\x00\x00px"}} {
		what := fmt.Sprintf("part %d, prefix %q, plaintext %q", c.part, c.prefix, c.plain)
		sealed := b.Seal(nil, c.part, []byte(c.prefix), []byte(c.plain))
		if !bytes.Equal(sealed, b.Seal(nil, c.part, []byte(c.prefix), []byte(c.plain))) {
			t.Errorf("%s: two seals differ", what)
		}
		nonce := string(sealed[:12])
		if before, ok := seen[nonce]; ok {
			t.Errorf("%s has the nonce of %s", what, before)
		}
		seen[nonce] = what
	}
	elsewhere := box(t, fixedKeyring(), seal.KindSegment, 1, fixedHash(1), "b").Seal(nil, 0, nil, []byte("x"))
	if _, ok := seen[string(elsewhere[:12])]; ok {
		t.Error("another name has the same nonce")
	}
}

func TestSignatureHoldsOnlyForItsOwnObject(t *testing.T) {
	r := fixedKeyring()
	key, public := r.Signer(), r.Signer().Public().(ed25519.PublicKey)
	before := []byte("segment")
	sig := seal.Sign(key, seal.KindSegment, fixedHash(1), "a", before)
	if err := seal.CheckSignature(public, seal.KindSegment, fixedHash(1), "a", before, sig); err != nil {
		t.Errorf("its own object: %v", err)
	}
	for bit := range 8 * len(sig) {
		bad := bytes.Clone(sig)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := seal.CheckSignature(public, seal.KindSegment, fixedHash(1), "a", before, bad); !errors.Is(err, seal.ErrSignature) {
			t.Errorf("bit %d flipped: %v, want ErrSignature", bit, err)
		}
	}
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)).Public().(ed25519.PublicKey)
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, seal.ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", what, err)
		}
	}
	check("another key", seal.CheckSignature(stranger, seal.KindSegment, fixedHash(1), "a", before, sig))
	check("another kind", seal.CheckSignature(public, seal.KindFence, fixedHash(1), "a", before, sig))
	check("another vault", seal.CheckSignature(public, seal.KindSegment, fixedHash(2), "a", before, sig))
	check("another name", seal.CheckSignature(public, seal.KindSegment, fixedHash(1), "b", before, sig))
	check("other bytes", seal.CheckSignature(public, seal.KindSegment, fixedHash(1), "a", []byte("Segment"), sig))
	check("a short signature", seal.CheckSignature(public, seal.KindSegment, fixedHash(1), "a", before, sig[:63]))
	check("no signature", seal.CheckSignature(public, seal.KindSegment, fixedHash(1), "a", before, nil))
	check("a key that is none", seal.CheckSignature(public[:31], seal.KindSegment, fixedHash(1), "a", before, sig))
	check("no key", seal.CheckSignature(nil, seal.KindSegment, fixedHash(1), "a", before, sig))
}

func TestChunkIDsOfTwoVaultsDiffer(t *testing.T) {
	a, b := fixedKeyring(), fixedKeyring()
	b.VaultSecret[31]++
	content := []byte("a file that many people have")
	if a.ChunkKey().ID(content) == b.ChunkKey().ID(content) {
		t.Error("two vaults give one chunk the same id")
	}
	if a.ChunkKey().ID(content) == seal.Sum(content) {
		t.Error("the id is the plain hash, which anybody can compute")
	}
	var ga, gb [256]uint64
	a.Gear(&ga)
	b.Gear(&gb)
	for i := range ga {
		if ga[i] == gb[i] {
			t.Errorf("two vaults cut alike: number %d", i)
		}
	}
}

func TestSumJoinsWhatItIsGiven(t *testing.T) {
	if seal.Sum([]byte("ab"), nil, []byte("c")) != seal.Sum([]byte("abc")) || seal.Sum([]byte("abc")) == seal.Sum([]byte("ab")) {
		t.Error("Sum is not the hash of its parts, joined")
	}
}
