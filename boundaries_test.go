package holm_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// crossing is what leaves the care of the language in a file of Go.
var crossing = regexp.MustCompile(`(?m)^\s*(import )?(\w+ )?"(unsafe|C|go\.etcd\.io/bbolt)"$|\b(RawSyscall|Syscall)\d*\(|\.Mmap\(|\bSetPanicOnFault\(|\b(NewLazy(System)?DLL|MustLoadDLL|LoadLibrary)\b|^//go:linkname `)

// bounds are the first columns of the tables of docs/boundaries.md, without
// quotes, with what the second one says.
func bounds(t *testing.T) (files []string, modules map[string]string) {
	t.Helper()
	page, err := os.ReadFile("docs/boundaries.md")
	if err != nil {
		t.Fatal(err)
	}
	own, linked, ok := strings.Cut(string(page), "## In what we link")
	if !ok {
		t.Fatal("docs/boundaries.md has no second table")
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(own, -1) {
		files = append(files, row[1])
	}
	modules = map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.\S+) \| ([a-z, ]+) \|`).FindAllStringSubmatch(linked, -1) {
		modules[row[1]] = row[2]
	}
	return files, modules
}

func TestEveryBoundaryOfOurCodeIsListed(t *testing.T) {
	files, _ := bounds(t)
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return err
		}
		if slices.Contains([]string{".s", ".S", ".c", ".h", ".syso", ".cc"}, path.Ext(name)) {
			t.Errorf("%s is no Go", name)
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil || !crossing.Match(text) {
			return err
		}
		listed := false
		for _, pattern := range files {
			if ok, err := path.Match(pattern, filepath.ToSlash(name)); err != nil {
				return err
			} else if ok {
				listed, used[pattern] = true, true
			}
		}
		if !listed {
			t.Errorf("%s crosses a boundary: %q; docs/boundaries.md lists it, with what keeps it safe and the test of that", name, crossing.Find(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range files {
		if !used[pattern] {
			t.Errorf("docs/boundaries.md lists %s, where nothing is crossed", pattern)
		}
	}
}

func TestEveryBoundaryOfWhatWeLinkIsListed(t *testing.T) {
	_, listed := bounds(t)
	found := map[string]string{}
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for _, p := range list(t, goos, "-deps", "./cmd/...") {
			if p.Module == nil || p.Module.Main {
				continue
			}
			if len(p.CgoFiles) > 0 {
				t.Errorf("%s: %s needs cgo", goos, p.ImportPath)
			}
			how := found[p.Module.Path]
			if len(p.SFiles) > 0 && !strings.Contains(how, "assembly") {
				how += " assembly"
			}
			if slices.Contains(p.Imports, "unsafe") && !strings.Contains(how, "unsafe") {
				how += " unsafe"
			}
			found[p.Module.Path] = how
		}
	}
	for module, how := range found {
		words := strings.Fields(how)
		slices.Sort(words)
		if want := strings.Join(words, ", "); want != listed[module] {
			t.Errorf("%s: %q, docs/boundaries.md says %q", module, want, listed[module])
		}
	}
	for module := range listed {
		if found[module] == "" {
			t.Errorf("docs/boundaries.md lists %s, which crosses nothing or is not linked", module)
		}
	}
}

// What gob writes is named by types of the program; nothing that a program of
// ours stores may depend on that.
func TestClientLinksNothingThatStoresNamesOfTypes(t *testing.T) {
	for _, p := range list(t, "linux", "-deps", "./cmd/holm") {
		if p.ImportPath == "encoding/gob" {
			t.Error("holm links encoding/gob")
		}
	}
}

// A page that says which test shows a thing must not say so of one that is
// gone.
func TestEveryTestThatAPageNamesIsThere(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range []string{"docs/boundaries.md", "docs/promises.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(text, -1) {
			if named++; !there[string(m[1])] {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("the pages name %d tests", named)
	}
}
