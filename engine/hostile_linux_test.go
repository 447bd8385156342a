package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// hostile are entries that a writer of ill will can commit: well-formed, and
// nothing that a file system ever had.
func hostile(top seal.ID) (all []vault.Operation) {
	put := func(parent seal.ID, name string, n vault.Node) {
		n.Meta.Mode = 0o644
		all = append(all, &vault.Put{EntryName: vault.EntryName{Parent: parent, Name: name}, Node: n})
	}
	sparse := vault.Meta{Attributes: []vault.Attribute{{Name: source.AttributeSparse}}}
	put(top, "declares an exbibyte", vault.Node{Kind: vault.KindFile, SizeBytes: 1 << 60})
	put(top, "declares a hole of an exbibyte", vault.Node{Kind: vault.KindFile, SizeBytes: 1 << 60, Meta: sparse})
	put(top, "declares everything", vault.Node{Kind: vault.KindFile, SizeBytes: 1<<64 - 1, Chunks: vault.Chunks{Level: 3, IDs: []seal.Hash{{1}}}})
	put(top, "has a chunk that nobody has", vault.Node{Kind: vault.KindFile, SizeBytes: 5, Chunks: vault.Chunks{IDs: []seal.Hash{{2}}}})
	put(top, strings.Repeat("n", vault.MaxName), vault.Node{Kind: vault.KindFile})
	put(top, "C:\\windows", vault.Node{Kind: vault.KindFile})
	put(top, "long link", vault.Node{Kind: vault.KindSymlink, Target: strings.Repeat("../", 20_000)})
	put(top, "link without a target", vault.Node{Kind: vault.KindSymlink})
	put(top, "link out", vault.Node{Kind: vault.KindSymlink, Target: "../../../outside"})
	put(top, "empty", vault.Node{Kind: vault.KindFile})
	many := vault.Node{Kind: vault.KindFile}
	for i := range 15 {
		many.Meta.Attributes = append(many.Meta.Attributes, vault.Attribute{Name: fmt.Sprintf("user.%02d", i), Value: strings.Repeat("v", vault.MaxText)})
	}
	put(top, "attributes", many)
	parent := top
	for i := range 3000 {
		dir := seal.ID{0xdd, byte(i), byte(i >> 8)}
		put(parent, "deeper", vault.Node{Kind: vault.KindDirectory, Directory: dir})
		parent = dir
	}
	put(parent, "bottom", vault.Node{Kind: vault.KindSymlink, Target: "reached"})
	return all
}

func TestHostileTreeEndsInsideTheTargetAndCostsNothingElse(t *testing.T) {
	s := newScene(t)
	s.write("file", []byte("of good will"))
	s.backup(s.data)
	s.with(s.data, func(e *Engine) {
		sources, err := e.catalog.Sources(e.state.Head().Device)
		if err != nil {
			t.Fatal(err)
		}
		top, _, err := e.catalog.Page(e.state.Head().Device, sources[0].ID, "")
		if err != nil {
			t.Fatal(err)
		}
		mark := &vault.Mark{ID: seal.ID{9}, Time: vault.TimeOf(e.now()), Sources: []seal.ID{sources[0].ID}}
		s.commit(e, append(hostile(top[0].Directory), mark)...)
	})
	to := filepath.Join(s.dir, "in", "to")
	for round := range 2 {
		r, err := s.restoreTo(RestoreOptions{To: to, Overwrite: round > 0})
		if err == nil || len(r.Problems) < 6 || !r.Complete {
			t.Errorf("problems %d, complete %v, %v, want damage of four files", len(r.Problems), r.Complete, err)
		}
	}
	for name, there := range map[string]bool{"file": true, "empty": true, "declares an exbibyte": false, "declares a hole of an exbibyte": false,
		"declares everything": false, "has a chunk that nobody has": false, "link out": true, strings.Repeat("n", 120): true} {
		if _, err := os.Lstat(filepath.Join(to, "src", name)); (err == nil) != there {
			t.Errorf("%.30s: %v, want it there: %v", name, err, there)
		}
	}
	if _, err := os.Lstat(filepath.Join(s.dir, "in", "outside")); !os.IsNotExist(err) {
		t.Error("something was made outside")
	}
	if entries, err := os.ReadDir(filepath.Join(s.dir, "in")); err != nil || len(entries) != 1 {
		t.Errorf("%v beside the target, %v", entries, err)
	}
	depth := deepest(t, filepath.Join(to, "src"))
	if depth != 3000 {
		t.Errorf("%d directories lie in each other, want 3,000", depth)
	}
}

// deepest counts the directories "deeper" that lie in each other, step by
// step: no system call takes a path of that length.
func deepest(t *testing.T, dir string) (n int) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	for err == nil {
		var next *os.Root
		next, err = root.OpenRoot("deeper")
		if err == nil {
			n++
		} else if _, lerr := root.Lstat("bottom"); lerr != nil {
			t.Errorf("at the bottom: %v", lerr)
		}
		_ = root.Close()
		root = next
	}
	return n
}
