package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"holm.example/engine"
	"holm.example/engine/seal"
)

// mostResident is what the program may hold at its peak, its own code and what
// it maps of files included. make bench measures it on large trees, by kind of
// memory and on the average.
const mostResident = 64 << 20

// residentPeak runs the program and returns the peak of its resident memory in
// bytes.
func residentPeak(t *testing.T, args ...string) (bytes int64) {
	t.Helper()
	out, err := exec.Command("peak", append([]string{"holm"}, args...)...).CombinedOutput()
	if err == nil {
		_, err = fmt.Sscan(string(out), &bytes)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return bytes
}

// peak is a program that runs another and prints its peak. The kernel counts
// for a process what its parent held when it was started: this one is small,
// the tests are not.
func peak() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Printf("%v\n%s", err, out)
		os.Exit(1)
	}
	fmt.Println(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10)
}

func TestMemoryDoesNotGrowWithFilesOrWithTheirSize(t *testing.T) {
	dir := fastDir(t)
	tree, data := filepath.Join(dir, "tree"), filepath.Join(dir, "data")
	for d := range 100 {
		sub := filepath.Join(tree, fmt.Sprint("d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 100 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint("f", f)), fmt.Append(nil, d, f), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	large, err := os.Create(filepath.Join(tree, "large"))
	if err != nil {
		t.Fatal(err)
	}
	random := seeded(t)
	block := make([]byte, 1<<20)
	for range 128 {
		for i := range block {
			block[i] = byte(random.Uint32())
		}
		if _, err := large.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := large.Close(); err != nil {
		t.Fatal(err)
	}
	o := engine.Options{Vault: filepath.Join(dir, "vault"), DataDir: data, Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
	if _, err := engine.Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{
		{"backup", tree}, {"backup", tree}, {"check"}, {"check", "--read-data=deep"}, {"restore", "--to", filepath.Join(dir, "to")},
	} {
		peak := residentPeak(t, append(verb, "--data-dir", data)...)
		t.Logf("%v: %d MiB", verb, peak>>20)
		if peak > mostResident {
			t.Errorf("%v: %d MiB resident, at most %d", verb, peak>>20, mostResident>>20)
		}
	}
}
