package engine

import (
	"fmt"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// unchanged backs a tree of that many files up three times and counts what the
// third run asks of the store, and how many pages of the catalog. One directory
// has names so long that the catalog gives it in several.
func unchanged(t *testing.T, files, long int) (operations, pages int) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.ahead = 1 << 42
	for n := range files {
		s.write(fmt.Sprintf("d%d/f%d", n%10, n), fmt.Append(nil, n))
	}
	for n := range long {
		s.write(fmt.Sprintf("long/%d%s", n, strings.Repeat("n", 240)), fmt.Append(nil, n))
	}
	s.backup(s.data)
	s.backup(s.data)
	f := storagetest.NewFaulty(store, func(storagetest.Operation) storagetest.Fault { return storagetest.None })
	s.on(t, f).with(s.data, func(e *Engine) {
		before, looked := len(f.Journal()), e.catalog.Pages()
		r, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}})
		if err != nil || r.ReadBytes != 0 || r.Changed != 0 || r.NewBytes != 0 || r.Segments != 1 {
			t.Errorf("%d files: %+v, %v", files, r, err)
		}
		operations, pages = len(f.Journal())-before, int(e.catalog.Pages()-looked)
	})
	return operations, pages
}

// What is unchanged is not read, and neither the store nor the catalog is asked
// file by file: for the catalog a look-up of the sources, and one for each
// directory, or for each 16 KiB of a large one.
func TestUnchangedTreeIsLookedUpByDirectoryAndTheStoreIsAskedTheSame(t *testing.T) {
	few, pagesOfFew := unchanged(t, 20, 0)
	many, pagesOfMany := unchanged(t, 600, 0)
	if few != many || few == 0 {
		t.Errorf("%d operations of the store for 20 files, %d for 600", few, many)
	}
	const directories = 1 + 1 + 10 // above the source, itself, and those in it
	if pagesOfFew != directories || pagesOfMany != directories {
		t.Errorf("%d and %d pages of the catalog for %d directories", pagesOfFew, pagesOfMany, directories)
	}
	if large, pages := unchanged(t, 20, 300); large != few || pages < directories+5 || pages > directories+15 {
		t.Errorf("with 80 KiB of long names %d operations, want %d, and %d pages for %d directories", large, few, pages, directories+1)
	}
}
