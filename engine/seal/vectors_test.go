package seal_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"holm.example/engine/seal"
)

// vectorsFile is testdata/v1/README.md's subject. HOLM_WRITE_GOLDEN=1 makes
// it anew, which only a change of the specification justifies.
const (
	vectorsFile    = "testdata/v1/vectors.json"
	goldenVariable = "HOLM_WRITE_GOLDEN"
)

// hexBytes are bytes that JSON shows in hexadecimal.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectors are inputs and what each build has to make of them.
type vectors struct {
	VaultID       hexBytes            `json:"vault_id"`
	VaultSecret   hexBytes            `json:"vault_secret"`
	Epochs        map[uint32]hexBytes `json:"epochs"`
	Keyring       hexBytes            `json:"keyring"`
	ChunkContent  string              `json:"chunk_content"`
	ChunkID       hexBytes            `json:"chunk_id"`
	GearFirst     hexBytes            `json:"gear_first_8"`
	GearHash      hexBytes            `json:"gear_hash"`
	Signer        hexBytes            `json:"signer_public"`
	Sealed        []sealedVector      `json:"sealed_parts"`
	Signed        signedVector        `json:"signature"`
	ForPassphrase wrappedVector       `json:"wrapped_for_passphrase"`
	ForDevice     wrappedVector       `json:"wrapped_for_device"`
}

type sealedVector struct {
	Kind      string   `json:"kind"`
	Epoch     uint32   `json:"epoch"`
	Name      string   `json:"name"`
	Part      uint32   `json:"part"`
	Prefix    hexBytes `json:"prefix"`
	Plaintext hexBytes `json:"plaintext"`
	Sealed    hexBytes `json:"sealed"`
}

type signedVector struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	Before    hexBytes `json:"before"`
	Signature hexBytes `json:"signature"`
}

type wrappedVector struct {
	Name       string   `json:"name"`
	Passphrase string   `json:"passphrase,omitempty"`
	Random     hexBytes `json:"random,omitempty"` // salt and nonce
	MemoryKiB  uint32   `json:"memory_kib,omitempty"`
	Passes     uint32   `json:"passes,omitempty"`
	Lanes      uint32   `json:"lanes,omitempty"`
	Device     hexBytes `json:"device,omitempty"`
	Seed       hexBytes `json:"seed,omitempty"`
	Public     hexBytes `json:"public,omitempty"`
	Object     hexBytes `json:"object"`
}

// inputs are the vectors before anything is computed.
func inputs() vectors {
	r, vault := fixedKeyring(), fixedHash(0x70)
	seed := fixedHash(0xD0)
	v := vectors{VaultID: vault[:], VaultSecret: r.VaultSecret[:], Epochs: map[uint32]hexBytes{},
		ChunkContent: "the content of a chunk",
		Signed:       signedVector{Kind: "j", Name: "devices/0a/journal/000000000000/0001", Before: []byte("before the signature")},
		ForPassphrase: wrappedVector{Name: "keys/aa", Passphrase: "grüße, Holm", Random: append(seed[:], vault[:12]...),
			MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 4},
		ForDevice: wrappedVector{Name: "keys/bb-7", Device: vault[:16], Seed: seed[:]}}
	for n, secret := range r.Epochs {
		v.Epochs[n] = hexBytes(secret[:])
	}
	v.Sealed = []sealedVector{
		{Kind: "p", Epoch: 1, Name: "packs/0a/000000000000/0001-bb", Part: 0, Prefix: []byte("holmp"), Plaintext: []byte("\x00frame")},
		{Kind: "p", Epoch: 7, Name: "packs/0a/000000000000/0001-bb", Part: seal.PartTrailer, Prefix: []byte("holmp"), Plaintext: []byte{}},
		{Kind: "j", Epoch: 7, Name: "devices/0a/journal/000000000000/0001", Part: 0, Prefix: []byte{}, Plaintext: []byte("segment")},
		{Kind: "c", Epoch: 1, Name: "devices/0a/card", Part: 0, Prefix: []byte("public"), Plaintext: []byte("name")},
		{Kind: "t", Epoch: 1, Name: "tables/0a/bb", Part: seal.PartIndex, Prefix: []byte("holmt"), Plaintext: []byte("index")},
	}
	return v
}

func (v *vectors) keyring() *seal.Keyring {
	r := &seal.Keyring{VaultSecret: seal.Key(v.VaultSecret), Epochs: map[uint32]seal.Key{}}
	for n, secret := range v.Epochs {
		r.Epochs[n] = seal.Key(secret)
	}
	return r
}

// compute fills in all that follows from the inputs. The object for a device
// holds a random key, so the one that is there stays.
func (v vectors) compute(t *testing.T) vectors {
	t.Helper()
	r, vault := v.keyring(), seal.Hash(v.VaultID)
	v.Keyring = seal.FormatKeyring(r)
	id := r.ChunkKey().ID([]byte(v.ChunkContent))
	v.ChunkID = id[:]
	var gear [256]uint64
	var stream []byte
	r.Gear(&gear)
	for _, g := range gear {
		stream = binary.LittleEndian.AppendUint64(stream, g)
	}
	sum := seal.Sum(stream)
	v.GearFirst, v.GearHash = stream[:64], sum[:]
	v.Signer = hexBytes(r.Signer().Public().(ed25519.PublicKey))
	v.Sealed = append([]sealedVector(nil), v.Sealed...)
	for i, s := range v.Sealed {
		v.Sealed[i].Sealed = box(t, r, seal.Kind(s.Kind[0]), s.Epoch, vault, s.Name).Seal(nil, s.Part, s.Prefix, s.Plaintext)
	}
	v.Signed.Signature = seal.Sign(r.Signer(), seal.Kind(v.Signed.Kind[0]), vault, v.Signed.Name, v.Signed.Before)
	p := v.ForPassphrase
	object, err := seal.WrapForPassphrase(reader(p.Random), []byte(p.Passphrase), seal.Derivation{MemoryKiB: p.MemoryKiB, Passes: p.Passes, Lanes: p.Lanes},
		r, vault, p.Name)
	if err != nil {
		t.Fatal(err)
	}
	v.ForPassphrase.Object = object
	key, err := seal.NewDeviceKey(seal.Key(v.ForDevice.Seed))
	if err != nil {
		t.Fatal(err)
	}
	v.ForDevice.Public = key.Public()
	return v
}

// write makes the file anew.
func (v vectors) write(t *testing.T) {
	v = v.compute(t)
	object, err := seal.WrapForDevice(seal.ID(v.ForDevice.Device), v.ForDevice.Public, v.keyring(), seal.Hash(v.VaultID), v.ForDevice.Name)
	if err != nil {
		t.Fatal(err)
	}
	v.ForDevice.Object = object
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorsFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readVectors returns the file and its text.
func readVectors(t *testing.T) (vectors, string) {
	t.Helper()
	if os.Getenv(goldenVariable) != "" {
		inputs().write(t)
	}
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v, string(b)
}

func TestVectorsComeOutTheSameInEveryBuild(t *testing.T) {
	v, want := readVectors(t)
	got, err := json.MarshalIndent(v.compute(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != want {
		t.Errorf("this build makes other bytes than %s holds:\n%s", vectorsFile, got)
	}
	if len(v.Sealed) != 5 || len(v.Epochs) != 2 {
		t.Errorf("%d sealed parts, %d epochs: the file lost some", len(v.Sealed), len(v.Epochs))
	}
}

func TestVectorsAreOpenedByEveryBuild(t *testing.T) {
	v, _ := readVectors(t)
	vault := seal.Hash(v.VaultID)
	r, err := seal.ParseKeyring(v.Keyring)
	if err != nil || !sameKeyring(r, v.keyring()) {
		t.Fatalf("keyring: %v", err)
	}
	for _, s := range v.Sealed {
		got, err := box(t, r, seal.Kind(s.Kind[0]), s.Epoch, vault, s.Name).Open(nil, s.Part, s.Prefix, s.Sealed)
		if err != nil || string(got) != string(s.Plaintext) {
			t.Errorf("sealed part of %s: %q, %v", s.Name, got, err)
		}
	}
	s := v.Signed
	if err := seal.CheckSignature(ed25519.PublicKey(v.Signer), seal.Kind(s.Kind[0]), vault, s.Name, s.Before, s.Signature); err != nil {
		t.Errorf("signature: %v", err)
	}
	p, d := v.ForPassphrase, v.ForDevice
	if got, err := seal.OpenWithPassphrase(p.Object, []byte(p.Passphrase), vault, p.Name); err != nil || !sameKeyring(got, r) {
		t.Errorf("wrapped for a passphrase: %v", err)
	}
	if _, err := seal.OpenWithPassphrase(p.Object, []byte("guess"), vault, p.Name); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("with another passphrase: %v", err)
	}
	key, err := seal.NewDeviceKey(seal.Key(d.Seed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.OpenWithDevice(d.Object, seal.ID(d.Device), key, vault, d.Name); err != nil || !sameKeyring(got, r) {
		t.Errorf("wrapped for a device: %v", err)
	}
}
