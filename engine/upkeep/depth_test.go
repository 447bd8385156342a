package upkeep

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// flipped is a store that gives one object with a byte changed.
type flipped struct {
	storage.Store
	name string
	at   int64
}

func (f flipped) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	b, err := f.Store.GetRange(ctx, name, offset, length)
	if err == nil && name == f.name && f.at >= offset && f.at < offset+length {
		b = bytes.Clone(b)
		b[f.at-offset] ^= 4
	}
	return b, err
}

func TestOpeningTheSealsFindsEveryChangedByteOfAPack(t *testing.T) {
	s := newScene(t)
	add, name := s.pack("hello", "oaken")
	s.commit(add)
	store := s.v.Store
	for at := range int64(add.SizeBytes) {
		s.v.Store = flipped{store, name, at}
		problems := s.checkWith(Request{ReadData: true})
		// A head with another version or flag reads as one of a later version.
		named := len(problems) == 1 && problems[0].Object == name
		if !named || !errors.Is(problems[0].Err, vault.ErrDamaged) && !(at < 16 && errors.Is(problems[0].Err, vault.ErrNewer)) {
			t.Errorf("byte %d of %d: %v", at, add.SizeBytes, problems)
		}
	}
}

func TestOnlyADeepCheckFindsAChunkThatWasSealedUnderAnotherID(t *testing.T) {
	s := newScene(t)
	var spool bytes.Buffer
	id := vault.PackID{Device: s.head.Device, Seq: 1, Random: seal.ID{7}}
	w, err := s.v.NewPackWriter(id, &spool)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(seal.Hash{7}, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	add, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	s.put(id.Name(), spool.Bytes())
	s.commit(add)
	if problems := s.checkWith(Request{ReadData: true}); len(problems) != 0 {
		t.Errorf("seals: %v", problems)
	}
	problems := s.checkWith(Request{Deep: true})
	if len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), "other content") {
		t.Errorf("deep: %v", problems)
	}
}

// TestPacksOfManyDevicesAreHeldAgainstTheListing removes packs at the start,
// in the middle and at the end, and adds some that nobody names.
func TestPacksOfManyDevicesAreHeldAgainstTheListing(t *testing.T) {
	s := newScene(t)
	other := s.second()
	var names []string
	for range 3 {
		for _, d := range []*scene{other, s} {
			add, name := d.pack("hello")
			d.commit(add)
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, extra := range []string{strings.Replace(names[0], "/09", "/08", 1), names[2][:len(names[2])-32] + strings.Repeat("f", 32),
		names[5][:len(names[5])-32] + strings.Repeat("f", 32)} {
		s.put(extra, []byte("dead"))
	}
	gone := []string{names[0], names[3], names[5]}
	for _, name := range gone {
		if err := s.v.Store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	r := s.reportOf(Request{ReadData: true})
	var got []string
	for _, p := range r.Problems {
		if !errors.Is(p.Err, ErrMissing) {
			t.Errorf("%v", p)
		}
		got = append(got, p.Object)
	}
	if !slices.Equal(got, gone) || r.Packs != 6 || r.DeadPacks != 3 {
		t.Errorf("missing %v, want %v; %d packs, %d dead", got, gone, r.Packs, r.DeadPacks)
	}
}

// failing is a store whose listing of packs ends with an error.
type failing struct{ storage.Store }

func (f failing) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range f.Store.List(ctx, prefix) {
			if !yield(o, err) {
				return
			}
			if prefix == vault.PacksPrefix {
				yield(storage.Object{}, storage.ErrUnreachable)
				return
			}
		}
	}
}

func TestListingThatFailsEndsTheCheckAndIsNoDamage(t *testing.T) {
	s := newScene(t)
	for range 3 {
		add, _ := s.pack("hello")
		s.commit(add)
	}
	c := s.catalog()
	s.v.Store = failing{s.v.Store}
	r, err := Check(t.Context(), s.request(Request{ReadData: true}, c))
	if !errors.Is(err, storage.ErrUnreachable) || len(r.Problems) != 0 {
		t.Errorf("%v, %v", r.Problems, err)
	}
}
