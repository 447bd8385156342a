package engine

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// stuck is a store of which one operation never comes back by itself. It calls
// reached then, and says so if its context does not end it.
type stuck struct {
	storage.Store
	t       *testing.T
	mu      sync.Mutex
	left    int // operations until then
	seen    int
	reached func()
}

// patience is far more than the end of a context takes to be noticed.
const patience = time.Minute

func (s *stuck) pass(ctx context.Context) error {
	s.mu.Lock()
	s.seen++
	s.left--
	now := s.left == 0
	s.mu.Unlock()
	if !now {
		return ctx.Err()
	}
	s.reached()
	guard, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-guard.Done():
		s.t.Errorf("operation %d was not ended", s.seen)
	}
	return ctx.Err()
}

func (s *stuck) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := s.pass(ctx); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, name, limit)
}

func (s *stuck) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if err := s.pass(ctx); err != nil {
		return nil, err
	}
	return s.Store.GetRange(ctx, name, offset, length)
}

func (s *stuck) Put(ctx context.Context, name string, body *io.SectionReader) error {
	if err := s.pass(ctx); err != nil {
		return err
	}
	return s.Store.Put(ctx, name, body)
}

func (s *stuck) Delete(ctx context.Context, name string) error {
	if err := s.pass(ctx); err != nil {
		return err
	}
	return s.Store.Delete(ctx, name)
}

func (s *stuck) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		if err := s.pass(ctx); err != nil {
			yield(storage.Object{}, err)
			return
		}
		s.Store.List(ctx, prefix)(yield)
	}
}

// beforeTheScan counts the operations of a backup up to the first one that puts
// what was read.
func beforeTheScan(t *testing.T, s *scene, start *storagetest.Memory) int {
	t.Helper()
	f := storagetest.NewFaulty(start.Clone(), func(storagetest.Operation) storagetest.Fault { return storagetest.None })
	count, reading := 0, false
	run, data := s.on(t, f), s.cloneData(t)
	run.with(data, func(e *Engine) {
		opened := len(f.Journal())
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}}); err != nil {
			t.Fatal(err)
		}
		for _, op := range f.Journal()[opened:] {
			if strings.HasPrefix(op.Name, vault.PacksPrefix) && op.Verb == storagetest.Put {
				reading = true
				return
			}
			count++
		}
	})
	if !reading {
		t.Fatal("nothing was stored")
	}
	return count
}

// A person who presses Ctrl-C while the store hangs waits for nothing.
func TestBackupStopsAtAnyOperationBeforeItsScan(t *testing.T) {
	start := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return start })
	s.write("one", noise(1, 3000))
	s.backup(s.data)
	s.write("two", noise(2, 3000))
	want := image(t, s.src)
	count := beforeTheScan(t, s, start)
	if count < 8 {
		t.Errorf("only %d operations come before the scan", count)
	}
	for n := 1; n <= count; n++ {
		left, data := start.Clone(), s.cloneData(t)
		stop := make(chan struct{})
		hung := &stuck{Store: left, t: t, reached: func() { close(stop) }}
		run := s.on(t, hung)
		run.with(data, func(e *Engine) {
			hung.left = n
			r, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}, Stop: stop})
			if !errors.Is(err, ErrStopped) || r.Files != 0 || r.Segments != 0 || r.Snapshot != "" {
				t.Errorf("stopped at operation %d of %d: %+v, %v", n, count, r, err)
			}
		})
		after := s.on(t, left)
		after.backup(data)
		sameTrees(t, want, image(t, after.restore(data, "")))
	}
}

// The context of the caller is no wish to stop: its error comes out as it is.
func TestBackupWhoseContextEndsIsCancelled(t *testing.T) {
	s := newScene(t)
	s.write("one", noise(1, 3000))
	s.with(s.data, func(e *Engine) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := e.Backup(ctx, BackupOptions{Paths: []string{s.src}})
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
}
