package engine

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// backedUp is a scene with a backup, for seeds, and the id of its vault.
func backedUp(f *testing.F) (s *scene, store *storagetest.Memory, vault seal.Hash) {
	f.Helper()
	store = &storagetest.Memory{}
	dir := f.TempDir()
	s = &scene{dir: dir, vault: filepath.Join(dir, "vault"), data: filepath.Join(dir, "data"), src: filepath.Join(dir, "src"),
		wrap: func(storage.Store) storage.Store { return store }, ahead: time.Hour}
	for name, content := range map[string]string{"letter": "dear oak", "other": "acorn"} {
		if err := errors.Join(os.MkdirAll(s.src, 0o755), os.WriteFile(filepath.Join(s.src, name), []byte(content), 0o644)); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := initVault(f.Context(), s.options(s.data), s.wrap); err != nil {
		f.Fatal(err)
	}
	e, err := open(f.Context(), OpenOptions{DataDir: s.data}, s.wrap)
	if err == nil {
		vault = e.vault.ID
		_, err = e.Backup(f.Context(), BackupOptions{Paths: []string{s.src}})
		err = errors.Join(err, e.Close())
	}
	if err != nil {
		f.Fatal(err)
	}
	return s, store, vault
}

// Whatever a store gives under whatever name: opening, listing, restoring and
// checking come to their end, and what is restored was backed up.
func FuzzAnyObjectOfTheStore(f *testing.F) {
	s, store, _ := backedUp(f)
	for _, name := range store.Names() {
		b, err := store.Get(f.Context(), name, 1<<20)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, b)
		f.Add(name, b[:len(b)/2])
		f.Add(strings.TrimRight(name, "0123456789")+"0002", b)
	}
	f.Add("rooms/0/vault.json", []byte("{}"))
	data, err := take(s.data)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		if storage.CheckName(name) != nil {
			return // no store has that
		}
		changed := store.Clone()
		changed.Replace(name, append([]byte{}, b...))
		s := s.on(t, changed)
		s.dir = fastDir(t)
		here := filepath.Join(s.dir, "data")
		data.lay(t, here)
		forget(t, here)
		e, err := s.open(here)
		if err != nil {
			return
		}
		defer func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}()
		to := filepath.Join(s.dir, "to")
		r, err := e.Restore(t.Context(), RestoreOptions{To: to})
		if got := image(t, s.src); err == nil && len(r.Problems) == 0 && !maps.Equal(got, image(t, filepath.Join(to, "src"))) {
			t.Errorf("restored without an error: %v", got)
		}
		if _, err := e.Check(t.Context(), CheckOptions{ReadData: true}); err != nil {
			t.Errorf("check: %v", err)
		}
	})
}

// Whatever stands in the overlay of a catalog, it is a catalog, or one that is
// set aside.
func FuzzCatalogFile(f *testing.F) {
	const overlay = "overlay.db"
	scene, _, vault := backedUp(f)
	good, err := os.ReadFile(filepath.Join(scene.data, "catalog", overlay))
	if err != nil {
		f.Fatal(err)
	}
	quiet := func(string, ...any) {}
	for at := range good { // names and what stands around them
		if strings.HasPrefix(string(good[at:]), "letter") {
			f.Add(uint32(at), []byte("better"), uint32(0))
			f.Add(uint32(at)-20, []byte{0xff, 0xff, 0xff, 0xff}, uint32(0))
		}
	}
	f.Add(uint32(0), []byte(nil), uint32(0))
	f.Add(uint32(16), []byte{0xed, 0xda, 0x0c, 0xed}, uint32(0))
	f.Add(uint32(4096), []byte{1, 2, 3, 4, 5, 6, 7, 8}, uint32(5000))
	f.Add(uint32(8200), []byte{0xff, 0xff}, uint32(0))
	// The file is described by what is changed in a good one: at, to what, and
	// how much is cut off its end.
	f.Fuzz(func(t *testing.T, at uint32, change []byte, cut uint32) {
		b := append([]byte{}, good...)
		copy(b[int(at)%len(b):], change)
		b = b[:len(b)-int(cut)%len(b)]
		dir := filepath.Join(fastDir(t), "catalog")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, overlay), b, 0o600)); err != nil {
			t.Fatal(err)
		}
		c, err := catalog.Open(dir, vault, quiet)
		if err != nil {
			if !errors.Is(err, catalog.ErrDamaged) {
				t.Errorf("opening says %v", err)
			}
			return
		}
		marks, marksErr := c.Marks()
		devices, devicesErr := c.Devices()
		if bytes.Equal(b, good) && (len(marks) != 1 || len(devices) != 1) {
			t.Errorf("%d marks and %d devices, nothing was changed", len(marks), len(devices))
		}
		errs := []error{devicesErr, marksErr, c.Verify(t.Context())}
		for _, d := range devices {
			sources, err := c.Sources(d.Card.Device)
			errs = append(errs, err)
			for _, s := range sources {
				list, _, err := c.Page(d.Card.Device, s.ID, "")
				errs = append(errs, err)
				for _, e := range list {
					errs = append(errs, c.Entries(d.Card.Device, e.Directory, catalog.EndOf(1), func(catalog.Entry) error { return nil }))
				}
			}
		}
		for _, err := range append(errs, c.Close()) {
			if err != nil && !errors.Is(err, catalog.ErrDamaged) {
				t.Errorf("it says %v", err)
			}
		}
	})
}
