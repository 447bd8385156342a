package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holm.example/engine"
	"holm.example/engine/seal"
)

// holm runs the program and returns its standard output.
func holm(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("holm", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("holm %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String()
}

// TestBackupKilledAnywhereNeedsNoRepair kills backups with SIGKILL at random
// times while the source grows, and expects the next run, without any help,
// to leave a sound vault that restores everything.
func TestBackupKilledAnywhereNeedsNoRepair(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("HOLM_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d; HOLM_TEST_SEED sets it", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	tree, data := filepath.Join(dir, "tree"), filepath.Join(dir, "data")
	o := engine.Options{Vault: filepath.Join(dir, "vault"), DataDir: data, Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
	if _, err := engine.Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for round := range 8 {
		grow(t, random, filepath.Join(tree, strconv.Itoa(round)))
		cmd := exec.Command("holm", "backup", "--data-dir", data, tree)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killer := time.AfterFunc(time.Duration(random.IntN(250))*time.Millisecond, func() { cmd.Process.Kill() })
		cmd.Wait()
		killer.Stop()
	}
	holm(t, "backup", "--data-dir", data, tree)
	if out := holm(t, "check", "--data-dir", data, "--read-data"); !strings.Contains(out, "the vault is sound") {
		t.Errorf("check says %s", out)
	}
	holm(t, "restore", "--data-dir", data, "--to", filepath.Join(dir, "out"))
	if out, err := exec.Command("diff", "-r", tree, filepath.Join(dir, "out", "tree")).CombinedOutput(); err != nil {
		t.Errorf("the restored tree differs: %v\n%s", err, out)
	}
}

// grow makes a directory of files, some larger than a pack's frame.
func grow(t *testing.T, random *rand.Rand, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		content := make([]byte, random.IntN(4<<10))
		if i%20 == 0 {
			content = make([]byte, 1<<20+random.IntN(2<<20))
		}
		for j := 0; j < len(content); j += 7 {
			content[j] = byte(random.Uint32())
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
