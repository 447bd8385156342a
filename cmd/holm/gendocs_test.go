package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// generate runs the build for documents and returns the files it wrote.
func generate(t *testing.T, program, dir string, args ...string) map[string]string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"gendocs", dir}, args...)...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("gendocs: %v\n%s", err, out)
	}
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDocumentsAreCompleteAndTheSameInEveryRun(t *testing.T) {
	program := filepath.Join(t.TempDir(), "holm-docs")
	build := exec.Command("go", "build", "-tags", "gendocs", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	files := generate(t, program, t.TempDir())
	want := []string{"man/holm.1", "completions/bash/holm", "completions/zsh/_holm", "completions/fish/holm.fish"}
	for _, cmd := range newRoot(newApp()).Commands() {
		if cmd.Name() != "help" {
			want = append(want, "man/holm-"+cmd.Name()+".1")
		}
	}
	for _, name := range want {
		if files[name] == "" {
			t.Errorf("%s is missing or empty", name)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, expected %d", len(files), len(want))
	}
	again := generate(t, program, t.TempDir(), "--date", "2023-11-14")
	for name, text := range files {
		if again[name] != text {
			t.Errorf("%s differs in a second run of the same date", name)
		}
		if strings.Contains(text, "Auto generated") || strings.Contains(text, filepath.Dir(program)) {
			t.Errorf("%s holds something of the generator or of this machine", name)
		}
		if strings.HasSuffix(name, ".1") && !strings.Contains(text, `"Nov 2023"`) {
			t.Errorf("%s does not carry the date that was given", name)
		}
		checkPage(t, name, text)
	}
}

// checkPage lets man complain about a page.
func checkPage(t *testing.T, name, text string) {
	if !strings.HasSuffix(name, ".1") {
		return
	}
	man, err := exec.LookPath("man")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("man is missing")
	} else if err != nil {
		return // the pages are checked where there is man
	}
	file := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Errorf("%s: man: %v\n%s", name, err, complaints.String())
	}
}
