package catalog

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// world is a vault in memory with a catalog, and devices that write to it.
type world struct {
	t      testing.TB
	v      *vault.Vault
	c      *Catalog
	opened int // catalogs so far
}

type writer struct {
	w    *world
	card *vault.Card
	key  ed25519.PrivateKey
	head vault.Head
	// claims are put into the next segment.
	claims []vault.Head
}

func newWorld(t testing.TB) *world {
	t.Helper()
	keys := &seal.Keyring{VaultSecret: seal.Key{1}, Epochs: map[uint32]seal.Key{1: {2}}}
	c := vault.Config{Chunker: vault.DefaultChunker()}
	copy(c.Signer[:], keys.Signer().Public().(ed25519.PublicKey))
	v, err := vault.New(&storagetest.Memory{}, c, keys)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, v: v}
	w.c = w.open("catalog")
	return w
}

func (w *world) open(name string) *Catalog {
	w.t.Helper()
	c, err := Open(filepath.Join(w.t.TempDir(), name), w.v.ID, w.t.Logf)
	if err != nil {
		w.t.Fatal(err)
	}
	// The first lives in its overlay, the others in one table or several, and
	// their updates are too large for memory.
	if c.maxOverlayBytes = []int{defaultOverlay, 1, 3000}[min(w.opened, 2)]; w.opened > 0 {
		c.maxDeltaBytes = 300
	}
	w.opened++
	w.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return c
}

func (w *world) device(n byte) *writer {
	w.t.Helper()
	key := ed25519.NewKeyFromSeed(append(make([]byte, 31), n))
	card := &vault.Card{Device: id(n), Signing: [32]byte(key.Public().(ed25519.PublicKey)), Name: fmt.Sprint("device ", n)}
	if err := w.v.PutCard(context.Background(), card); err != nil {
		w.t.Fatal(err)
	}
	return &writer{w: w, card: card, key: key, head: vault.Head{Device: card.Device, Hash: card.Hash}}
}

// commit puts a segment with those operations.
func (d *writer) commit(ops ...vault.Operation) {
	d.w.t.Helper()
	s := &vault.Segment{Head: vault.Head{Device: d.head.Device, Seq: d.head.Seq + 1}, Previous: d.head.Hash, Claims: d.claims}
	var tx vault.Transaction
	for _, op := range ops {
		tx.Add(op)
	}
	b, err := d.w.v.FormatSegment(s, &tx, d.key)
	if err != nil {
		d.w.t.Fatal(err)
	}
	if err := d.w.v.Store.Put(context.Background(), vault.SegmentName(s.Device, s.Seq), storage.Body(b)); err != nil {
		d.w.t.Fatal(err)
	}
	d.head = s.Head
}

// follow folds everything; nothing may stop.
func (w *world) follow(c *Catalog) {
	w.t.Helper()
	stopped, err := c.Follow(context.Background(), w.v)
	if err != nil || len(stopped) > 0 {
		w.t.Fatal(stopped, err)
	}
}

// id is an id of one byte and zeros; 0xff stands for lost+found.
func id(n byte) seal.ID {
	if n == 0xff {
		return lostAndFound
	}
	return seal.ID{n}
}

func src(n byte) vault.Operation { return &vault.Source{ID: id(n), Path: "/", System: "test"} }
func dir(parent byte, name string, n byte) vault.Operation {
	return &vault.Put{EntryName: vault.EntryName{Parent: id(parent), Name: name}, Node: vault.Node{Kind: vault.KindDirectory, Directory: id(n)}}
}
func file(parent byte, name string) vault.Operation {
	return &vault.Put{EntryName: vault.EntryName{Parent: id(parent), Name: name}, Node: vault.Node{Kind: vault.KindFile}}
}
func del(parent byte, name string) vault.Operation {
	return &vault.Delete{EntryName: vault.EntryName{Parent: id(parent), Name: name}, Reason: vault.Gone}
}
func move(n, parent byte, name string) vault.Operation {
	return &vault.MoveDir{Directory: id(n), To: vault.EntryName{Parent: id(parent), Name: name}}
}

// tree lists all paths below a directory at a position.
func tree(t *testing.T, c *Catalog, device, dir seal.ID, at Position) (paths []string) {
	t.Helper()
	err := c.Entries(device, dir, at, func(e Entry) error {
		if e.Kind != vault.KindDirectory {
			paths = append(paths, e.Name)
			return nil
		}
		paths = append(paths, e.Name+"/")
		for _, p := range tree(t, c, device, e.Directory, at) {
			paths = append(paths, e.Name+"/"+p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestFoldIsTotalAndCanonical(t *testing.T) {
	const s, ff = 1, 0xff // the source, and lost+found
	lost := func(n byte) string { return fmt.Sprintf("%02x", n) + strings.Repeat("0", 30) }
	for name, c := range map[string]struct {
		ops  []vault.Operation
		want string // below the source
		lost string // below lost+found
	}{
		"put and replace":                      {[]vault.Operation{file(s, "a"), file(s, "a"), file(s, "b")}, "a b", ""},
		"delete":                               {[]vault.Operation{file(s, "a"), del(s, "a"), del(s, "a"), del(s, "never")}, "", ""},
		"unknown parent":                       {[]vault.Operation{file(9, "a")}, "", lost(9) + "/ " + lost(9) + "/a"},
		"parent comes later":                   {[]vault.Operation{file(9, "a"), dir(s, "d", 9)}, "d/ d/a", ""},
		"delete in unknown parent":             {[]vault.Operation{del(9, "a")}, "", lost(9) + "/"},
		"move":                                 {[]vault.Operation{dir(s, "d", 2), file(2, "f"), dir(s, "e", 3), move(2, 3, "g")}, "e/ e/g/ e/g/f", ""},
		"move onto itself":                     {[]vault.Operation{dir(s, "d", 2), move(2, s, "d")}, "d/", ""},
		"move into itself is void":             {[]vault.Operation{dir(s, "d", 2), move(2, 2, "x")}, "d/", ""},
		"move into descendant is void":         {[]vault.Operation{dir(s, "d", 2), dir(2, "e", 3), move(2, 3, "x")}, "d/ d/e/", ""},
		"put above oneself is void":            {[]vault.Operation{dir(s, "d", 2), dir(2, "e", 3), dir(3, "x", 2)}, "d/ d/e/", ""},
		"move over a file":                     {[]vault.Operation{dir(s, "d", 2), file(s, "f"), move(2, s, "f")}, "f/", ""},
		"move unknown":                         {[]vault.Operation{move(9, s, "d")}, "d/", ""},
		"move to unknown":                      {[]vault.Operation{dir(s, "d", 2), move(2, 9, "x")}, "", lost(9) + "/ " + lost(9) + "/x/"},
		"move a source is void":                {[]vault.Operation{src(7), file(7, "a"), move(7, s, "x")}, "", ""},
		"put a source is void":                 {[]vault.Operation{src(7), dir(s, "x", 7)}, "", ""},
		"one id in two places moves":           {[]vault.Operation{dir(s, "d", 2), file(2, "f"), dir(s, "e", 2)}, "e/ e/f", ""},
		"deleted directory comes back":         {[]vault.Operation{dir(s, "d", 2), file(2, "f"), del(s, "d"), dir(s, "d", 2)}, "d/ d/f", ""},
		"deleted directory is moved back":      {[]vault.Operation{dir(s, "d", 2), file(2, "f"), del(s, "d"), move(2, s, "e")}, "e/ e/f", ""},
		"put into a detached directory":        {[]vault.Operation{dir(s, "d", 2), del(s, "d"), file(2, "f"), dir(s, "d", 2)}, "d/ d/f", ""},
		"file over directory detaches":         {[]vault.Operation{dir(s, "d", 2), file(2, "f"), file(s, "d"), dir(s, "e", 2)}, "d e/ e/f", ""},
		"detached under its own child":         {[]vault.Operation{dir(s, "d", 2), dir(2, "e", 3), del(s, "d"), dir(3, "x", 2)}, "", ""},
		"lost+found is there from the start":   {[]vault.Operation{file(ff, "a")}, "", "a"},
		"lost+found is no source":              {[]vault.Operation{src(ff), file(ff, "a")}, "", "a"},
		"lost+found cannot be placed":          {[]vault.Operation{dir(s, "d", ff), move(ff, s, "e")}, "", ""},
		"a directory is no source":             {[]vault.Operation{dir(s, "d", 2), src(2), move(2, s, "e")}, "e/", ""},
		"a detached directory is no source":    {[]vault.Operation{dir(s, "d", 2), del(s, "d"), src(2), move(2, s, "e")}, "e/", ""},
		"a stray directory is no source":       {[]vault.Operation{file(9, "f"), src(9), move(9, s, "e")}, "e/ e/f", ""},
		"Part places nothing":                  {[]vault.Operation{&vault.Part{EntryName: vault.EntryName{Parent: id(9), Name: "a"}}}, "", ""},
		"a void Put places its parent":         {[]vault.Operation{src(7), dir(9, "x", 7)}, "", lost(9) + "/"},
		"a void MoveDir places its parent":     {[]vault.Operation{move(s, 9, "x")}, "", lost(9) + "/"},
		"a void Delete places its parent":      {[]vault.Operation{del(9, "x")}, "", lost(9) + "/"},
		"placing replaces what has the name":   {[]vault.Operation{file(ff, lost(9)), file(9, "a")}, "", lost(9) + "/ " + lost(9) + "/a"},
		"placing detaches what has the name":   {[]vault.Operation{dir(ff, lost(9), 2), file(2, "f"), file(9, "a"), move(2, s, "d")}, "d/ d/f", lost(9) + "/ " + lost(9) + "/a"},
		"move the unknown into the unknown":    {[]vault.Operation{move(9, 8, "x")}, "", lost(8) + "/ " + lost(8) + "/x/"},
		"move the unknown into itself":         {[]vault.Operation{move(9, 9, "x")}, "", lost(9) + "/"},
		"put the unknown into itself":          {[]vault.Operation{dir(9, "x", 9)}, "", lost(9) + "/"},
		"move over an ancestor":                {[]vault.Operation{dir(s, "a", 2), dir(2, "b", 3), file(3, "f"), move(3, s, "a")}, "a/ a/f", ""},
		"the id of zeros is like any other":    {[]vault.Operation{dir(s, "d", 0), file(0, "f"), del(s, "d"), move(0, s, "e")}, "e/ e/f", ""},
		"a file over the directory of id zero": {[]vault.Operation{dir(s, "d", 0), file(0, "f"), file(s, "d"), dir(s, "e", 0)}, "d e/ e/f", ""},
		"swap by a third name": {[]vault.Operation{dir(s, "a", 2), dir(s, "b", 3), file(2, "2"), file(3, "3"),
			move(2, s, "t"), move(3, s, "a"), move(2, s, "b")}, "a/ a/3 b/ b/2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.device(100)
			d.commit(append([]vault.Operation{src(s)}, c.ops...)...)
			w.follow(w.c)
			if got := strings.Join(tree(t, w.c, d.card.Device, id(s), EndOf(1)), " "); got != c.want {
				t.Errorf("tree %q, want %q", got, c.want)
			}
			if got := strings.Join(tree(t, w.c, d.card.Device, LostAndFound(), EndOf(1)), " "); got != c.lost {
				t.Errorf("lost+found %q, want %q", got, c.lost)
			}
		})
	}
}

func TestEveryPositionOfALongHistoryIsKept(t *testing.T) {
	const seed = 42
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	d := w.device(100)
	d.commit(src(1))
	now := map[string]bool{}
	var history [][]string
	for range 40 {
		var ops []vault.Operation
		for range r.IntN(300) {
			name := fmt.Sprintf("%04d %s", r.IntN(2000), strings.Repeat("x", r.IntN(100)))
			if r.IntN(3) == 0 && len(now) > 0 {
				for name = range now {
					break
				}
				delete(now, name)
				ops = append(ops, del(1, name))
				continue
			}
			now[name] = true
			ops = append(ops, file(1, name))
		}
		d.commit(ops...)
		var names []string
		for name := range now {
			names = append(names, name)
		}
		slices.Sort(names)
		history = append(history, names)
	}
	w.follow(w.c)
	for i, want := range history {
		if got := tree(t, w.c, d.card.Device, id(1), EndOf(uint64(i+2))); !slices.Equal(got, want) {
			t.Fatalf("after segment %d: %d entries, want %d", i+2, len(got), len(want))
		}
	}
	var paged []string
	for after, more := "", true; more; {
		var page []Entry
		var err error
		if page, more, err = w.c.Page(d.card.Device, id(1), after); err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			paged = append(paged, e.Name)
		}
		after = page[len(page)-1].Name
	}
	if !slices.Equal(paged, history[len(history)-1]) {
		t.Fatalf("pages give %d entries, want %d", len(paged), len(history[len(history)-1]))
	}
}

func TestOrderOfJournalsDoesNotMatter(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(100), w.device(50) // b is followed first, and waits for a
	a.commit(src(1), dir(1, "d", 2), file(2, "kept"))
	a.commit(file(2, "later"))
	b.commit(&vault.Adopt{Device: a.card.Device, Seq: 1, Hash: headHash(t, w, a, 1)})
	b.commit(file(2, "own"))
	w.follow(w.c)
	if got := strings.Join(tree(t, w.c, b.card.Device, id(1), EndOf(9)), " "); got != "d/ d/kept d/own" {
		t.Errorf("adopted tree %q", got)
	}
	if got := strings.Join(tree(t, w.c, a.card.Device, id(1), EndOf(9)), " "); got != "d/ d/kept d/later" {
		t.Errorf("old tree %q", got)
	}
}

func headHash(t *testing.T, w *world, d *writer, seq uint64) seal.Hash {
	t.Helper()
	s, err := w.v.ReadSegment(t.Context(), d.card, seq)
	if err != nil {
		t.Fatal(err)
	}
	return s.Hash
}

func TestUnknownOperationStopsOnlyItsJournal(t *testing.T) {
	for name, op := range map[string]vault.Operation{
		"later type": &vault.Unknown{Type: 99, Since: 3}, "known, not folded yet": &vault.Drop{}, "condemn": &vault.Condemn{},
	} {
		w := newWorld(t)
		a, b := w.device(1), w.device(2)
		a.commit(src(1), file(1, "before"))
		a.commit(file(1, "same segment"), op)
		a.commit(file(1, "after"))
		b.commit(src(1), file(1, "other"))
		stopped, err := w.c.Follow(t.Context(), w.v)
		if err != nil || len(stopped) != 1 || !errors.Is(stopped[0], vault.ErrNewer) || !strings.Contains(stopped[0].Error(), "level") {
			t.Fatalf("%s: %v, %v", name, stopped, err)
		}
		if got := tree(t, w.c, a.card.Device, id(1), EndOf(9)); !slices.Equal(got, []string{"before"}) {
			t.Errorf("%s: folded %q: half a segment", name, got)
		}
		if got := tree(t, w.c, b.card.Device, id(1), EndOf(9)); !slices.Equal(got, []string{"other"}) {
			t.Errorf("%s: the other journal has %q", name, got)
		}
		if d, _, err := w.c.Device(a.card.Device); err != nil || d.Head.Seq != 1 {
			t.Errorf("%s: device %+v, %v", name, d, err)
		}
	}
}

func TestSegmentThatBreaksTheChainIsDamage(t *testing.T) {
	w := newWorld(t)
	d := w.device(1)
	d.commit(src(1))
	d.head.Hash[0]++
	d.commit(file(1, "a"))
	stopped, err := w.c.Follow(t.Context(), w.v)
	if err != nil || len(stopped) != 1 || !errors.Is(stopped[0], ErrChain) || !errors.Is(stopped[0], vault.ErrDamaged) ||
		!strings.Contains(stopped[0].Error(), vault.SegmentName(d.card.Device, 2)) {
		t.Fatalf("%v, %v", stopped, err)
	}
}

func TestRebuiltCatalogIsTheSame(t *testing.T) {
	w := newWorld(t)
	d := w.device(1)
	d.commit(src(1), dir(1, "d", 2), file(2, "f"), &vault.Mark{ID: id(8), Sources: []seal.ID{id(1)}})
	w.follow(w.c)
	d.commit(del(1, "d"), &vault.PackAdd{Random: id(3), Epoch: 1, SizeBytes: 1000, Frames: []uint32{40},
		Chunks: []vault.ChunkInfo{{ID: seal.Hash{1}, SizeBytes: 5}, {ID: seal.Hash{2}, SizeBytes: 6}}})
	w.follow(w.c)
	again := w.open("again.db")
	w.follow(again)
	for _, c := range []*Catalog{w.c, again} {
		marks, err := c.Marks()
		if err != nil || len(marks) != 1 {
			t.Fatal(marks, err)
		}
		if got := tree(t, c, d.card.Device, id(1), marks[0].At); !slices.Equal(got, []string{"d/", "d/f"}) {
			t.Errorf("at the mark %q", got)
		}
		if got, was, err := c.Gone(d.card.Device, vault.EntryName{Parent: id(1), Name: "d"}); err != nil || !was || got != id(2) {
			t.Errorf("gone %v %v %v", got, was, err)
		}
		a, known, err := c.Chunk(seal.Hash{2})
		if err != nil || !known || a.Offset != 5 || a.SizeBytes != 6 {
			t.Errorf("address %+v, %v, %v", a, known, err)
		}
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add(appendStored(nil, &stored{"name", 5, []byte("node")}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := parsePage(fields{b: b}); err == nil && len(list) == 0 && len(b) > 0 {
			t.Fatal("bytes without an entry")
		}
		_, _ = parsePack(fields{b: b})      // must not panic
		_, _ = parseDevice(b, fields{b: b}) // nor these
		_, _, _, _ = parseSource(fields{b: b})
		_ = checked(b, b)
	})
}

func TestMarksOfADeviceKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(1), w.device(2)
	mark := func(n byte, seconds int64) vault.Operation {
		return &vault.Mark{ID: id(n), Time: vault.Time{Seconds: seconds}}
	}
	a.commit(mark(9, 10), mark(1, 1000))
	a.commit(mark(8, 20), mark(2, 1500)) // the clock was set right, then passed
	b.commit(mark(3, 500), mark(4, 1200))
	w.follow(w.c)
	list, err := w.c.Marks()
	var got []byte
	for _, m := range list {
		got = append(got, m.ID[0])
	}
	if want := []byte{9, 3, 1, 8, 4, 2}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}
