package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A build is the program for another processor, and how it is run here.
type build struct {
	arch     string
	emulator string // of the package qemu-user; empty: this processor runs it
	why      string // it is worth a test
}

func builds() []build {
	list := []build{
		{"386", "qemu-i386", "int has 32 bits"},
		{"arm64", "qemu-aarch64", "other assembly"},
		{"s390x", "qemu-s390x", "big-endian"},
	}
	if runtime.GOARCH == "amd64" {
		list[0].emulator = ""
	}
	return list
}

// compile builds the program for another processor.
func (b build) compile(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "holm-"+b.arch)
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Env = append(os.Environ(), "GOARCH="+b.arch, "GOOS=linux", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building for %s: %v\n%s", b.arch, err, out)
	}
	return program
}

// An exchange is a vault that several builds use, each with its own data
// directory.
type exchange struct {
	t           *testing.T
	dir         string
	passphrases []string // environment
}

// run runs a build of the program, which is to succeed.
func (x *exchange) run(program []string, args ...string) string {
	x.t.Helper()
	cmd := exec.Command(program[0], append(program[1:len(program):len(program)], args...)...)
	cmd.Env = append(os.Environ(), x.passphrases...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		x.t.Fatalf("%s %s: %v\n%s", strings.Join(program, " "), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// restored is the image of a snapshot as a build restores it.
func (x *exchange) restored(program []string, data, at string) map[string]string {
	x.t.Helper()
	to, err := os.MkdirTemp(x.dir, "to-")
	if err != nil {
		x.t.Fatal(err)
	}
	x.run(program, "restore", "--data-dir", data, "--at", at, "--to", to, "--overwrite")
	entries, err := os.ReadDir(to)
	if err != nil || len(entries) != 1 {
		x.t.Fatalf("%d sources are restored, %v", len(entries), err)
	}
	return treeImage(x.t, filepath.Join(to, entries[0].Name()))
}

// snapshots are the ids of all snapshots, the oldest first.
func (x *exchange) snapshots(program []string, data string) (ids []string) {
	x.t.Helper()
	for line := range strings.Lines(x.run(program, "snapshots", "--data-dir", data, "--json")) {
		var s struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			x.t.Fatalf("%q: %v", line, err)
		}
		ids = append(ids, s.ID)
	}
	return ids
}

// newest is the newest snapshot of all devices; "latest" would be the
// device's own.
func (x *exchange) newest(program []string, data string) string {
	x.t.Helper()
	ids := x.snapshots(program, data)
	return ids[len(ids)-1]
}

// put writes a file with a time of whole seconds: the emulator of s390x shows
// no others.
func (x *exchange) put(tree, name string, seed uint64, size int) {
	x.t.Helper()
	l := &life{tree: tree}
	l.write(x.t, name, seed, size)
	if err := os.Chtimes(filepath.Join(tree, name), time.Time{}, time.Unix(1_700_000_000+int64(seed), 0)); err != nil {
		x.t.Fatal(err)
	}
}

// TestEveryBuildReadsWhatAnotherWrote lets builds for other processors join
// the golden vault, which amd64 has written, check and restore it, and back up
// into it, and this build reads that back.
func TestEveryBuildReadsWhatAnotherWrote(t *testing.T) {
	need(t, "go")
	native := []string{"holm"}
	for _, b := range builds() {
		t.Run(b.arch+", "+b.why, func(t *testing.T) {
			if b.emulator != "" {
				need(t, b.emulator)
			}
			foreign := []string{b.compile(t)}
			if b.emulator != "" {
				foreign = []string{b.emulator, foreign[0]}
			}
			x := &exchange{t: t, dir: t.TempDir()}
			vault, pass := filepath.Join(x.dir, "vault"), filepath.Join(x.dir, "passphrase")
			ours, theirs, tree := filepath.Join(x.dir, "ours"), filepath.Join(x.dir, "theirs"), filepath.Join(x.dir, "tree")
			if err := os.CopyFS(vault, os.DirFS("../../engine/testdata/v1/vault")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(pass, []byte("correct horse\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			x.passphrases = []string{"HOLM_PASSPHRASE_FILE=" + pass}
			x.run(native, "join", "--data-dir", ours, vault)
			x.run(foreign, "join", "--data-dir", theirs, vault)
			x.run(foreign, "check", "--data-dir", theirs, "--read-data")
			ids := x.snapshots(native, ours)
			if len(ids) != 3 {
				t.Fatalf("%d snapshots in the golden vault", len(ids))
			}
			for _, id := range ids {
				if want, got := x.restored(native, ours, id), x.restored(foreign, theirs, id); !maps.Equal(got, want) {
					t.Errorf("%s restores %s as\n%v\nwant\n%v", b.arch, id, got, want)
				}
			}
			x.put(tree, "deep/er/letter", 1, 3000)
			x.put(tree, "large", 2, 3<<20)
			x.run(foreign, "backup", "--data-dir", theirs, tree)
			x.run(native, "check", "--data-dir", ours, "--read-data")
			if got, want := x.restored(native, ours, x.newest(native, ours)), treeImage(t, tree); !maps.Equal(got, want) {
				t.Errorf("what %s wrote is restored as\n%v\nwant\n%v", b.arch, got, want)
			}
			x.put(tree, "deep/er/letter", 3, 4000)
			x.run(native, "backup", "--data-dir", ours, tree)
			if got, want := x.restored(foreign, theirs, x.newest(foreign, theirs)), treeImage(t, tree); !maps.Equal(got, want) {
				t.Errorf("%s restores what was written here as\n%v\nwant\n%v", b.arch, got, want)
			}
		})
	}
}
