package upkeep

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// scene is a vault in memory with one device, which writes what it likes.
type scene struct {
	t    *testing.T
	v    *vault.Vault
	card *vault.Card
	key  ed25519.PrivateKey
	head vault.Head
}

func newScene(t *testing.T) *scene {
	t.Helper()
	keys := &seal.Keyring{VaultSecret: seal.Key{1}, Epochs: map[uint32]seal.Key{1: {2}}}
	c := vault.Config{Chunker: vault.DefaultChunker()}
	copy(c.Signer[:], keys.Signer().Public().(ed25519.PublicKey))
	v, err := vault.New(&storagetest.Memory{}, c, keys)
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	device, err := seal.NewDeviceKey(seal.Key{3})
	if err != nil {
		t.Fatal(err)
	}
	card := &vault.Card{Device: seal.ID{9}, Signing: [32]byte(key.Public().(ed25519.PublicKey)), HPKE: [32]byte(device.Public()), Name: "oak"}
	for _, err := range []error{v.PutCard(t.Context(), card), v.PutDeviceKey(t.Context(), card), v.PutConfig(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return &scene{t, v, card, key, vault.Head{Device: card.Device, Hash: card.Hash}}
}

func (s *scene) put(name string, b []byte) {
	s.t.Helper()
	if err := s.v.Store.Put(s.t.Context(), name, storage.Body(b)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) commit(ops ...vault.Operation) (name string) {
	s.t.Helper()
	next := &vault.Segment{Head: vault.Head{Device: s.head.Device, Seq: s.head.Seq + 1}, Previous: s.head.Hash}
	var tx vault.Transaction
	for _, op := range ops {
		tx.Add(op)
	}
	b, err := s.v.FormatSegment(next, &tx, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	name = vault.SegmentName(next.Device, next.Seq)
	s.put(name, b)
	s.head = next.Head
	return name
}

// pack puts a pack of those chunks for the next segment.
func (s *scene) pack(chunks ...string) (*vault.PackAdd, string) {
	s.t.Helper()
	var spool bytes.Buffer
	id := vault.PackID{Device: s.head.Device, Seq: s.head.Seq + 1, Random: seal.ID{byte(s.head.Seq)}}
	w, err := s.v.NewPackWriter(id, &spool)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range chunks {
		if err := w.Add(s.v.Keys.ChunkKey().ID([]byte(c)), []byte(c)); err != nil {
			s.t.Fatal(err)
		}
	}
	add, err := w.Finish()
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(id.Name(), spool.Bytes())
	return add, id.Name()
}

// check checks everything and returns what is wrong.
func (s *scene) check() (problems []Problem) {
	s.t.Helper()
	c, err := catalog.Open(filepath.Join(s.t.TempDir(), "catalog.db"), s.v.ID, s.t.Logf)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Follow(s.t.Context(), s.v); err != nil {
		s.t.Fatal(err)
	}
	r, err := Check(s.t.Context(), Request{Vault: s.v, Catalog: c, Own: s.head, ReadData: true, Now: time.Now})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Problems
}

func TestSegmentThatSaysOtherThanThePackIsFound(t *testing.T) {
	for name, change := range map[string]func(*vault.PackAdd){
		"nothing":                 func(*vault.PackAdd) {},
		"an id of another chunk":  func(a *vault.PackAdd) { a.Chunks[1].ID[5]++ },
		"chunks in another order": func(a *vault.PackAdd) { slices.Reverse(a.Chunks) },
		"another cut":             func(a *vault.PackAdd) { a.Chunks[0].SizeBytes++; a.Chunks[1].SizeBytes-- },
		"another size":            func(a *vault.PackAdd) { a.SizeBytes++ },
		"another frame length":    func(a *vault.PackAdd) { a.Frames[0]-- },
	} {
		s := newScene(t)
		add, pack := s.pack("hello", "oaken")
		add.Chunks = slices.Clone(add.Chunks)
		change(add)
		s.commit(add)
		problems := s.check()
		if name == "nothing" {
			if len(problems) != 0 {
				t.Errorf("a good pack: %v", problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Object != pack || !errors.Is(problems[0].Err, vault.ErrDamaged) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestOperationThatStopsTheFoldIsFound(t *testing.T) {
	for _, op := range []vault.Operation{&vault.Unknown{Type: 99, Since: 1, Payload: []byte{1}}, &vault.Unknown{Type: 99, Since: 7},
		&vault.Unknown{Type: 6, Since: 0}, &vault.Drop{}} {
		s := newScene(t)
		name := s.commit(op)
		problems := s.check()
		if len(problems) != 1 || !errors.Is(problems[0].Err, vault.ErrNewer) || !strings.Contains(problems[0].Err.Error(), name) {
			t.Errorf("%+v: %v", op, problems)
		}
	}
}

func TestFileThatCannotBeReadWholeIsFound(t *testing.T) {
	s := newScene(t)
	add, _ := s.pack("hello")
	at := vault.EntryName{Parent: seal.ID{1}, Name: "letter"}
	file := func(size uint64, ids ...seal.Hash) vault.Operation {
		return &vault.Put{EntryName: at, Node: vault.Node{Kind: vault.KindFile, SizeBytes: size, Chunks: vault.Chunks{IDs: ids}}}
	}
	name := s.commit(add, &vault.Source{ID: seal.ID{1}}, file(5, add.Chunks[0].ID), file(6, add.Chunks[0].ID), file(5, seal.Hash{8}))
	problems := s.check()
	if len(problems) != 2 {
		t.Fatalf("%d problems, want 2: %v", len(problems), problems)
	}
	for _, p := range problems {
		if p.Object != name || !errors.Is(p.Err, vault.ErrDamaged) || !strings.Contains(p.Err.Error(), `"letter"`) {
			t.Errorf("problem %v", p)
		}
	}
}
