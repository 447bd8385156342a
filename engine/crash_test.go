package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// on makes a scene like s whose store is another one.
func (s *scene) on(t *testing.T, store storage.Store) *scene {
	c := *s
	c.t, c.wrap = t, func(storage.Store) storage.Store { return store }
	return &c
}

// cloneData copies the data directory, as a machine that is set back would
// have it.
func (s *scene) cloneData(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(s.data)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestKilledAtAnyWriteNothingIsLostAndNothingNeedsRepair(t *testing.T) {
	start := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return start })
	s.limit, s.ahead = 20_000, 1<<40 // several transactions; nothing counts as touched just now
	s.write("old/one", noise(1, 30_000))
	s.write("old/two", noise(2, 10))
	first := image(t, s.src)
	snapshot := s.backup(s.data).Snapshot
	s.write("new/one", noise(3, 30_000))
	s.write("old/two", noise(4, 25_000))
	if err := os.Remove(filepath.Join(s.src, "old/one")); err != nil {
		t.Fatal(err)
	}
	second := image(t, s.src)
	storagetest.Crashes(t, start, func(t *testing.T, store storage.Store) func(*testing.T, storagetest.Crash, *storagetest.Memory) {
		data := s.cloneData(t)
		run := s.on(t, store)
		if e, err := run.open(data); err == nil {
			_, err = e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}})
			if closeErr := e.Close(); closeErr != nil {
				t.Fatal(closeErr)
			}
			if err != nil && !errors.Is(err, storagetest.ErrGone) && !errors.Is(err, storagetest.ErrFault) {
				t.Fatalf("killed run says %v", err)
			}
		}
		return func(t *testing.T, c storagetest.Crash, left *storagetest.Memory) {
			after := s.on(t, left)
			sameTrees(t, first, image(t, after.restore(data, snapshot)))
			after.backup(data)
			sameTrees(t, second, image(t, after.restore(data, "latest")))
			sameTrees(t, first, image(t, after.restore(data, snapshot)))
			after.clean(data)
			after.with(data, func(e *Engine) {
				if devices, err := e.vault.Journals(t.Context()); err != nil || len(devices) != 1 {
					t.Errorf("%d devices, %v: a killed run was taken for a clone", len(devices), err)
				}
			})
		}
	})
}

func TestFinishedPacksOfAKilledRunAreAdopted(t *testing.T) {
	for _, parity := range []bool{true, false} {
		t.Run(fmt.Sprint("parity ", parity), func(t *testing.T) { adopted(t, parity) })
	}
}

func adopted(t *testing.T, parity bool) {
	start := &storagetest.Memory{}
	s := newSceneOf(t, func(storage.Store) storage.Store { return start }, parity)
	s.write("file", noise(1, 50_000))
	want := image(t, s.src)
	broken := true
	plan := func(op storagetest.Operation) storagetest.Fault {
		if broken && op.Verb == storagetest.Put && strings.Contains(op.Name, "/journal/") {
			return storagetest.Before
		}
		return storagetest.None
	}
	s = s.on(t, storagetest.NewFaulty(start, plan))
	s.with(s.data, func(e *Engine) {
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}}); !errors.Is(err, storagetest.ErrFault) {
			t.Fatalf("got %v", err)
		}
	})
	broken = false
	if r := s.backup(s.data); r.NewBytes != 0 {
		t.Errorf("%d bytes were stored again", r.NewBytes)
	}
	sameTrees(t, want, image(t, s.restore(s.data, "")))
	s.with(s.data, func(e *Engine) {
		r, err := e.Check(t.Context(), CheckOptions{ReadData: true})
		if err != nil || len(r.Problems) > 0 || r.DeadPacks != 0 || r.Packs != 1 {
			t.Errorf("check: %+v, %v", r, err)
		}
	})
}

func TestCommitThatWasReportedAsFailedIsACommit(t *testing.T) {
	start := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return start })
	s.write("file", noise(1, 5000))
	s = s.on(t, storagetest.NewFaulty(start, func(op storagetest.Operation) storagetest.Fault {
		if op.Verb == storagetest.Put && strings.Contains(op.Name, "/journal/") {
			return storagetest.After
		}
		return storagetest.None
	}))
	if r := s.backup(s.data); r.Snapshot == "" || r.Segments != 1 {
		t.Fatalf("report %+v", r)
	}
	s.clean(s.data)
}

func TestFullDiskEndsTheRunAndTheNextOneGoesOn(t *testing.T) {
	start := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return start })
	s.limit = 10_000
	s.write("a", noise(1, 60_000))
	want := image(t, s.src)
	puts, full := 0, true
	s = s.on(t, storagetest.NewFaulty(start, func(op storagetest.Operation) storagetest.Fault {
		if op.Verb == storagetest.Put {
			if puts++; full && puts > 6 {
				return storagetest.NoSpace
			}
		}
		return storagetest.None
	}))
	s.with(s.data, func(e *Engine) {
		if _, err := e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
	})
	full = false
	if r := s.backup(s.data); r.NewBytes == 0 || r.NewBytes >= 60_000 {
		t.Errorf("second run stored %d bytes: it should go on, not begin again", r.NewBytes)
	}
	sameTrees(t, want, image(t, s.restore(s.data, "")))
	s.clean(s.data)
}

func TestClonedDeviceBecomesANewOneAndReadsNothingAgain(t *testing.T) {
	s := newScene(t)
	s.ahead = 1 << 42
	s.write("dir/file", noise(1, 40_000))
	first := s.backup(s.data)
	clone := s.cloneData(t)
	s.write("dir/other", noise(2, 1000))
	s.backup(s.data)
	want := image(t, s.src)
	r := s.backup(clone)
	if r.ReadBytes != 1000 || r.NewBytes != 0 {
		t.Errorf("the clone read %d bytes and stored %d, want 1000 and 0", r.ReadBytes, r.NewBytes)
	}
	sameTrees(t, want, image(t, s.restore(clone, "")))
	s.with(clone, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if err != nil || len(list) != 3 || list[0].ID != first.Snapshot || list[0].DeviceID == list[2].DeviceID {
			t.Errorf("snapshots %+v, %v", list, err)
		}
	})
	s.backup(s.data)
	s.backup(clone)
	s.clean(s.data)
	s.clean(clone)
}

func TestTwoDevicesBackUpAtOnce(t *testing.T) {
	s := newScene(t)
	other := filepath.Join(s.dir, "other")
	if _, err := Join(t.Context(), s.options(other)); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.write(filepath.Join("d", string(rune('a'+i))), noise(uint64(i), 5000))
	}
	s.limit = 10_000
	done := make(chan error)
	for _, data := range []string{s.data, other} {
		go func() {
			e, err := s.open(data)
			if err == nil {
				_, err = e.Backup(t.Context(), BackupOptions{Paths: []string{s.src}})
				err = errors.Join(err, e.Close())
			}
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	want := image(t, s.src)
	for _, data := range []string{s.data, other} {
		sameTrees(t, want, image(t, s.restore(data, "")))
		s.clean(data)
	}
}

func TestSecondEngineIsToldWhoRuns(t *testing.T) {
	s := newScene(t)
	s.with(s.data, func(*Engine) {
		_, err := s.open(s.data)
		if !errors.Is(err, ErrAlreadyRunning) || !strings.Contains(err.Error(), "process ") || !strings.Contains(err.Error(), " since ") {
			t.Errorf("got %v", err)
		}
		// One that has just begun has not said yet who it is.
		if err := os.Truncate(filepath.Join(s.data, "lock"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.open(s.data); !errors.Is(err, ErrAlreadyRunning) || !strings.HasSuffix(err.Error(), "already running: it has just begun") {
			t.Errorf("got %q", err)
		}
	})
	s.with(s.data, func(*Engine) {}) // free again
}

func TestDerivedFilesCanBeLostOrDamaged(t *testing.T) {
	s := newScene(t)
	s.ahead = 1 << 42
	s.write("file", noise(1, 40_000))
	want := image(t, s.src)
	s.backup(s.data)
	catalog := filepath.Join(s.data, "catalog", "overlay.db")
	for name, damage := range map[string]func() error{
		"missing":   func() error { return os.Remove(catalog) },
		"empty":     func() error { return os.Truncate(catalog, 0) },
		"truncated": func() error { return os.Truncate(catalog, 10_000) },
		"garbage":   func() error { return os.WriteFile(catalog, noise(9, 100_000), 0o600) },
		"no spool":  func() error { return os.RemoveAll(filepath.Join(s.data, "spool")) },
		"one state": func() error { return os.WriteFile(filepath.Join(s.data, "state.1"), []byte("holm"), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if r := s.backup(s.data); r.ReadBytes != 0 || r.NewBytes != 0 {
			t.Errorf("%s: read %d bytes again", name, r.ReadBytes)
		}
		sameTrees(t, want, image(t, s.restore(s.data, "")))
	}
	for _, f := range []string{"state.1", "state.2"} { // as a bad block would have it
		path := filepath.Join(s.data, f)
		if err := errors.Join(os.Rename(path, path+".away"), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		sameTrees(t, want, image(t, s.restore(s.data, "")))
		if err := errors.Join(os.Remove(path), os.Rename(path+".away", path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"state.1", "state.2"} {
		if err := os.Truncate(filepath.Join(s.data, f), 20); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.open(s.data); !errors.Is(err, ErrState) {
		t.Errorf("both states damaged: %v", err)
	}
}
