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
	// claims are put into the next segment.
	claims []vault.Head
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
	if err := v.PutConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	return device(t, v, 9)
}

// device is a scene of a new device of a vault.
func device(t *testing.T, v *vault.Vault, n byte) *scene {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32))
	own, err := seal.NewDeviceKey(seal.Key{n})
	if err != nil {
		t.Fatal(err)
	}
	card := &vault.Card{Device: seal.ID{n}, Signing: [32]byte(key.Public().(ed25519.PublicKey)), HPKE: [32]byte(own.Public()), Name: "oak"}
	if err := errors.Join(v.PutCard(t.Context(), card), v.PutDeviceKey(t.Context(), card)); err != nil {
		t.Fatal(err)
	}
	return &scene{t: t, v: v, card: card, key: key, head: vault.Head{Device: card.Device, Hash: card.Hash}}
}

// second is another device of the vault.
func (s *scene) second() *scene { s.t.Helper(); return device(s.t, s.v, 10) }

func (s *scene) put(name string, b []byte) {
	s.t.Helper()
	if err := s.v.Store.Put(s.t.Context(), name, storage.Body(b)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) commit(ops ...vault.Operation) (name string) {
	s.t.Helper()
	next := &vault.Segment{Head: vault.Head{Device: s.head.Device, Seq: s.head.Seq + 1}, Previous: s.head.Hash, Claims: s.claims}
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
	return s.checkWith(Request{ReadData: true, Deep: true})
}

// checkWith checks as deep as q says and returns what is wrong.
func (s *scene) checkWith(q Request) (problems []Problem) {
	s.t.Helper()
	return s.reportOf(q).Problems
}

func (s *scene) reportOf(q Request) *Report {
	s.t.Helper()
	r, err := Check(s.t.Context(), s.request(q, s.catalog()))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// request is q for this vault and device.
func (s *scene) request(q Request, c *catalog.Catalog) Request {
	q.Vault, q.Catalog, q.Own, q.Now = s.v, c, s.head, time.Now
	return q
}

// catalog is a new one that has followed the journals.
func (s *scene) catalog() *catalog.Catalog {
	s.t.Helper()
	c, err := catalog.Open(filepath.Join(s.t.TempDir(), "catalog"), s.v.ID, s.t.Logf)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := c.Follow(s.t.Context(), s.v); err != nil {
		s.t.Fatal(err)
	}
	return c
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

func TestJournalThatIsNotTheOneSomebodySawIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		seq  uint64 // claimed of a journal of three segments
		hash func(heads []vault.Head) seal.Hash
		want uint64 // the slot that is named; 0: none
	}{
		"the end":                 {3, func(h []vault.Head) seal.Hash { return h[2].Hash }, 0},
		"the middle":              {2, func(h []vault.Head) seal.Hash { return h[1].Hash }, 0},
		"another end":             {3, func(h []vault.Head) seal.Hash { return seal.Hash{1} }, 3},
		"another in the middle":   {2, func(h []vault.Head) seal.Hash { return seal.Hash{1} }, 2},
		"a segment that is lost":  {4, func(h []vault.Head) seal.Hash { return seal.Hash{1} }, 4},
		"segments that are lost":  {9, func(h []vault.Head) seal.Hash { return seal.Hash{1} }, 9},
		"another at the very top": {1, func(h []vault.Head) seal.Hash { return h[1].Hash }, 1},
	} {
		s := newScene(t)
		var heads []vault.Head
		for range 3 {
			s.commit(&vault.Source{ID: seal.ID{1}})
			heads = append(heads, s.head)
		}
		other := s.second()
		other.claims = []vault.Head{{Device: s.card.Device, Seq: c.seq, Hash: c.hash(heads)}}
		other.commit()
		problems := s.check()
		if c.want == 0 {
			if len(problems) > 0 {
				t.Errorf("%s: %v", name, problems)
			}
			continue
		}
		want := vault.SegmentName(s.card.Device, c.want)
		if len(problems) != 1 || !errors.Is(problems[0].Err, vault.ErrDamaged) || !strings.Contains(problems[0].Err.Error(), want) {
			t.Errorf("%s: %v, want one that names %s", name, problems, want)
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

func TestDeviceThatGoesOnCommittingIsNoDamage(t *testing.T) {
	s := newScene(t)
	other := s.second()
	letter := func(add *vault.PackAdd) vault.Operation {
		return &vault.Put{EntryName: vault.EntryName{Parent: seal.ID{1}, Name: "letter"},
			Node: vault.Node{Kind: vault.KindFile, SizeBytes: 5, Chunks: vault.Chunks{IDs: []seal.Hash{add.Chunks[0].ID}}}}
	}
	add, _ := other.pack("hello")
	other.commit(add, &vault.Source{ID: seal.ID{1}}, letter(add))
	c := s.catalog()
	add, _ = other.pack("oaken")
	other.commit(add, letter(add))
	other.commit(letter(add))
	r, err := Check(t.Context(), s.request(Request{ReadData: true}, c))
	if err != nil || len(r.Problems) > 0 || r.Segments != 3 || r.Entries != 1 {
		t.Errorf("%v, problems %v, %d segments and %d entries, want 3 and 1", err, r.Problems, r.Segments, r.Entries)
	}
	// A chain that is broken there is found all the same.
	other.head.Hash = seal.Hash{1}
	name := other.commit(letter(add))
	r, err = Check(t.Context(), s.request(Request{}, c))
	if err != nil || len(r.Problems) != 1 || !errors.Is(r.Problems[0].Err, catalog.ErrChain) || !strings.Contains(r.Problems[0].Err.Error(), name) {
		t.Errorf("%v, problems %v, want one that names %s", err, r.Problems, name)
	}
}
