package signing_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/keys/signing"
)

// secrets returns the secret keys in a folder by their path in it.
func secrets(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(name, ".key") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestALostListNeverCostsASecretKey(t *testing.T) {
	_, dir := smallStore(t)
	before := secrets(t, dir)
	if err := os.Remove(filepath.Join(dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(string) (*signing.Store, error){"opening": signing.OpenStore, "making": signing.CreateStore} {
		_, err := open(dir)
		if !errors.Is(err, signing.ErrStore) || errors.Is(err, signing.ErrNoStore) || !strings.Contains(err.Error(), "is lost") {
			t.Errorf("%s a store without its list: %v, want ErrStore", name, err)
		}
	}
	after := secrets(t, dir)
	for name, secret := range before {
		if after[name] != secret {
			t.Errorf("%s changed", name)
		}
	}
}

func TestAnOfflineKeyAloneIsALostListToo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.MkdirAll(filepath.Join(dir, "offline"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "offline", "stable-archive-3.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signing.CreateStore(dir); !errors.Is(err, signing.ErrStore) {
		t.Errorf("error %v, want ErrStore", err)
	}
}

func TestAKeyThatNoListNamesIsKeptAside(t *testing.T) {
	store, dir := smallStore(t)
	name := filepath.Join(dir, "stable-archive-4.key")
	for i, old := range []string{"first", "second"} {
		if err := os.WriteFile(name, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := signing.Generate(signing.Ed25519, signing.Spec{UserID: "x <x@holm.example>", Created: vectorBorn})
		if err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile(filepath.Join(dir, "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := store.Add(signing.Archive, "stable", signing.Standby, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Key(e, nil); err != nil {
			t.Error(err)
		}
		aside := store.SetAside()
		if len(aside) != i+1 {
			t.Fatalf("%q set aside, want %d files", aside, i+1)
		}
		if data, err := os.ReadFile(aside[i]); err != nil || string(data) != old {
			t.Errorf("%s holds %q, %v, want %q", aside[i], data, err, old)
		}
		// A run that was killed before it wrote the list: the next meets an
		// unlisted key again.
		if err := os.WriteFile(filepath.Join(dir, "keys.json"), list, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneProcessAtATimeChangesTheStore(t *testing.T) {
	store, dir := smallStore(t)
	before, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := signing.LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	spec := signing.SetSpec{Product: "holm", Email: "keys@holm.example", Channel: "stable", Created: vectorBorn}
	for name, change := range map[string]func() error{
		"set":     func() error { _, err := store.AddSet(spec); return err },
		"next":    func() error { _, err := store.AddNext(signing.Archive, spec); return err },
		"rotate":  func() error { _, _, err := store.Rotate(signing.Archive, "stable"); return err },
		"standby": func() error { _, err := store.Standby(signing.Archive, "stable", 3, nil); return err },
		"revoke":  func() error { _, err := store.Revoke(signing.Archive, "stable", 3); return err },
	} {
		if err := change(); !errors.Is(err, signing.ErrLocked) {
			t.Errorf("%s: %v, want ErrLocked", name, err)
		}
	}
	if _, err := signing.OpenStore(dir); err != nil {
		t.Errorf("reading needs no lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the list changed: %v", err)
	}
	if _, _, err := store.Rotate(signing.Archive, "stable"); err != nil {
		t.Error(err)
	}
}

func TestAChangeBuildsOnWhatAnotherProcessChanged(t *testing.T) {
	store, dir := smallStore(t)
	other, err := signing.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	fourth := addKey(t, other, signing.Archive, signing.Standby, nil)
	fifth := addKey(t, store, signing.Archive, signing.Standby, nil)
	if fourth.Number != 4 || fifth.Number != 5 {
		t.Errorf("numbers %d and %d, want 4 and 5", fourth.Number, fifth.Number)
	}
	if _, err := store.Key(fourth, nil); err != nil {
		t.Error(err)
	}
}

func TestWhatAKilledProcessLeftHalfWrittenIsRemoved(t *testing.T) {
	store, dir := smallStore(t)
	var left []string
	for _, folder := range []string{".", "public", "offline"} {
		name := filepath.Join(dir, folder, ".holm-0123456789abcdef.tmp")
		if err := os.WriteFile(name, []byte("half a secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		left = append(left, name)
	}
	if _, _, err := store.Rotate(signing.Archive, "stable"); err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}
