package storagetest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"holm.example/engine/storage"
)

func TestMemoryPassesTheSuite(t *testing.T) {
	Suite(t, func(*testing.T) Place {
		m := &Memory{}
		return func() storage.Store { return m }
	})
}

func TestFaultyWithoutFaultsPassesTheSuite(t *testing.T) {
	Suite(t, func(*testing.T) Place {
		m := &Memory{}
		return func() storage.Store { return NewFaulty(m, nil) }
	})
}

// overwriting is a store that does not keep the promise of create-only.
type overwriting struct{ *Memory }

func (o overwriting) Put(ctx context.Context, name string, body *io.SectionReader) error {
	o.Replace(name, nil)
	return o.Memory.Put(ctx, name, body)
}

// silent is a store that overwrites and says that it did not.
type silent struct{ *Memory }

func (s silent) Put(ctx context.Context, name string, body *io.SectionReader) error {
	first := s.Memory.Put(ctx, name, body)
	if errors.Is(first, storage.ErrExists) {
		s.Replace(name, nil)
		_ = s.Memory.Put(ctx, name, body) // the name is free now
	}
	return first
}

func TestProbeFindsAStoreThatOverwrites(t *testing.T) {
	for name, s := range map[string]storage.Store{"openly": overwriting{&Memory{}}, "silently": silent{&Memory{}}} {
		if err := storage.Probe(t.Context(), s, time.Now()); !errors.Is(err, storage.ErrNotCreateOnly) {
			t.Errorf("%s: %v, want ErrNotCreateOnly", name, err)
		}
	}
}

func TestProbeFindsAStoreWhoseListingsLagBehind(t *testing.T) {
	f := NewFaulty(&Memory{}, On(List, "", Stale))
	if err := storage.Probe(t.Context(), f, time.Now()); !errors.Is(err, storage.ErrNotListed) {
		t.Errorf("%v, want ErrNotListed", err)
	}
	if n := f.Count(Delete); n != 1 {
		t.Errorf("%d deletes: the object of the probe stays", n)
	}
}

func TestProbeNeverCallsAFaultyStoreCreateOnly(t *testing.T) {
	for number := 1; number <= 6; number++ {
		for _, fault := range []Fault{Before, After, NoSpace, Gone, GoneAfter} {
			f := NewFaulty(&Memory{}, At(number, fault))
			err := storage.Probe(t.Context(), f, time.Now())
			if (number == 1 || number == 4 || number == 5) && fault == NoSpace {
				continue // a read needs no space
			}
			if err == nil || errors.Is(err, storage.ErrNotCreateOnly) {
				t.Errorf("fault %d at operation %d of %d: %v, want the fault", fault, number, f.Count(""), err)
			}
		}
	}
}
