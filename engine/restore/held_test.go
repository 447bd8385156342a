package restore

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// heavy is an entry with an attribute of the largest size; many share it.
func heavy(kind vault.EntryKind) catalog.Entry {
	attributes := []vault.Attribute{{Name: "holm.test", Value: strings.Repeat("x", vault.MaxText)}}
	return catalog.Entry{Name: "x", Node: vault.Node{Kind: kind, Meta: vault.Meta{Mode: 0o700, Attributes: attributes}}}
}

func runInto(t *testing.T) *run {
	t.Helper()
	tree, err := source.OpenTree(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	r := &run{ctx: t.Context(), tree: tree, report: &Report{}}
	r.plan.run, r.links.run = r, r
	return r
}

// A list ends with the entry that makes it full.
const mostHeld = maxHeld + vault.MaxText

func TestDirectoriesThatAreLeftAreHeldByTheirBytes(t *testing.T) {
	r := runInto(t)
	for i := range 1000 {
		path := fmt.Sprint(i)
		if err := r.tree.Mkdir(path); err != nil {
			t.Fatal(err)
		}
		if err := r.plan.leave(leaving{path, path, heavy(vault.KindDirectory)}); err != nil {
			t.Fatal(err)
		}
		if bytes := len(r.plan.left) * vault.MaxText; bytes > mostHeld {
			t.Fatalf("%d directories with %d bytes of attributes are held", len(r.plan.left), bytes)
		}
	}
	if r.report.ProblemCount > 0 {
		t.Errorf("problems %v", r.report.Problems)
	}
}

func TestNamesThatWaitForTheirFileAreHeldByTheirBytes(t *testing.T) {
	r := runInto(t)
	entry := heavy(vault.KindFile)
	entry.Meta.LinkGroup = seal.ID{1}
	r.links.planned = map[seal.ID]struct{}{fileOf(&entry): {}}
	for i := range 1000 {
		if err := r.file(goal{path: fmt.Sprint(i), entry: entry}); err != nil {
			t.Fatal(err)
		}
		if bytes := len(r.links.waiting) * vault.MaxText; bytes > mostHeld {
			t.Fatalf("%d names with %d bytes of attributes wait", len(r.links.waiting), bytes)
		}
	}
	if err := r.plan.flush(); err != nil || r.report.ProblemCount > 0 || r.report.Files != 1000 {
		t.Errorf("%d files, problems %v, %v", r.report.Files, r.report.Problems, err)
	}
	if err := r.links.end(); err != nil {
		t.Error(err)
	}
}

func TestWhatAnEntryTakesIsCountedWhole(t *testing.T) {
	var e catalog.Entry
	if size, counted := int(reflect.TypeFor[file]().Size()), held(&e); size > counted || 2*size < counted {
		t.Errorf("an empty entry counts as %d bytes, and is %d", counted, size)
	}
	e.Chunks.IDs = make([]seal.Hash, 1000)
	if n := held(&e, strings.Repeat("p", 4000)); n < 36_000 {
		t.Errorf("1000 ids and a long path count as %d bytes", n)
	}
}
