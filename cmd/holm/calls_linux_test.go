package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holm.example/engine"
	"holm.example/engine/seal"
)

// callsAbout counts what the program asks of the kernel about something below
// a directory in a backup of it, by the names of the calls. With -s 0 strace
// shows names and no data, in which a name may stand too.
func callsAbout(t *testing.T, data, dir string) map[string]int {
	t.Helper()
	log := filepath.Join(t.TempDir(), "calls")
	cmd := exec.Command("strace", "-f", "-y", "-s", "0", "-e", "signal=none", "-o", log, "holm", "backup", "--data-dir", data, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	for line := range strings.Lines(string(text)) {
		_, line, _ = strings.Cut(line, " ")
		name, _, ok := strings.Cut(strings.TrimSpace(line), "(")
		if ok && !strings.HasPrefix(name, "<") && name != "execve" && strings.Contains(line, dir) {
			calls[name]++
		}
	}
	return calls
}

// What is unchanged costs one look at each file and a few calls for each
// directory, and no file is opened: on this the time of an unchanged tree
// stands, which no test can measure on a machine that others use.
func TestUnchangedTreeCostsOneCallForEachFile(t *testing.T) {
	need(t, "strace")
	dir := fastDir(t)
	tree, data := filepath.Join(dir, "tree"), filepath.Join(dir, "data")
	const directories, each = 10, 50
	for d := range directories {
		sub := filepath.Join(tree, fmt.Sprint("d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range each {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint("f", f)), fmt.Append(nil, d, f), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := engine.Options{Vault: filepath.Join(dir, "vault"), DataDir: data, Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
	if _, err := engine.Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	// As if all was touched an hour before: no file is read once more because
	// it might have changed within the grain of its time.
	later := func() time.Time { return time.Now().Add(time.Hour) }
	e, err := engine.Open(t.Context(), engine.OpenOptions{DataDir: data, Now: later})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Backup(t.Context(), engine.BackupOptions{Paths: []string{tree}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	calls := callsAbout(t, data, tree)
	all := 0
	for _, n := range calls {
		all += n
	}
	t.Logf("%d files in %d directories: %v", directories*each, directories+1, calls)
	if n := calls["openat"]; n > directories+2 {
		t.Errorf("%d openings for %d directories: files are opened", n, directories+1)
	}
	if n := calls["read"] + calls["pread64"]; n > 0 {
		t.Errorf("%d reads", n)
	}
	if most := directories*each + 6*(directories+1) + 4; all > most || all < directories*each {
		t.Errorf("%d calls, want one for each file and 6 for each directory, %d", all, most)
	}
}
