package holm_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The limits of the house: a reader holds one function and one file in view.
const (
	maxFunctionLines = 80
	maxFileLines     = 600
)

// ourFiles are the Go files that git knows, or that it would.
func ourFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "*.go").Output()
	if err != nil {
		t.Fatalf("listing the files of the work tree: %v", err)
	}
	return strings.Fields(string(out))
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for _, p := range list(t, goos, "./...") {
			if len(p.GoFiles) > 0 && p.Doc == "" {
				t.Errorf("%s: %s has no package comment", goos, p.ImportPath)
			}
		}
	}
}

func TestFunctionsAndFilesStayReadable(t *testing.T) {
	for _, name := range ourFiles(t) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		if n := fset.Position(f.End()).Line; n > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", name, n, maxFileLines)
		}
		for _, d := range f.Decls {
			checkDecl(t, fset, name, d)
		}
	}
}

// checkDecl checks one top-level declaration against the style of the house.
func checkDecl(t *testing.T, fset *token.FileSet, name string, d ast.Decl) {
	fn, ok := d.(*ast.FuncDecl)
	if !ok {
		return
	}
	from, to := fset.Position(fn.Pos()), fset.Position(fn.End())
	if n := to.Line - from.Line + 1; n > maxFunctionLines {
		t.Errorf("%s: %s has %d lines, at most %d", from, fn.Name.Name, n, maxFunctionLines)
	}
	if fn.Name.Name == "init" && fn.Recv == nil {
		t.Errorf("%s: init functions hide what a program does", from)
	}
	if ast.IsExported(fn.Name.Name) && fn.Recv == nil && fn.Doc == nil && !strings.HasSuffix(name, "_test.go") {
		t.Errorf("%s: exported %s has no comment", from, fn.Name.Name)
	}
}

// unfinished are the words of work that was left for later.
var unfinished = regexp.MustCompile(`(?i)\b(todo|fixme|xxx)\b`)

func TestNoWordsOfUnfinishedWork(t *testing.T) {
	for _, name := range ourFiles(t) {
		if filepath.Base(name) == "house_test.go" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			if unfinished.MatchString(line) && !strings.Contains(line, "context.TODO") {
				t.Errorf("%s:%d: %s", name, i+1, strings.TrimSpace(line))
			}
		}
	}
}
