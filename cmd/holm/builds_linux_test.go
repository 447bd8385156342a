package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	return richImage(x.t, filepath.Join(to, entries[0].Name()))
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

// rich puts a tree of what a snapshot can hold, its contents by a seed; what is
// shared has the same content for all.
func (x *exchange) rich(tree string, seed uint64) {
	x.t.Helper()
	x.put(tree, "deep/er/letter", seed, 3000)
	x.put(tree, "large", seed+1, 2<<20)
	x.put(tree, "shared", 99, 50_000)
	x.put(tree, "empty", seed+2, 0)
	x.put(tree, "marked", seed+3, 100)
	x.put(tree, "linked", seed+4, 5000)
	x.put(tree, "hole", seed+5, 5000)
	at := func(name string) string { return filepath.Join(tree, name) }
	if err := errors.Join(unix.Setxattr(at("marked"), "user.holm", []byte("\x00\xff"), 0), os.Link(at("linked"), at("deep/twin")),
		os.Symlink("no/where\xff", at("link")), os.Mkdir(at("hollow"), 0o700), os.Chmod(at("marked"), 0o4751), unix.Mkfifo(at("fifo"), 0o640),
		os.Truncate(at("hole"), 1<<19), os.Chtimes(at("hole"), time.Time{}, time.Unix(1_600_000_000, 0))); err != nil {
		x.t.Fatal(err)
	}
}

// richImage is treeImage, with links, attributes, names of one file and holes.
func richImage(t *testing.T, root string) map[string]string {
	t.Helper()
	image := treeImage(t, root)
	for name := range image {
		path := filepath.Join(root, name)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		value := make([]byte, 100)
		n, _ := unix.Lgetxattr(path, "user.holm", value)
		target, _ := os.Readlink(path)
		image[name] += fmt.Sprintf(" %x %q", value[:max(n, 0)], target)
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			image[name] += fmt.Sprintf(" %d names, a hole: %v", st.Nlink, st.Blocks*512 < st.Size/2)
		}
	}
	return image
}

// A member is a build that takes part in an exchange.
type member struct {
	name    string
	program []string
	data    string
	tree    string
	id      string // of the snapshot it made
}

// members are this build and all others that can be run here.
func (x *exchange) members() (list []*member) {
	list = []*member{{name: "this build", program: []string{"holm"}}}
	for _, b := range builds() {
		program := []string{}
		if b.emulator != "" {
			if _, err := exec.LookPath(b.emulator); err != nil && os.Getenv("CI") != "true" {
				x.t.Logf("without %s, %s: %v", b.arch, b.why, err)
				continue
			}
			need(x.t, b.emulator)
			program = append(program, b.emulator)
		}
		list = append(list, &member{name: b.arch, program: append(program, b.compile(x.t))})
	}
	for _, m := range list {
		m.data, m.tree = filepath.Join(x.dir, "data of "+m.name), filepath.Join(x.dir, "tree of "+m.name)
	}
	return list
}

// TestEveryBuildReadsWhatAnotherWrote lets builds for other processors and this
// one join the golden vault, which amd64 has written, check and restore it, and
// back up into it. In a soak every one of them reads what each has written;
// else this build reads all, and each what this one and one other has.
func TestEveryBuildReadsWhatAnotherWrote(t *testing.T) {
	need(t, "go")
	x := &exchange{t: t, dir: t.TempDir()}
	vault, pass := filepath.Join(x.dir, "vault"), filepath.Join(x.dir, "passphrase")
	if err := errors.Join(os.CopyFS(vault, os.DirFS("../../engine/testdata/v1/vault")), os.WriteFile(pass, []byte("correct horse\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	x.passphrases = []string{"HOLM_PASSPHRASE_FILE=" + pass}
	members := x.members()
	var golden []map[string]string
	for i, m := range members {
		x.run(m.program, "join", "--data-dir", m.data, vault)
		x.run(m.program, "check", "--data-dir", m.data, "--read-data")
		ids := x.snapshots(m.program, m.data)
		if len(ids) != 3+i {
			t.Fatalf("%s sees %d snapshots", m.name, len(ids))
		}
		for n, id := range ids[:3] {
			got := x.restored(m.program, m.data, id)
			if i == 0 {
				golden = append(golden, got)
			} else if !maps.Equal(got, golden[n]) {
				t.Errorf("%s restores %s as\n%v\nwant\n%v", m.name, id, got, golden[n])
			}
		}
		x.rich(m.tree, uint64(10*i))
		x.run(m.program, "backup", "--data-dir", m.data, m.tree)
		m.id = x.newest(m.program, m.data)
	}
	for i, reader := range members {
		for n, writer := range members {
			if !soak() && i != 0 && n != 0 && i != (n+1)%len(members) {
				continue // the emulators are slow
			}
			if got, want := x.restored(reader.program, reader.data, writer.id), richImage(t, writer.tree); !maps.Equal(got, want) {
				t.Errorf("%s restores what %s wrote as\n%v\nwant\n%v", reader.name, writer.name, got, want)
			}
		}
	}
}
