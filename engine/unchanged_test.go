package engine

import (
	"fmt"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// unchangedOperations backs a tree of that many files up three times and
// counts what the third run asks of the store.
func unchangedOperations(t *testing.T, files int) (operations int) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.ahead = 1 << 42
	for n := range files {
		s.write(fmt.Sprintf("d%d/f%d", n%10, n), fmt.Append(nil, n))
	}
	s.backup(s.data)
	s.backup(s.data)
	f := storagetest.NewFaulty(store, func(storagetest.Operation) storagetest.Fault { return storagetest.None })
	s.on(t, f).with(s.data, func(e *Engine) {
		before := len(f.Journal())
		r, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}})
		if err != nil || r.ReadBytes != 0 || r.Changed != 0 || r.NewBytes != 0 || r.Segments != 1 {
			t.Errorf("%d files: %+v, %v", files, r, err)
		}
		operations = len(f.Journal()) - before
		oneLookUpEach(t, e)
	})
	return operations
}

// oneLookUpEach expects that the catalog gives each directory in one page.
func oneLookUpEach(t *testing.T, e *Engine) {
	t.Helper()
	device := e.state.Head().Device
	sources, err := e.catalog.Sources(device)
	if err != nil || len(sources) != 1 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	var look func(dir seal.ID)
	look = func(dir seal.ID) {
		list, more, err := e.catalog.Page(device, dir, "")
		if err != nil || more {
			t.Errorf("a directory needs more than one look-up: %d entries in the first, %v", len(list), err)
		}
		for _, c := range list {
			if c.Kind == vault.KindDirectory {
				look(c.Directory)
			}
		}
	}
	look(sources[0].ID)
}

// What is unchanged is not read, and neither the store nor the catalog is asked
// file by file.
func TestUnchangedTreeIsLookedUpByDirectoryAndTheStoreIsAskedTheSame(t *testing.T) {
	few, many := unchangedOperations(t, 20), unchangedOperations(t, 600)
	if few != many || few == 0 {
		t.Errorf("%d operations of the store for 20 files, %d for 600", few, many)
	}
}
