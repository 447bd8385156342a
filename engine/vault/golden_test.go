package vault

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage/storagetest"
)

// The golden vaults, without parity and with it; README.md of the first says
// what is in them. HOLM_WRITE_GOLDEN=1 makes them anew, which only a change of
// the specification justifies.
const (
	golden           = "testdata/v1"
	goldenParity     = "testdata/v1-parity"
	goldenPassphrase = "immergrüne Eiche"
	goldenVariable   = "HOLM_WRITE_GOLDEN"
)

// fixedOf is the empty vault that a golden one began as.
func fixedOf(t *testing.T, dir string) (*Vault, *storagetest.Memory) {
	t.Helper()
	if dir == goldenParity {
		return fixedWithParity(t)
	}
	return fixed(t)
}

// goldenStore is a committed vault, in memory.
func goldenStore(t *testing.T, dir string) *storagetest.Memory {
	t.Helper()
	if os.Getenv(goldenVariable) != "" {
		writeGolden(t, dir)
	}
	store, root := &storagetest.Memory{}, filepath.Join(dir, "vault")
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		store.Replace(filepath.ToSlash(name), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// writeGolden makes a vault with known secrets: two devices, packs of raw and
// of compressed frames, segments with every operation, a fence.
func writeGolden(t *testing.T, dir string) {
	t.Helper()
	v, store := fixedOf(t, dir)
	card, key := fixedDevice(t, v, 100)
	other, _ := fixedDevice(t, v, 150)
	one := PackID{card.Device, 1, seal.ID(counting(1, 16))}
	raw := putPack(t, v, one, random(1, 300), random(2, 1), random(3, 99))
	two := PackID{card.Device, 2, seal.ID(counting(32, 16))}
	text := putPack(t, v, two, bytes.Repeat([]byte("a holm is an evergreen oak. "), 50_000), []byte("the end"))
	s := putSegment(t, v, key, Head{card.Device, 0, card.Hash}, raw)
	s = putSegment(t, v, key, s.Head, append(everyOperation(), text)...)
	putWhole(t, v, SegmentName(other.Device, 1), v.FormatFence(&Fence{Head: Head{Device: other.Device, Seq: 1}, Previous: other.Hash, By: s.Head}, key))
	cost := seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}
	if err := v.PutPassphraseKey(t.Context(), bytes.NewReader(counting(7, 60)), []byte(goldenPassphrase), cost); err != nil {
		t.Fatal(err)
	}
	if err := v.PutDeviceKey(t.Context(), card); err != nil {
		t.Fatal(err)
	}
	if err := v.PutConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		p := filepath.Join(dir, "vault", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, get(t, store, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "contents.txt"), []byte(contents(t, store)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// contents reads all there is in a vault and writes it down as text.
func contents(t *testing.T, store *storagetest.Memory) string {
	t.Helper()
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	v, err := Find(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.UnlockWithPassphrase(t.Context(), []byte(goldenPassphrase)); err != nil {
		t.Fatal(err)
	}
	say("vault %x, nonce %x, signer %x, chunks %+v", v.ID, v.Config.Nonce, v.Config.Signer, v.Config.Chunker)
	say("keyring %x", seal.FormatKeyring(v.Keys))
	devices, err := devices(t, v)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range devices {
		card, err := v.ReadCard(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		say("card %x: name %q, created %+v, signing %x, HPKE %x, hash %x", card.Device, card.Name, card.Created, card.Signing, card.HPKE, card.Hash)
		for seq := uint64(1); slices.Contains(store.Names(), SegmentName(id, seq)); seq++ {
			sayContentsOfSegment(t, v, card, seq, say)
		}
	}
	return out.String()
}

func sayContentsOfSegment(t *testing.T, v *Vault, card *Card, seq uint64, say func(string, ...any)) {
	t.Helper()
	s, err := v.ReadSegment(t.Context(), card, seq)
	if err != nil {
		t.Fatal(err)
	}
	say("segment %d: fence %v, committed %+v, incarnation %x, previous %x, hash %x", s.Seq, s.Fence, s.Committed, s.Incarnation, s.Previous, s.Hash)
	for _, h := range s.Claims {
		say("  head %x %d %x", h.Device, h.Seq, h.Hash)
	}
	err = s.Each(func(i int, op Operation) error {
		say("  %d %s %s", i, strings.TrimPrefix(fmt.Sprintf("%T", op), "*vault."), hex.EncodeToString(AppendOperation(nil, op)))
		add, ok := op.(*PackAdd)
		if !ok || !slices.Contains(v.Store.(*storagetest.Memory).Names(), PackID{card.Device, seq, add.Random}.Name()) {
			return nil // one of the operations names a pack that is not there
		}
		stream, err := readStream(t, v, NewPack(card.Device, seq, add))
		if err != nil {
			return err
		}
		for _, c := range add.Chunks {
			if v.Keys.ChunkKey().ID(stream[:c.SizeBytes]) != c.ID {
				t.Errorf("chunk %x is not what its id says", c.ID)
			}
			stream = stream[c.SizeBytes:]
		}
		trailer, err := v.ReadTrailer(t.Context(), PackID{card.Device, seq, add.Random}, v.ObjectSize(int64(add.SizeBytes)))
		if err == nil && fmt.Sprint(trailer) != fmt.Sprint(add) {
			t.Errorf("trailer %+v, segment %+v", trailer, add)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGoldenVaultReadsTheSameInEveryBuild(t *testing.T) {
	for _, dir := range []string{golden, goldenParity} {
		store := goldenStore(t, dir)
		want, err := os.ReadFile(filepath.Join(dir, "contents.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if got := contents(t, store); got != string(want) {
			t.Errorf("%s reads as\n%s\nwant\n%s", dir, got, want)
		}
	}
}

func TestGoldenVaultWithParityReadsTheSameWhenTwoShardsOfEachObjectAreLost(t *testing.T) {
	store := goldenStore(t, goldenParity)
	want := contents(t, store)
	for _, name := range store.Names() {
		b := bytes.Clone(get(t, store, name))
		if !strings.HasPrefix(name, PacksPrefix) && !strings.HasPrefix(name, DevicesPrefix) {
			continue
		}
		body, err := ParityBody(int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		p := shapeOf(body)
		for _, i := range []int{0, p.shards() / 2} {
			start, length := p.at(i)
			clear(b[start : start+length])
		}
		store.Replace(name, b)
	}
	if got := contents(t, store); got != want {
		t.Errorf("it reads as\n%s\nwant\n%s", got, want)
	}
}

func TestGoldenVaultOpensForItsDevice(t *testing.T) {
	v, err := Find(t.Context(), goldenStore(t, golden), nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.NewDeviceKey(seal.Key(counting(132, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.UnlockWithDevice(t.Context(), seal.ID(counting(100, 16)), key); err != nil || v.Keys.Epoch() != 1 {
		t.Errorf("unlocking: %v", err)
	}
	if err := v.UnlockWithDevice(t.Context(), seal.ID(counting(150, 16)), key); err == nil {
		t.Error("a device without a key object opens the vault")
	}
}

// What no compressor has touched comes out the same, byte for byte; another
// version of the compressor may pack the rest differently.
func TestGoldenVaultIsWrittenTheSameInEveryBuild(t *testing.T) {
	for _, dir := range []string{golden, goldenParity} {
		t.Run(dir, func(t *testing.T) { writtenTheSame(t, dir) })
	}
}

func writtenTheSame(t *testing.T, dir string) {
	store := goldenStore(t, dir)
	v, fresh := fixedOf(t, dir)
	card, key := fixedDevice(t, v, 100)
	fixedDevice(t, v, 150)
	one := PackID{card.Device, 1, seal.ID(counting(1, 16))}
	raw := putPack(t, v, one, random(1, 300), random(2, 1), random(3, 99))
	putSegment(t, v, key, Head{card.Device, 0, card.Hash}, raw)
	cost := seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}
	if err := v.PutPassphraseKey(t.Context(), bytes.NewReader(counting(7, 60)), []byte(goldenPassphrase), cost); err != nil {
		t.Fatal(err)
	}
	if err := v.PutConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(fresh.Names()); n != 8 {
		t.Errorf("%d objects, want 8", n)
	}
	for _, name := range fresh.Names() {
		if !bytes.Equal(get(t, fresh, name), get(t, store, name)) {
			t.Errorf("%s is written differently", name)
		}
	}
	if public := key.Public().(ed25519.PublicKey); !bytes.Equal(public, card.Signing[:]) {
		t.Error("the card holds another key")
	}
}
