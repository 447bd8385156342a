package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// shortMemory is a Journal that forgets when it ends.
type shortMemory struct{ head vault.Head }

func (m *shortMemory) Head() vault.Head          { return m.head }
func (*shortMemory) Intend(vault.Head) error     { return nil }
func (m *shortMemory) Commit(h vault.Head) error { m.head = h; return nil }

// counter is a source of names of which no two are the same.
type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	c.n++
	for i := range b {
		b[i] = c.n
	}
	return len(b), nil
}

// begun is a writer that commits each operation, in a vault of its own.
func begun(t *testing.T) *Writer {
	t.Helper()
	keys := &seal.Keyring{VaultSecret: seal.Key{1}, Epochs: map[uint32]seal.Key{1: {2}}}
	config := vault.Config{Chunker: vault.DefaultChunker(), Signer: [32]byte(keys.Signer().Public().(ed25519.PublicKey))}
	v, err := vault.New(&storagetest.Memory{}, config, keys)
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(filepath.Join(t.TempDir(), "catalog"), v.ID, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	card := &vault.Card{Device: seal.ID{1}, Signing: [32]byte(key.Public().(ed25519.PublicKey)), Name: "oak"}
	if err := errors.Join(v.PutCard(t.Context(), card), c.AddDevice(card)); err != nil {
		t.Fatal(err)
	}
	limits := DefaultLimits()
	limits.Operations = 1
	w := &Writer{Vault: v, Catalog: c, Journal: &shortMemory{vault.Head{Device: card.Device, Hash: card.Hash}}, Device: Device{Card: card, Key: key},
		Random: &counter{}, Limits: limits, Spool: filepath.Join(t.TempDir(), "spool"), Now: time.Now}
	if err := w.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestChunkOfASegmentThatIsBeingFoldedIsNotStoredAgain(t *testing.T) {
	w := begun(t)
	content := []byte("the same in every file")
	for i := range 20 {
		id, err := w.Chunk(t.Context(), content)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && w.folding == nil {
			t.Fatal("nothing is being folded: the test shows nothing")
		}
		put := &vault.Put{EntryName: vault.EntryName{Parent: seal.ID{9}, Name: string(rune('a' + i))},
			Node: vault.Node{Kind: vault.KindFile, SizeBytes: uint64(len(content)), Chunks: vault.Chunks{IDs: []seal.Hash{id}}}}
		if err := w.Add(t.Context(), put); err != nil {
			t.Fatal(err)
		}
	}
	if w.NewBytes != int64(len(content)) {
		t.Errorf("%d bytes are new, want %d", w.NewBytes, len(content))
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, _, err := w.Catalog.Device(w.Device.Card.Device)
	if err != nil || d.Head != w.Journal.Head() || w.Segments != 20 {
		t.Errorf("%v: after Commit the catalog is at %d, the journal at %d", err, d.Head.Seq, w.Journal.Head().Seq)
	}
}

func TestSegmentThatCannotBeFoldedEndsTheWriterAtTheNextCommit(t *testing.T) {
	w := begun(t)
	put := func(name string) error {
		return w.Add(t.Context(), &vault.Put{EntryName: vault.EntryName{Parent: seal.ID{9}, Name: name}, Node: vault.Node{Kind: vault.KindSymlink, Target: "x"}})
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	if err := w.folded(); err != nil {
		t.Fatal(err)
	}
	w.fold(&vault.Segment{Head: vault.Head{Device: seal.ID{7}, Seq: 5}}) // of a device that is not known
	if err := put("b"); !errors.Is(err, catalog.ErrDamaged) {
		t.Errorf("%v, want ErrDamaged", err)
	}
	if w.Journal.Head().Seq != 1 || w.Segments != 1 {
		t.Errorf("%d segments, head at %d: another one was committed", w.Segments, w.Journal.Head().Seq)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, catalog.ErrDamaged) {
		t.Errorf("%v, want that the writer stays ended", err)
	}
}

// slowStore takes its time, by the clock of the test.
type slowStore struct {
	storage.Store
	clock atomic.Int64 // ns
	rate  atomic.Int64 // bytes a second
}

func (s *slowStore) Put(ctx context.Context, name string, b *io.SectionReader) error {
	s.clock.Add(b.Size() * int64(time.Second) / s.rate.Load())
	return s.Store.Put(ctx, name, b)
}

func TestPacksHoldWhatTheLinkTakesInTenSeconds(t *testing.T) {
	w := begun(t)
	slow := &slowStore{Store: w.Vault.Store}
	w.Vault.Store = slow
	w.Now = func() time.Time { return time.Unix(1_700_000_000, slow.clock.Load()) }
	w.Limits.Operations, w.Limits.PackBytes, w.Limits.After = 1000, 1<<40, 1000*time.Hour
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.err = nil
	if err := w.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	// pack fills one pack and has it put.
	pack := func() (sizeBytes uint64) {
		content := make([]byte, 512<<10)
		for before := w.packed; w.packed == before; {
			if w.pack != nil {
				sizeBytes = w.pack.SizeBytes()
			}
			_, _ = random.Read(content) // never fails
			if _, err := w.Chunk(t.Context(), content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.uploads.wait(); err != nil {
			t.Fatal(err)
		}
		return sizeBytes
	}
	slow.rate.Store(300 << 10)
	for i, want := range []uint64{16 << 20, 3000 << 10, 3000 << 10} {
		if i == 2 {
			slow.rate.Store(1 << 10)
		}
		if got := pack(); got < want || got > want+2<<20 {
			t.Errorf("pack %d has %d bytes, want %d or a frame more", i, got, want)
		}
	}
	if got := pack(); got < 1<<20 || got > 3<<20 {
		t.Errorf("on a link of 1 KiB/s a pack has %d bytes, want 1 MiB or a frame more", got)
	}
	slow.rate.Store(1 << 30)
	pack()
	if got := pack(); got < 16<<20 {
		t.Errorf("on a fast link again a pack has %d bytes, want 16 MiB", got)
	}
}
