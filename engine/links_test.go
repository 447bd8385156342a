package engine

import (
	"os"
	"path/filepath"
	"testing"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// sourceOf is the one source that an engine's device has, its directory, and what
// is in that.
func (s *scene) sourceOf(e *Engine) (source, dir seal.ID, list []catalog.Entry) {
	s.t.Helper()
	device := e.state.Head().Device
	sources, err := e.catalog.Sources(device)
	if err != nil {
		s.t.Fatal(err)
	}
	top, _, err := e.catalog.Page(device, sources[0].ID, "")
	if err != nil {
		s.t.Fatal(err)
	}
	list, _, err = e.catalog.Page(device, top[0].Directory, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return sources[0].ID, top[0].Directory, list
}

// grouped commits the files of the source with one link group and one set of
// metadata, but for what change does.
func (s *scene) grouped(change func(*catalog.Entry)) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) {
		source, dir, list := s.sourceOf(e)
		var all []vault.Operation
		for _, file := range list {
			file.Meta = list[0].Meta
			file.Meta.LinkGroup = seal.ID{3}
			change(&file)
			all = append(all, &vault.Put{EntryName: vault.EntryName{Parent: dir, Name: file.Name}, Node: file.Node})
		}
		s.commit(e, append(all, &vault.Mark{ID: seal.ID{9}, Time: vault.TimeOf(e.now()), Sources: []seal.ID{source}})...)
	})
}

// The number of a device becomes that of another one at a reboot, and an inode
// is used again: then files have a link group in common and nothing else.
func TestDifferentFilesOfOneLinkGroupAreRestoredApartAndTheSameOneIsLinked(t *testing.T) {
	s := newScene(t)
	big := noise(3, 6000) // of many chunks
	want := map[string]string{"a": "mine", "b": "hers", "c": "mine", "d": "mine and longer", "e": "", "f": "mine", "g": string(big), "h": string(big), "i": ""}
	for name, content := range want {
		s.write(name, []byte(content))
	}
	s.backup(s.data)
	s.grouped(func(e *catalog.Entry) {
		if e.Name == "f" {
			e.Meta.ModTime.Seconds++ // written by another at another time
		}
	})
	same := map[string]string{"a": "c", "e": "i", "g": "h"}
	to := filepath.Join(s.dir, "to")
	for range 2 { // the second replaces what the first made
		if r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: true}); err != nil || len(r.Problems) > 0 {
			t.Fatalf("problems %v, %v", r.Problems, err)
		}
		sameTrees(t, want, contents(t, filepath.Join(to, "src")))
		stat := func(name string) os.FileInfo {
			t.Helper()
			info, err := os.Lstat(filepath.Join(to, "src", name))
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
		for one := range want {
			for other := range want {
				linked := one == other || same[one] == other || same[other] == one
				if os.SameFile(stat(one), stat(other)) != linked {
					t.Errorf("%s and %s: one file is %v, want %v", one, other, !linked, linked)
				}
			}
		}
	}
}
