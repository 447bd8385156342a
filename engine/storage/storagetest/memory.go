package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"holm.example/engine/storage"
)

// Memory is a store in memory. The zero value is an empty one.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte // never changed in place, so clones share them
}

// Clone gives an independent store with the same objects.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{objects: maps.Clone(m.objects)}
}

// Names lists all objects, sorted.
func (m *Memory) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// Replace sets the bytes of an object behind the back of who uses the store,
// as a hostile or failing disk does; nil takes the object away.
func (m *Memory) Replace(name string, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b == nil {
		delete(m.objects, name)
		return
	}
	m.set(name, bytes.Clone(b))
}

// set needs the lock.
func (m *Memory) set(name string, b []byte) {
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[name] = b
}

// Put implements storage.Store.
func (m *Memory) Put(ctx context.Context, name string, body *io.SectionReader) error {
	if err := errors.Join(storage.CheckName(name), ctx.Err()); err != nil {
		return err
	}
	b, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return fmt.Errorf("object %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[name]; taken {
		return fmt.Errorf("object %s: %w", name, storage.ErrExists)
	}
	m.set(name, b)
	return nil
}

// Overwrite is storage.Overwrite.
func (m *Memory) Overwrite(ctx context.Context, name string, body *io.SectionReader) error {
	if err := errors.Join(storage.CheckName(name), ctx.Err()); err != nil {
		return err
	}
	b, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return fmt.Errorf("object %s: %w", name, err)
	}
	m.Replace(name, b)
	return nil
}

// object returns the bytes of an object, which are not to be changed.
func (m *Memory) object(ctx context.Context, name string) ([]byte, error) {
	if err := errors.Join(storage.CheckName(name), ctx.Err()); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.objects[name]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", name, storage.ErrNotFound)
	}
	return b, nil
}

// Get implements storage.Store.
func (m *Memory) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	b, err := m.object(ctx, name)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("object %s: %d bytes: %w", name, len(b), storage.ErrTooLarge)
	}
	return bytes.Clone(b), nil
}

// GetRange implements storage.Store.
func (m *Memory) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	b, err := m.object(ctx, name)
	if err != nil {
		return nil, err
	}
	size := int64(len(b))
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("object %s: %d bytes, wanted %d at %d: %w", name, size, length, offset, storage.ErrShort)
	}
	return bytes.Clone(b[offset : offset+length]), nil
}

// List implements storage.Store. It yields what is there when it begins.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		list := m.Clone().objects
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(storage.Object{}, err)
				return
			}
			if !yield(storage.Object{Name: name, SizeBytes: int64(len(list[name]))}, nil) {
				return
			}
		}
	}
}

// Delete implements storage.Store.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := errors.Join(storage.CheckName(name), ctx.Err()); err != nil {
		return err
	}
	m.Replace(name, nil)
	return nil
}
