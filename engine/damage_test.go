package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

// damages are ways in which an object can go bad.
func damages(good, other []byte) map[string][]byte {
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 0x10
		return b
	}
	return map[string][]byte{"first byte": flip(0), "middle byte": flip(len(good) / 2), "last byte": flip(len(good) - 1),
		"cut": good[:len(good)/2], "empty": {}, "swapped": other, "missing": nil}
}

func TestCheckNamesEveryDamagedObject(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.limit, s.ahead = 20_000, 1<<42
	s.write("a", noise(1, 50_000))
	s.backup(s.data)
	s.write("b", noise(2, 50_000))
	s.backup(s.data)
	s.clean(s.data)
	names := store.Names()
	for i, name := range names {
		good, err := store.Get(t.Context(), name, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		other, err := store.Get(t.Context(), names[(i+1)%len(names)], 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "vault") {
			other = []byte("{}") // the other copy is the same
		}
		for how, bad := range damages(good, other) {
			if how == "missing" && strings.HasPrefix(name, vault.KeysCopyPrefix) {
				continue // as in the vaults of earlier versions
			}
			store.Replace(name, bad)
			expectNamed(t, s, name, how)
		}
		store.Replace(name, good)
	}
	s.clean(s.data)
}

// expectNamed expects that opening or checking names the damaged object.
func expectNamed(t *testing.T, s *scene, name, how string) {
	t.Helper()
	e, err := s.open(s.data)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s, %s: opening says %v", name, how, err)
		}
		return
	}
	r, err := e.Check(context.Background(), CheckOptions{ReadData: true})
	if err = errors.Join(err, e.Close()); err != nil {
		t.Errorf("%s, %s: %v", name, how, err)
	}
	text := ""
	for _, p := range r.Problems {
		if !errors.Is(p.Err, ErrDamaged) && !errors.Is(p.Err, ErrNewer) {
			t.Errorf("%s, %s: %v is no damage", name, how, p.Err)
		}
		text += p.Path + ": " + p.Err.Error() + "\n"
	}
	if !strings.Contains(text, name) {
		t.Errorf("%s, %s: check finds %q", name, how, text)
	}
}

func TestDamagedPackCostsOnlyItsFiles(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.ahead = 1 << 42
	s.write("a", noise(1, 50_000))
	s.backup(s.data)
	s.write("b", noise(2, 50_000))
	want := image(t, s.src)
	s.backup(s.data)
	var pack string
	for _, name := range store.Names() {
		if strings.HasPrefix(name, vault.PacksPrefix) {
			pack = name
			break
		}
	}
	store.Replace(pack, flipped(t, store, pack))
	to := filepath.Join(s.dir, "to")
	s.with(s.data, func(e *Engine) {
		r, err := e.Restore(t.Context(), RestoreOptions{To: to})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(fmt.Sprint(err), pack) || len(r.Problems) != 1 || r.Files != 1 {
			t.Errorf("report %+v, %v", r, err)
		}
	})
	got := image(t, filepath.Join(to, "src"))
	if got["b"] != want["b"] || got["a"] != "" {
		t.Errorf("b is %q; a, which is damaged, is %q", got["b"], got["a"])
	}
}

func TestLostSegmentsOfOurOwnAreNoticed(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.write("a", noise(1, 500))
	s.backup(s.data)
	before := store.Clone()
	s.write("b", noise(2, 500))
	s.backup(s.data)
	back := s.on(t, before) // the store was set back to an earlier state
	problems := back.check(s.data, false)
	if len(problems) == 0 {
		t.Error("check finds nothing")
	}
}

func TestMissingVaultAndOtherVaultAreSaid(t *testing.T) {
	s := newScene(t)
	other := newScene(t)
	moved := OpenOptions{DataDir: s.data, Vault: other.vault}
	if _, err := Open(t.Context(), moved); !errors.Is(err, ErrOtherVault) || errors.Is(err, ErrDamaged) {
		t.Errorf("another vault: %v", err)
	}
	// Both copies are exchanged, but the keys know better.
	for _, name := range []string{vault.ConfigName, vault.ConfigCopyName} {
		b, err := os.ReadFile(filepath.Join(other.vault, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.vault, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.open(s.data); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrOtherVault) || !strings.Contains(err.Error(), vault.ConfigName) {
		t.Errorf("exchanged copies: %v", err)
	}
	moved.Vault = t.TempDir()
	if _, err := Open(t.Context(), moved); !errors.Is(err, ErrUnreachable) {
		t.Errorf("empty directory: %v", err)
	}
	moved.Vault = filepath.Join(moved.Vault, "missing")
	if _, err := Open(t.Context(), moved); !errors.Is(err, ErrUnreachable) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := Init(t.Context(), s.options(filepath.Join(s.dir, "second"))); !errors.Is(err, ErrVaultExists) {
		t.Errorf("second init: %v", err)
	}
	if _, err := Init(t.Context(), s.options(s.data)); !errors.Is(err, ErrJoined) {
		t.Errorf("data directory in use: %v", err)
	}
}
