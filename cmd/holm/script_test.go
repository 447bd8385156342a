package main

import (
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"holm.example/engine"
	"holm.example/engine/seal"
)

func TestMain(m *testing.M) {
	programs := map[string]func(){"holm": testedHolm, "fakessh": fakeSSH}
	maps.Copy(programs, morePrograms())
	testscript.Main(m, programs)
}

// overlayEnv makes the catalog of the program under test write tables early.
// Only this program knows it.
const overlayEnv = "HOLM_TEST_OVERLAY"

// testedHolm is main, but for overlayEnv.
func testedHolm() {
	a := newApp()
	if n := os.Getenv(overlayEnv); n != "" {
		var err error
		if a.overlay, err = strconv.Atoi(n); err != nil {
			panic(err)
		}
	}
	os.Exit(program(a))
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("LOCALAPPDATA", filepath.Join(e.WorkDir, "home"))
			e.Setenv("TZ", "UTC")
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "sftp" {
				return hasSFTP(), nil
			}
			return condition(cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"newvault": newVault,
			"noise":    noise,
			"status":   status,
			"flip":     flip,
			"truncate": truncate,
			"running":  running,
			"asnobody": asNobody,
			"nasty":    nasty,
			"socket":   socket,
			"disk":     disk,
			"large":    large,
			"sametree": sameTree,
			"capture":  capture,
			"serves3":  serveS3,
		},
		RequireUniqueNames: true,
	})
}

// newVault makes a vault whose passphrase is "secret", as holm init does but
// at the lowest cost of a passphrase that is allowed: the scripts would cost
// minutes otherwise. newvault [--no-parity] VAULT DATADIR [DEVICE-NAME].
func newVault(ts *testscript.TestScript, neg bool, args []string) {
	var parity *bool
	if args[0] == "--no-parity" {
		parity, args = new(bool), args[1:]
	}
	o := engine.Options{Parity: parity, Vault: ts.MkAbs(args[0]), DataDir: ts.MkAbs(args[1]), Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
	if len(args) > 2 {
		o.DeviceName = args[2]
	}
	_, err := engine.Init(context.Background(), o)
	ts.Check(err)
}

// noise makes a file of content without repetition, which no file of another
// name shares, the same in every run: noise FILE BYTES.
func noise(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = io.CopyN(f, rand.NewChaCha8(sha256.Sum256([]byte(args[0]))), n)
	ts.Check(err)
	ts.Check(f.Close())
}

// status runs a program and asserts its exit code: status 3 holm backup x.
// Output goes where the commands of testscript look for it.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM [ARGUMENT...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, expected %s", code, args[0])
	}
}

// one is the first file that a pattern of path/filepath fits.
func one(ts *testscript.TestScript, pattern string) string {
	files, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file fits %s", pattern)
	}
	return files[0]
}

// flip flips a bit in the middle of a file, or of each of several equal parts
// of it: flip PATTERN [PARTS].
func flip(ts *testscript.TestScript, neg bool, args []string) {
	name := one(ts, args[0])
	parts := 1
	if len(args) > 1 {
		var err error
		parts, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	data, err := os.ReadFile(name)
	ts.Check(err)
	for i := range parts {
		data[len(data)*(2*i+1)/(2*parts)] ^= 0x10
	}
	ts.Check(os.WriteFile(name, data, 0o600))
}

// truncate cuts a file in half: truncate PATTERN.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	name := one(ts, args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, info.Size()/2))
}

// running has an engine run on a data directory until the script ends:
// running DATADIR.
func running(ts *testscript.TestScript, neg bool, args []string) {
	e, err := engine.Open(context.Background(), engine.OpenOptions{DataDir: ts.MkAbs(args[0])})
	ts.Check(err)
	ts.Defer(func() { e.Close() })
}

// capture keeps the id of the newest snapshot in a variable: capture NAME.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	for _, line := range strings.Split(ts.ReadFile("stdout"), "\n") {
		if id, ok := strings.CutPrefix(line, "snapshot "); ok {
			ts.Setenv(args[0], id)
			return
		}
	}
	ts.Fatalf("standard output names no snapshot")
}

// large makes a directory with many small files: large DIR COUNT.
func large(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		dir := filepath.Join(ts.MkAbs(args[0]), strconv.Itoa(i%10))
		ts.Check(os.MkdirAll(dir, 0o755))
		name := strconv.Itoa(i)
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name+"\n", 1+i%100)), 0o644))
	}
}

// A seen is what sameTree compares of one entry.
type seen struct {
	mode    fs.FileMode
	modTime int64
	content string
}

// look collects everything below a directory, itself excepted.
func look(ts *testscript.TestScript, dir string) map[string]seen {
	all := map[string]seen{}
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := seen{mode: info.Mode(), modTime: info.ModTime().UnixNano()}
		switch {
		case info.Mode().IsRegular():
			data, rerr := os.ReadFile(path)
			s.content, err = string(data), rerr
		case info.Mode()&fs.ModeSymlink != 0:
			s.content, err = os.Readlink(path)
			if runtime.GOOS == "windows" {
				s.modTime = 0
			}
		}
		rel, _ := filepath.Rel(dir, path)
		all[rel] = s
		return err
	}))
	return all
}

// sameTree asserts that two directories hold the same names, contents, modes
// and times: sametree A B [AT-LEAST].
func sameTree(ts *testscript.TestScript, neg bool, args []string) {
	a, b := look(ts, ts.MkAbs(args[0])), look(ts, ts.MkAbs(args[1]))
	var differences []string
	for name, want := range a {
		got, there := b[name]
		switch {
		case !there:
			differences = append(differences, strconv.Quote(name)+" is missing")
		case got != want:
			differences = append(differences, strconv.Quote(name)+" differs")
		}
	}
	for name := range b {
		if _, there := a[name]; !there {
			differences = append(differences, strconv.Quote(name)+" is there too")
		}
	}
	if neg != (len(differences) > 0) {
		ts.Fatalf("%d entries, differences: %s", len(a), strings.Join(differences, ", "))
	}
	if len(args) > 2 {
		if n, err := strconv.Atoi(args[2]); err != nil || len(a) < n {
			ts.Fatalf("only %d entries were compared, expected %s", len(a), args[2])
		}
	}
}
