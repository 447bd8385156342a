package upkeep

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// threeFrames is a pack of chunks that lie in three frames: in one, in two, at
// a border and in all.
func (s *scene) threeFrames(sizes ...int) (add *vault.PackAdd, id vault.PackID, contents []string) {
	for i, n := range sizes {
		contents = append(contents, string(bytes.Repeat([]byte{byte('a' + i)}, n)))
	}
	add, name := s.pack(contents...)
	id, err := vault.ParsePackName(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return add, id, contents
}

func TestSalvageTakesEveryChunkThatLiesInWholeFramesOnly(t *testing.T) {
	const MiB = vault.FrameSize
	for name, sizes := range map[string][]int{
		"over the borders": {10, MiB - 5, 20, MiB - 30, 7, MiB - 100},
		"at the borders":   {10, MiB - 10, 1, MiB - 1, MiB},
		"over all":         {3*MiB - 1, 1},
		"the last short":   {MiB, MiB, 3},
	} {
		for broken := -1; broken < 3; broken++ {
			s := newScene(t)
			add, id, contents := s.threeFrames(sizes...)
			if len(add.Frames) != 3 {
				t.Fatalf("%s: %d frames", name, len(add.Frames))
			}
			store := s.v.Store.(*storagetest.Memory)
			b, err := store.Get(t.Context(), id.Name(), vault.MaxPack)
			if err != nil {
				t.Fatal(err)
			}
			if broken >= 0 {
				at := 16
				for _, n := range add.Frames[:broken] {
					at += int(n)
				}
				b[at+5] ^= 1
				store.Replace(id.Name(), b)
			}
			var want, got []string
			offset := 0
			for _, c := range contents {
				first, last := offset/MiB, (offset+len(c)-1)/MiB
				if broken < first || broken > last {
					want = append(want, c)
				}
				offset += len(c)
			}
			all := func(seal.Hash) (bool, error) { return true, nil }
			err = Salvage(t.Context(), s.v, id, add, all, func(c []byte) error { got = append(got, string(c)); return nil })
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, frame %d broken: %d chunks, want %d, %v", name, broken, len(got), len(want), err)
			}
		}
	}
}

func TestSalvageGivesWhatIsWantedAndEndsWithTheFirstError(t *testing.T) {
	s := newScene(t)
	add, id, contents := s.threeFrames(10, vault.FrameSize, 20)
	wanted := func(id seal.Hash) (bool, error) { return id != add.Chunks[0].ID, nil }
	var got []string
	if err := Salvage(t.Context(), s.v, id, add, wanted, func(c []byte) error { got = append(got, string(c)); return nil }); err != nil || !slices.Equal(got, contents[1:]) {
		t.Errorf("%d chunks, %v", len(got), err)
	}
	// Also one that looks like damage of the pack.
	calls := 0
	err := Salvage(t.Context(), s.v, id, add, wanted, func([]byte) error { calls++; return vault.ErrDamaged })
	if !errors.Is(err, vault.ErrDamaged) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	failing := func(seal.Hash) (bool, error) { return false, catalog.ErrDamaged }
	if err := Salvage(t.Context(), s.v, id, add, failing, func([]byte) error { return nil }); !errors.Is(err, catalog.ErrDamaged) {
		t.Errorf("want fails: %v", err)
	}
	s.v.Store.(*storagetest.Memory).Replace(id.Name(), nil)
	if err := Salvage(t.Context(), s.v, id, add, wanted, func([]byte) error { t.Error("of a missing pack"); return nil }); err != nil {
		t.Errorf("a missing pack: %v", err)
	}
}

func TestLossesAreWhatOnlyBadPacksHave(t *testing.T) {
	s := newScene(t)
	add1, name1 := s.pack("acorn", "oak")
	s.commit(add1)
	add2, name2 := s.pack("oak", "leaf")
	journal := s.commit(add2)
	c := s.catalog()
	var bad []BadPack
	for _, name := range []string{name1, name2} {
		id, err := vault.ParsePackName(name)
		if err != nil {
			t.Fatal(err)
		}
		bad = append(bad, BadPack{ID: id, Depth: Listed})
	}
	for name, want := range map[string]struct {
		bad     []BadPack
		lacking []int64
		all     int64 // a chunk that lies in both is lost once
	}{"none": {nil, nil, 0}, "the first": {bad[:1], []int64{1}, 1}, "the second": {bad[1:], []int64{1}, 1}, "both": {bad, []int64{2, 2}, 3}} {
		ids := []vault.PackID{}
		for _, b := range want.bad {
			ids = append(ids, b.ID)
		}
		if err := c.Avoid(ids); err != nil {
			t.Fatal(err)
		}
		losses, err := Losses(t.Context(), s.v, c, want.bad)
		var got []int64
		all := int64(0)
		for _, l := range losses {
			all += l.Counted
			if got = append(got, l.Lacking); l.Chunks != 2 || l.Err != nil || !l.Lost() {
				t.Errorf("%s: %+v", name, l)
			}
		}
		if err != nil || !slices.Equal(got, want.lacking) || all != want.all {
			t.Errorf("%s: lacking %v, %d together, %v", name, got, all, err)
		}
	}
	// The pack that the catalog names first may be bad in another way.
	if err := c.Avoid([]vault.PackID{bad[0].ID, bad[1].ID}); err != nil {
		t.Fatal(err)
	}
	if losses, err := Losses(t.Context(), s.v, c, bad[1:]); err != nil || len(losses) != 1 || losses[0].Counted != 2 {
		t.Errorf("the second of both: %+v, %v", losses, err)
	}
	// A segment that cannot be read, and one that never named the pack.
	s.v.Store.(*storagetest.Memory).Replace(journal, nil)
	losses, err := Losses(t.Context(), s.v, c, []BadPack{{ID: vault.PackID{Device: bad[0].ID.Device, Seq: 1, Random: seal.ID{9}}, Depth: Listed}, bad[1]})
	if err != nil || len(losses) != 2 || !errors.Is(losses[0].Err, vault.ErrDamaged) || !errors.Is(losses[1].Err, ErrMissing) || !losses[1].Lost() {
		t.Errorf("unknown: %+v, %v", losses, err)
	}
}
