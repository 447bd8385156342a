package catalog

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// packOfSegment names the pack that store has put for that seq.
func packOfSegment(d *writer, seq uint64) vault.PackID {
	return vault.PackID{Device: d.card.Device, Seq: seq, Random: id(7)}
}

// twice is a chunk in packs of two devices, and one in the second alone.
func twice(t *testing.T) (w *world, packs []vault.PackID, both, alone seal.Hash) {
	t.Helper()
	w = newWorld(t)
	a, b := w.device(100), w.device(50)
	both = a.store([]byte("other"), []byte("oak"))[1]
	w.follow(w.c) // the first address is that of a
	alone = b.store([]byte("acorn"), []byte("oak"), []byte("oak"))[0]
	w.follow(w.c)
	return w, []vault.PackID{packOfSegment(a, 1), packOfSegment(b, 1)}, both, alone
}

func TestChunkIsLookedForInPacksThatAreNotAvoided(t *testing.T) {
	w, packs, both, alone := twice(t)
	for name, c := range map[string]struct {
		avoid           []vault.PackID
		in              vault.PackID // where both is looked for
		both, alone, no bool         // held; no pack is avoided
	}{
		"none":       {nil, packs[0], true, true, true},
		"the first":  {packs[:1], packs[1], true, true, false},
		"the second": {packs[1:], packs[0], true, false, false},
		"both":       {packs, packs[0], false, false, false},
		"a stranger": {[]vault.PackID{{Seq: 9}}, packs[0], true, true, true},
	} {
		if err := w.c.Avoid(c.avoid); err != nil {
			t.Fatal(err)
		}
		a, known, err := w.c.Chunk(both)
		p, packErr := w.c.Pack(a.Pack)
		if err = errors.Join(err, packErr); err != nil || !known || p.ID != c.in {
			t.Errorf("%s: in %+v, %v, %v", name, p, known, err)
		}
		holdsBoth, err := w.c.Holds(both)
		holdsAlone, err2 := w.c.Holds(alone)
		if err = errors.Join(err, err2); err != nil || holdsBoth != c.both || holdsAlone != c.alone || w.c.Avoids() == c.no {
			t.Errorf("%s: held are %v and %v, avoids %v, %v", name, holdsBoth, holdsAlone, w.c.Avoids(), err)
		}
		list, err := w.c.Addresses(both)
		if err != nil || len(list) != 2 || list[0] != a || list[1].Pack == a.Pack {
			t.Errorf("%s: addresses %+v, %v", name, list, err)
		}
	}
	if n, err := w.c.Count(); err != nil || n != 3 {
		t.Errorf("%d chunks, %v, want 3", n, err)
	}
}

func TestDamagedChunkIsReadAtItsOtherAddress(t *testing.T) {
	w, packs, both, alone := twice(t)
	store := w.v.Store.(*storagetest.Memory)
	good, err := store.Get(t.Context(), packs[0].Name(), vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), good...)
	flipped[20] ^= 1
	for how, b := range map[string][]byte{"missing": nil, "flipped": flipped, "cut": good[:30]} {
		store.Replace(packs[0].Name(), b)
		content, err := w.c.ReadChunk(t.Context(), w.v, both)
		if err != nil || string(content) != "oak" {
			t.Errorf("%s: %q, %v", how, content, err)
		}
	}
	store.Replace(packs[0].Name(), flipped)
	store.Replace(packs[1].Name(), nil)
	for _, id := range []seal.Hash{both, alone} {
		if _, err := w.c.ReadChunk(t.Context(), w.v, id); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("with no whole pack: %v", err)
		}
	}
	if _, err := w.c.ReadChunk(t.Context(), w.v, both); !strings.Contains(err.Error(), packs[0].Name()) {
		t.Errorf("the error does not name the first pack: %v", err)
	}
	// A store that is away says nothing about any pack.
	v, err := vault.New(storagetest.NewFaulty(store, storagetest.From(1, storagetest.Gone)), w.v.Config, w.v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.ReadChunk(t.Context(), v, both); !errors.Is(err, storage.ErrUnreachable) || errors.Is(err, vault.ErrDamaged) {
		t.Errorf("store away: %v", err)
	}
}

func TestFurtherAddressThatIsNotAsItsSegmentHasItIsFound(t *testing.T) {
	w, packs, both, _ := twice(t)
	d := seal.ID(packs[1].Device)
	check := func() error {
		device, _, err := w.c.Device(d)
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.v.ReadSegment(t.Context(), &device.Card, 1)
		if err != nil {
			t.Fatal(err)
		}
		packs := w.c.PackCheck()
		err = s.Each(func(_ int, op vault.Operation) error { return packs.Add(d, 1, op.(*vault.PackAdd)) })
		return errors.Join(err, packs.Flush())
	}
	if err := check(); err != nil {
		t.Fatalf("as it was folded: %v", err)
	}
	list, err := w.c.Addresses(both)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	key := binary.BigEndian.AppendUint64(both[:], list[1].Pack)
	for name, value := range map[string][]byte{"another offset": {6, 3}, "another length": {5, 2}, "nothing": nil, "more": {5, 3, 0}} {
		err := w.c.update(func(tx *tx) error { return put(tx, bucketOthers, key, value) })
		if err != nil {
			t.Fatal(err)
		}
		if err := check(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.c.update(func(tx *tx) error { return put(tx, bucketOthers, key, []byte{5, 3}) }); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Errorf("put right: %v", err)
	}
}

func TestFileLacksWhatIsNotHeldDownToItsLists(t *testing.T) {
	w := newWorld(t)
	d := w.device(100)
	leaves := d.store([]byte("hello"), []byte("oak"))
	lists := d.store(listOf(1, leaves...))
	w.follow(w.c)
	file := vault.Chunks{Level: 1, IDs: lists}
	for name, c := range map[string]struct {
		avoid []vault.PackID
		list  vault.Chunks
		want  bool
	}{
		"nothing":             {nil, file, false},
		"a chunk":             {[]vault.PackID{packOfSegment(d, 1)}, file, true},
		"its list":            {[]vault.PackID{packOfSegment(d, 2)}, file, true},
		"a chunk of no one":   {nil, vault.Chunks{IDs: []seal.Hash{{1}}}, true},
		"a list that is none": {nil, vault.Chunks{Level: 1, IDs: leaves}, true},
		"an empty file":       {nil, vault.Chunks{}, false},
	} {
		if err := w.c.Avoid(c.avoid); err != nil {
			t.Fatal(err)
		}
		if lacks, err := w.c.Lacks(t.Context(), w.v, c.list, w.c.Holds); err != nil || lacks != c.want {
			t.Errorf("%s: lacks %v, %v", name, lacks, err)
		}
	}
}

func TestCatalogBesideAddsPacksThatOnlyItKnows(t *testing.T) {
	w := newWorld(t)
	other := w.open("other")
	a, b := w.device(100), w.device(50)
	b.store([]byte("elm")) // so that the two number packs differently
	w.follow(other)
	oak := a.store([]byte("oak"))[0]
	for _, c := range []*Catalog{w.c, other} {
		w.follow(c)
	}
	acorn := b.store([]byte("oak"), []byte("acorn"))[1]
	w.follow(other)

	both := w.c.Beside(other)
	for id, want := range map[seal.Hash][]vault.PackID{oak: {packOfSegment(a, 1), packOfSegment(b, 2)}, acorn: {packOfSegment(b, 2)}} {
		first, known, err := both.Chunk(id)
		list, listErr := both.Addresses(id)
		if err = errors.Join(err, listErr); err != nil || !known || len(list) != len(want) || list[0] != first {
			t.Fatalf("first %+v, %v, all %+v, want %d: %v", first, known, list, len(want), err)
		}
		for i, at := range list {
			if p, err := both.Pack(at.Pack); err != nil || p.ID != want[i] {
				t.Errorf("address %d is in %+v, %v, want %v", i, p, err, want[i])
			}
		}
	}
	w.v.Store.(*storagetest.Memory).Replace(packOfSegment(a, 1).Name(), nil)
	for id, want := range map[seal.Hash]string{oak: "oak", acorn: "acorn"} {
		if content, err := both.ReadChunk(t.Context(), w.v, id); err != nil || string(content) != want {
			t.Errorf("got %q, %v, want %q", content, err, want)
		}
	}
	if _, known, err := w.c.Chunk(acorn); known || err != nil {
		t.Errorf("the catalog has learned a chunk: %v, %v", known, err)
	}
}
