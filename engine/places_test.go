package engine

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNothingIsRestoredIntoHolmsOwnDirectories(t *testing.T) {
	s := newScene(t)
	s.put("src", map[string][]byte{"f": []byte("f")})
	s.backup(s.data)
	links := filepath.Join(s.dir, "links")
	if err := errors.Join(os.Mkdir(links, 0o700), os.Symlink(s.vault, filepath.Join(links, "v")),
		os.Symlink(filepath.Join(s.data, "spool"), filepath.Join(links, "spool")), os.Symlink(s.dir, filepath.Join(links, "up"))); err != nil {
		t.Fatal(err)
	}
	before := contents(t, s.vault)
	for _, to := range []string{s.vault, filepath.Join(s.vault, "keys"), filepath.Join(s.vault, "new", "deep"), s.data,
		filepath.Join(s.data, "spool"), filepath.Join(s.data, "new"), filepath.Join(links, "v"), filepath.Join(links, "v", "keys"),
		filepath.Join(links, "v", "new"), filepath.Join(links, "spool"), filepath.Join(links, "up", "data"), filepath.Join(links, "up", "vault", "new")} {
		for _, overwrite := range []bool{false, true} {
			r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: overwrite})
			if !errors.Is(err, ErrOwnPlace) || r.Files != 0 {
				t.Errorf("%s: %+v, %v", to, r, err)
			}
		}
	}
	if !maps.Equal(before, contents(t, s.vault)) {
		t.Error("the vault has changed")
	}
	for _, dir := range []string{filepath.Join(s.vault, "new"), filepath.Join(s.data, "new"), filepath.Join(s.data, "src"), filepath.Join(s.data, "f")} {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, to := range []string{s.vault + "~", s.data + "2", s.dir} { // not below, in spite of the name
		if _, err := s.restoreTo(RestoreOptions{To: to}); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	s.clean(s.data)
}

// Another device's files can have the names of this one's vault and data
// directory.
func TestOverwriteOfAllAroundThemSparesVaultAndDataDirectory(t *testing.T) {
	s := newScene(t)
	top := filepath.Base(s.dir)
	s.put("other/"+top, map[string][]byte{"vault/vault.json": []byte("{}"), "vault/keys/x": nil, "data/state.1": nil, "file": []byte("mine")})
	if err := os.Symlink(s.vault, filepath.Join(s.dir, "link")); err != nil {
		t.Fatal(err)
	}
	s.backup(s.data)
	before := contents(t, s.vault)
	s.with(s.data, func(e *Engine) {
		e.state.state.Vault = filepath.Join(s.dir, "link")
		r, err := e.Restore(t.Context(), RestoreOptions{To: filepath.Dir(s.dir), Overwrite: true})
		if err != nil || r.Files != 1 || len(r.Problems) != 2 || !strings.Contains(r.Problems[0].Err.Error(), "holm's own") {
			t.Errorf("%+v, %v", r, err)
		}
	})
	if !maps.Equal(before, contents(t, s.vault)) {
		t.Error("the vault has changed")
	}
	s.clean(s.data)
}

func TestVaultAndDataDirectoryLieBesideEachOther(t *testing.T) {
	s := newScene(t)
	link := filepath.Join(s.dir, "link")
	fresh := filepath.Join(s.dir, "fresh")
	if err := os.Symlink(s.vault, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		enter      string
		vault, dir string
	}{
		{"join", s.vault, s.vault}, {"join", s.vault, filepath.Join(s.vault, "d2")}, {"join", s.vault, filepath.Join(s.vault, "keys")},
		{"join", s.vault, filepath.Join(link, "a", "b")}, {"join", link, filepath.Join(s.vault, "d2")},
		{"init", fresh, fresh}, {"init", fresh, filepath.Join(fresh, "d2")}, {"init", filepath.Join(fresh, "vault"), fresh},
		{"init", filepath.Join(s.data, "vault"), s.data},
	} {
		o := s.options(c.dir)
		o.Vault = c.vault
		enter := Join
		if c.enter == "init" {
			enter = Init
		}
		if _, err := enter(t.Context(), o); !errors.Is(err, ErrOwnPlace) {
			t.Errorf("%s %s with %s: %v", c.enter, c.vault, c.dir, err)
		}
	}
	for _, dir := range []string{fresh, filepath.Join(s.vault, "d2"), filepath.Join(s.vault, "a"), filepath.Join(s.data, "vault")} {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was made: %v", dir, err)
		}
	}
	s.clean(s.data)
}
