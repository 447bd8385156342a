package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/windows"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// marked gives a file of the source file attributes.
func (s *scene) marked(name string, attributes uint32) {
	s.t.Helper()
	p, err := windows.UTF16PtrFromString(filepath.Join(s.src, name))
	if err == nil {
		err = windows.SetFileAttributes(p, attributes)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// seen is what this test itself sees of a tree: by name, attributes, security
// descriptor, names and time.
func seen(t *testing.T, root string) map[string][4]any {
	t.Helper()
	all := map[string][4]any{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		var info windows.ByHandleFileInformation
		err = windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info)
		rel, _ := filepath.Rel(root, path)
		all[rel] = [4]any{info.FileAttributes, sd.String(), info.NumberOfLinks, info.LastWriteTime}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatWindowsKeepsOfFilesComesBack(t *testing.T) {
	s := newScene(t)
	for i, name := range []string{"plain", "hidden", "readonly", "d/system", "d/all"} {
		s.write(name, noise(uint64(i), 3000))
	}
	if err := errors.Join(os.Link(filepath.Join(s.src, "plain"), filepath.Join(s.src, "d", "linked")), os.Mkdir(filepath.Join(s.src, "secret"), 0o700)); err != nil {
		t.Fatal(err)
	}
	s.marked("hidden", windows.FILE_ATTRIBUTE_HIDDEN)
	s.marked("readonly", windows.FILE_ATTRIBUTE_READONLY)
	s.marked(`d\system`, windows.FILE_ATTRIBUTE_SYSTEM|windows.FILE_ATTRIBUTE_HIDDEN)
	s.marked(`d\all`, windows.FILE_ATTRIBUTE_SYSTEM|windows.FILE_ATTRIBUTE_HIDDEN|windows.FILE_ATTRIBUTE_READONLY)
	s.marked("secret", windows.FILE_ATTRIBUTE_HIDDEN)
	defer s.marked("readonly", windows.FILE_ATTRIBUTE_NORMAL)
	s.backup(s.data)
	s.ahead = 1 << 42
	s.backup(s.data)
	if r := s.backup(s.data); r.Changed != 0 {
		t.Errorf("%d entries look changed", r.Changed)
	}
	want := seen(t, s.src)
	to := filepath.Join(s.dir, "to")
	for _, overwrite := range []bool{false, true} {
		r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: overwrite})
		if err != nil || len(r.Problems) > 0 {
			t.Fatalf("problems %v, %v", r.Problems, err)
		}
		got := seen(t, filepath.Join(to, "src"))
		for name, w := range want {
			if got[name] != w {
				t.Errorf("%s came back as %v, want %v", name, got[name], w)
			}
		}
	}
}

func TestNamesThatWindowsCannotHoldAreChangedAndTold(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("content"))
	s.backup(s.data)
	names := map[string]string{"CON": "_CON_", "nul.txt": "_nul.txt_", "dot.": "_dot_", "blank ": "_blank_", "a:b": "a_b", "what?": "what_", "back\\slash": "back_slash",
		"caf\xe9": "caf\uFFFD", "FILE": "FILE~2", "bell\x07": "bell_"}
	s.with(s.data, func(e *Engine) {
		device := e.state.Head().Device
		sources, err := e.catalog.Sources(device)
		if err != nil {
			t.Fatal(err)
		}
		top, _, err := e.catalog.Page(device, sources[0].ID, "")
		if err != nil {
			t.Fatal(err)
		}
		var file catalog.Entry
		if list, _, err := e.catalog.Page(device, top[0].Directory, ""); err != nil || len(list) != 1 {
			t.Fatal(list, err)
		} else {
			file = list[0]
		}
		var all []vault.Operation
		for name := range names {
			all = append(all, &vault.Put{EntryName: vault.EntryName{Parent: top[0].Directory, Name: name}, Node: file.Node})
		}
		s.commit(e, append(all, &vault.Mark{ID: seal.ID{9}, Time: vault.TimeOf(e.now()), Sources: []seal.ID{sources[0].ID}})...)
	})
	to := filepath.Join(s.dir, "to")
	r, err := s.restoreTo(RestoreOptions{To: to})
	if err != nil || int(r.Renamed) != len(names) || len(r.Problems) != len(names) {
		t.Errorf("%d renamed, problems %v, %v", r.Renamed, r.Problems, err)
	}
	got := contents(t, filepath.Join(to, "src"))
	taken := 0
	for _, want := range names {
		if got[want] == "content" {
			taken++
		}
	}
	// Of "FILE" and "file" either can be the first.
	if len(got) != len(names)+1 || taken < len(names)-1 {
		t.Errorf("restored %v", got)
	}
}
