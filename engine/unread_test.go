package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// moody is a store that refuses one read, the one with that number.
type moody struct {
	*storagetest.Faulty
	at, reads int
	err       error
}

func (m *moody) refuses(name string) error {
	if m.reads++; m.reads == m.at {
		return fmt.Errorf("object %s: %w", name, m.err)
	}
	return nil
}

func (m *moody) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := m.refuses(name); err != nil {
		return nil, err
	}
	return m.Faulty.Get(ctx, name, limit)
}

func (m *moody) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if err := m.refuses(name); err != nil {
		return nil, err
	}
	return m.Faulty.GetRange(ctx, name, offset, length)
}

func TestReadThatIsRefusedOnceIsNeitherDamageNorLossAndRemovesNothing(t *testing.T) {
	tr := newTrouble(t)
	count := &moody{}
	{
		s, data, store := tr.again(t)
		count.Faulty = storagetest.NewFaulty(store, nil)
		if err := backUp(s.on(t, count), data); err != nil || count.reads < 6 {
			t.Fatalf("%d reads, %v", count.reads, err)
		}
	}
	for _, why := range []error{storage.ErrDenied, syscall.EMFILE} {
		for at := 1; at <= count.reads; at++ {
			s, data, store := tr.again(t)
			m := &moody{Faulty: storagetest.NewFaulty(store, nil), at: at, err: why}
			err := backUp(s.on(t, m), data)
			if err != nil && !errors.Is(err, why) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrLost) {
				t.Errorf("%v at read %d: %v", why, at, err)
			}
			for _, op := range m.Journal() {
				if op.Verb == storagetest.Delete && !strings.HasPrefix(op.Name, "probe/") {
					t.Errorf("%v at read %d: %s is removed", why, at, op.Name)
				}
			}
			tr.mends(t, s, data, err == nil)
		}
	}
}
