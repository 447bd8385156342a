package holm_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const module = "holm.example/"

// A listed package, as `go list -json` prints it.
type listed struct {
	ImportPath string
	Name       string
	Doc        string
	GoFiles    []string
	Dir        string
	Imports    []string
	Deps       []string
	SFiles     []string // assembly
	CgoFiles   []string
	Module     *struct {
		Path string
		Main bool
	}
}

// engineLevels are the arrows inside engine: a package may import packages of
// the levels below its own and no others of engine.
var engineLevels = [][]string{
	{"engine"},
	{"engine/control", "engine/share"},
	{"engine/backup", "engine/restore", "engine/upkeep"},
	{"engine/catalog", "engine/queue", "engine/source", "engine/move", "engine/selection", "engine/chunk"},
	{"engine/vault", "engine/table"},
	{"engine/seal", "engine/storage"},
}

// outside lists, for every other package of ours, what else of ours it may
// import. A trailing "/" stands for everything below.
var outside = map[string][]string{
	"keys":                 {"internal/"},
	"keys/signing":         {"keys", "internal/"},
	"packaging":            {"internal/"},
	"packaging/genproduct": {"packaging"},
	"repo":                 {"repo/", "keys", "internal/"},
	"repo/apt":             {"internal/"},
	"repo/yum":             {"internal/"},
	"repo/site":            {"internal/"},
	"acceptance/root":      {"internal/"},
	"acceptance/bench":     {"acceptance/root", "engine/vault"},
	"acceptance":           {"acceptance/root", "keys", "keys/", "packaging", "repo", "repo/", "internal/"},
}

// pure packages take bytes, readers and values: no files, no network.
var pure = []string{"engine/chunk", "engine/seal", "engine/vault", "repo/apt", "repo/yum"}

// list runs go list for one operating system.
func list(t *testing.T, goos string, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Doc,GoFiles,Dir,Imports,Deps,SFiles,CgoFiles,Module"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pkgs []listed
	dec := json.NewDecoder(out)
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list for %s: %v", goos, err)
	}
	return pkgs
}

func TestEveryArrowBetweenPackagesIsOneOfTheHouse(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for _, p := range list(t, goos, "./...") {
			name := strings.TrimPrefix(p.ImportPath, module)
			for _, imp := range p.Imports {
				if imp == strings.TrimSuffix(module, "/") || !strings.HasPrefix(imp, module) {
					continue
				}
				if to := strings.TrimPrefix(imp, module); !allowed(name, to) {
					t.Errorf("%s: %s must not import %s", goos, name, to)
				}
			}
		}
	}
}

// allowed reports whether the house lets package from import package to.
func allowed(from, to string) bool {
	if strings.HasPrefix(from, "cmd/") {
		return !strings.HasPrefix(to, "cmd/")
	}
	if strings.HasPrefix(from, "internal/") {
		return false
	}
	if from == "engine" || strings.HasPrefix(from, "engine/") {
		if strings.HasPrefix(to, "internal/") {
			return true
		}
		lf, lt := level(from), level(to)
		if from == "engine/storage/storagetest" {
			return to == "engine/storage"
		}
		return lf >= 0 && lt > lf
	}
	for _, ok := range outside[from] {
		if to == ok || strings.HasSuffix(ok, "/") && strings.HasPrefix(to, ok) {
			return true
		}
	}
	return false
}

// level is the place of a package in engineLevels, or -1.
func level(name string) int {
	for i, names := range engineLevels {
		for _, n := range names {
			if n == name {
				return i
			}
		}
	}
	return -1
}

func TestClientProgramLinksNoSigningNoPackagingNoRepo(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for _, p := range list(t, goos, "./cmd/holm") {
			for _, dep := range p.Deps {
				for _, never := range []string{"keys/signing", "packaging", "repo"} {
					if dep == module+never || strings.HasPrefix(dep, module+never+"/") {
						t.Errorf("%s: cmd/holm links %s", goos, dep)
					}
				}
				if strings.Contains(dep, "goreleaser/nfpm") {
					t.Errorf("%s: cmd/holm links %s", goos, dep)
				}
			}
		}
	}
}

func TestPurePackagesTouchNeitherFilesNorNetwork(t *testing.T) {
	args := make([]string, len(pure))
	for i, name := range pure {
		args[i] = "./" + name
	}
	for _, p := range list(t, "linux", args...) {
		for _, imp := range p.Imports {
			if imp == "os" || imp == "net" || strings.HasPrefix(imp, "net/") || imp == "syscall" || strings.HasPrefix(imp, "os/") {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestOnlyProgramsKnowTheCommandLine(t *testing.T) {
	for _, p := range list(t, "linux", "./...") {
		if strings.HasPrefix(p.ImportPath, module+"cmd/") {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "github.com/spf13/cobra") || imp == "flag" {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestEveryDirectDependencyHasItsLine(t *testing.T) {
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatalf("listing the modules: %v", err)
	}
	direct := strings.Fields(string(out))
	for _, path := range direct {
		if !strings.Contains(string(page), "\n| "+path+" | ") {
			t.Errorf("docs/dependencies.md does not say what %s is for", path)
		}
	}
	if rows := strings.Count(string(page), "\n| ") - 1; rows != len(direct) {
		t.Errorf("docs/dependencies.md has %d rows, go.mod %d direct dependencies", rows, len(direct))
	}
}
