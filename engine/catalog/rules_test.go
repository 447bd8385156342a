package catalog

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

func packOf(n byte) vault.Operation {
	return &vault.PackAdd{Random: id(n), Epoch: 1, SizeBytes: 1000, Frames: []uint32{40}, Chunks: []vault.ChunkInfo{{ID: seal.Hash{n}, SizeBytes: 5}}}
}

func TestDetachedDirectoryKeepsTheMetaOfItsEntry(t *testing.T) {
	put := func(parent byte, name string, n byte, mode uint32) vault.Operation {
		o := dir(parent, name, n).(*vault.Put)
		o.Meta.Mode = mode
		return o
	}
	for name, c := range map[string]struct {
		ops  []vault.Operation
		want uint32 // mode of s/back
	}{
		"as it was put last":              {[]vault.Operation{put(1, "d", 2, 0o711), put(1, "d", 2, 0o722), del(1, "d"), move(2, 1, "back")}, 0o722},
		"a Put that is void says nothing": {[]vault.Operation{put(1, "d", 2, 0o711), put(2, "in itself", 2, 0o722), del(1, "d"), move(2, 1, "back")}, 0o711},
		"a void Put of a detached one":    {[]vault.Operation{put(1, "d", 2, 0o711), del(1, "d"), put(2, "in itself", 2, 0o722), move(2, 1, "back")}, 0o711},
		"never put":                       {[]vault.Operation{move(2, 1, "back")}, 0o700},
		"moved, not put":                  {[]vault.Operation{put(1, "d", 2, 0o711), move(2, 1, "back")}, 0o711},
	} {
		w := newWorld(t)
		d := w.device(100)
		d.commit(append([]vault.Operation{src(1)}, c.ops...)...)
		w.follow(w.c)
		var got []uint32
		err := w.c.Entries(d.card.Device, id(1), EndOf(1), func(e Entry) error {
			if e.Name == "back" {
				got = append(got, e.Meta.Mode)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, []uint32{c.want}) {
			t.Errorf("%s: modes %o, %v, want %o", name, got, err, c.want)
		}
	}
}

// The way up has a bound, so that a fold ends. A chain of real Puts would take
// minutes: the places are written as they would be.
func TestParentThatLiesTooDeepMakesAPutVoid(t *testing.T) {
	w := newWorld(t)
	d := w.device(100)
	d.commit(src(1))
	w.follow(w.c)
	deep := func(n int) (dir seal.ID) { // n directories below the source
		if n == 0 {
			return id(1)
		}
		binary.BigEndian.PutUint32(dir[4:], uint32(n))
		return dir
	}
	err := w.c.update(func(tx *tx) error {
		f := &fold{t: tx, device: d.card.Device}
		for n := 1; n <= vault.MaxDepth; n++ {
			if err := f.setWhere(deep(n), where{state: placed, parent: deep(n - 1), name: "d"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{vault.MaxDepth - 1: 1, vault.MaxDepth: 0} {
		parent, child := deep(n), seal.ID{0xee, byte(n)}
		d.commit(&vault.Put{EntryName: vault.EntryName{Parent: parent, Name: "x"}, Node: vault.Node{Kind: vault.KindDirectory, Directory: child}})
		w.follow(w.c)
		if got := tree(t, w.c, d.card.Device, parent, EndOf(9)); len(got) != want {
			t.Errorf("in a directory %d deep: %q, want %d", n, got, want)
		}
	}
}

func TestAdoptGoesAsDeepAsAPutDoes(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(100), w.device(50)
	a.commit(src(1), dir(1, "d", 2), dir(2, "e", 3))
	w.follow(w.c)
	err := w.c.update(func(tx *tx) error {
		f := &fold{t: tx, device: b.card.Device, pages: pages{t: tx, device: b.card.Device}}
		if err := f.source(src(1).(*vault.Source)); err != nil {
			return err
		}
		if err := f.adoptBelow(a.card.Device, id(1), EndOf(1), vault.MaxDepth-1); err != nil {
			return err
		}
		return f.pages.flush()
	})
	if got := tree(t, w.c, b.card.Device, id(1), EndOf(1)); err != nil || !slices.Equal(got, []string{"d/"}) {
		t.Errorf("adopted %q, %v", got, err)
	}
}

func TestMarkNamesTheSourcesThatThereAre(t *testing.T) {
	w := newWorld(t)
	d := w.device(100)
	marks := map[byte][]seal.ID{10: {id(2), id(1)}, 11: {id(1), id(1), id(2), id(1)}, 12: {id(1), id(3)}, 13: {id(9), id(0xff), id(4)}, 14: nil}
	ops := []vault.Operation{src(1), src(2), dir(1, "d", 4)}
	for n := byte(10); n < 15; n++ {
		ops = append(ops, &vault.Mark{ID: id(n), Sources: marks[n]})
	}
	ops = append(ops, &vault.Mark{ID: id(10), Label: "again"}, src(3))
	d.commit(ops...)
	w.follow(w.c)
	want := map[seal.ID][]seal.ID{id(10): {id(2), id(1)}, id(11): {id(1), id(2)}, id(12): {id(1)}, id(13): nil, id(14): nil}
	list, err := w.c.Marks()
	if err != nil || len(list) != len(want) {
		t.Fatalf("%d marks, %v", len(list), err)
	}
	for _, m := range list {
		if !slices.Equal(m.Sources, want[m.ID]) || m.Label != "" {
			t.Errorf("mark %d names %x, label %q", m.ID[0], m.Sources, m.Label)
		}
		if at := position(1, 3+int(m.ID[0])-10); m.At != at {
			t.Errorf("mark %d stands at %d, want %d: operations count from 0", m.ID[0], m.At, at)
		}
	}
}

func TestSecondSourceOfAnIDIsVoid(t *testing.T) {
	w := newWorld(t)
	d := w.device(100)
	d.commit(&vault.Source{ID: id(1), Path: "/one", System: "a"}, &vault.Source{ID: id(1), Path: "/two", System: "b"})
	d.commit(&vault.Source{ID: id(1), Path: "/three", System: "c"})
	w.follow(w.c)
	list, err := w.c.Sources(d.card.Device)
	if err != nil || !slices.Equal(list, []Source{{id(1), "/one", "a"}}) {
		t.Errorf("sources %+v, %v", list, err)
	}
}

func TestHighestClaimCounts(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(100), w.device(50)
	claim := func(seq uint64) []vault.Head {
		return []vault.Head{{Device: a.card.Device, Seq: seq, Hash: seal.Hash{byte(seq)}}}
	}
	for range 5 {
		a.commit(src(1))
	}
	for _, seq := range []uint64{1, 5, 3, 5} {
		b.claims = claim(seq)
		b.commit()
	}
	w.follow(w.c)
	if got, err := w.c.Claims(b.card.Device); err != nil || !slices.Equal(got, claim(5)) {
		t.Errorf("claims %+v, %v", got, err)
	}
}

func TestAdoptCountsOnlyAtTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		before, with []vault.Operation // segment 1, and what stands before the Adopt in its own
		change       func(*vault.Adopt, *writer)
		want         string
	}{
		"first operation":       {want: "old"},
		"after a pack":          {with: []vault.Operation{packOf(7)}, want: "old"},
		"after a Source":        {with: []vault.Operation{src(8)}},
		"after a void one":      {with: []vault.Operation{&vault.Adopt{Device: id(100)}}},
		"in the second segment": {before: []vault.Operation{packOf(7)}},
		"of seq 0":              {change: func(o *vault.Adopt, _ *writer) { o.Seq = 0 }},
		"of oneself":            {change: func(o *vault.Adopt, b *writer) { o.Device = b.card.Device }},
	} {
		w := newWorld(t)
		a, b := w.device(100), w.device(50)
		a.commit(src(1), file(1, "old"))
		adopt := &vault.Adopt{Device: a.card.Device, Seq: 1, Hash: a.head.Hash}
		if c.change != nil {
			c.change(adopt, b)
		}
		if c.before != nil {
			b.commit(c.before...)
		}
		b.commit(append(slices.Clone(c.with), adopt)...)
		w.follow(w.c)
		if got := strings.Join(tree(t, w.c, b.card.Device, id(1), EndOf(9)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAdoptOfAnotherSegmentThanThereIsStopsWheneverItIsFolded(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(100), w.device(150) // b is followed after a
	b.commit(&vault.Adopt{Device: a.card.Device, Seq: 1, Hash: seal.Hash{1}})
	for _, after := range []string{"seq 1", "seq 2"} {
		a.commit(src(1), file(1, "old"))
		for how, c := range map[string]*Catalog{"at once": w.open("new.db"), "step by step": w.c} {
			stopped, err := c.Follow(t.Context(), w.v)
			if err != nil || len(stopped) != 1 || !errors.Is(stopped[0], vault.ErrDamaged) || errors.Is(stopped[0], ErrWaiting) {
				t.Errorf("after %s, %s: %v, %v", after, how, stopped, err)
			}
		}
	}
}

func TestOperationAtAnotherLevelThanItsOwnStopsTheFold(t *testing.T) {
	for _, level := range []uint64{0, 2, 99} {
		w := newWorld(t)
		d := w.device(100)
		d.commit(src(1), &vault.Unknown{Type: 6, Since: level, Payload: make([]byte, 20)})
		stopped, err := w.c.Follow(t.Context(), w.v)
		if err != nil || len(stopped) != 1 || !errors.Is(stopped[0], vault.ErrNewer) {
			t.Errorf("level %d: %v, %v", level, stopped, err)
		}
	}
}
