package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"holm.example/engine"
	"holm.example/engine/seal"
	"holm.example/internal/testseed"
)

// What the program may hold: all at its peak, its own code and what it maps of
// files included; and of that its own memory, at the peak, on the average, and
// how much more at the peak for a tree that is ten times as large. That is not
// nothing, for where between two collections the peak lies is chance; it is less
// than 70 bytes a file.
const (
	mostResident = 64 << 20
	mostOwn      = 48 << 20
	mostAverage  = 32 << 20
	mostGrowth   = 12 << 20
)

// held is what a program held in memory, in bytes.
type held struct{ resident, own, average int64 }

// memoryOf runs the program in a cgroup, or in none if that is empty, and
// tells what it held.
func memoryOf(t *testing.T, group string, args ...string) (h held) {
	t.Helper()
	out, err := exec.Command("peak", append([]string{group, "holm"}, args...)...).CombinedOutput()
	if err == nil {
		_, err = fmt.Sscan(string(out), &h.resident, &h.own, &h.average)
	}
	if err != nil {
		t.Fatalf("%v, cgroup %q: %v\n%s", args, group, err, out)
	}
	return h
}

// peak is a program that runs another, in a cgroup if there is one, and prints
// what that held. The kernel counts for a process what its parent held when it
// was started: this one is small, the tests are not.
func peak() {
	args := os.Args[2:]
	if group := os.Args[1]; group != "" {
		args = append([]string{"sh", "-euc", `echo $$ >"$0/cgroup.procs"; exec "$@"`, group}, args...)
	}
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	var most, sum, samples int64
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		select {
		case <-tick.C:
			if own := ownMemory(cmd.Process.Pid); own > 0 {
				most, sum, samples = max(most, own), sum+own, samples+1
			}
			continue
		case err = <-ended:
		}
		break
	}
	if err != nil || samples == 0 {
		fmt.Printf("%v, looked at %d times\n%s", err, samples, out.String())
		os.Exit(1)
	}
	fmt.Println(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10, most, sum/samples)
}

// ownMemory is how many bytes a process holds that are of no file; 0 if it is
// gone.
func ownMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, field, _ := strings.Cut(string(status), "\nRssAnon:")
	line, _, _ := strings.Cut(field, " kB")
	kib, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return kib << 10
}

// memoryGroup is a cgroup that holds that many bytes and no swap, until the
// test ends. Where this system lets nobody make one, the test is skipped.
func memoryGroup(t *testing.T, limit int64) (dir string) {
	t.Helper()
	base, settings := "/sys/fs/cgroup", map[string]string{"memory.max": fmt.Sprint(limit), "memory.swap.max": "0"}
	if v1 := filepath.Join(base, "memory"); isDir(v1) {
		base, settings = v1, map[string]string{"memory.limit_in_bytes": fmt.Sprint(limit), "memory.swappiness": "0"}
	} else if err := os.WriteFile(filepath.Join(base, "cgroup.subtree_control"), []byte("+memory"), 0o644); err != nil {
		t.Skipf("no cgroup can be made: %v", err)
	}
	dir, err := os.MkdirTemp(base, "holm-test-")
	if err != nil {
		t.Skipf("no cgroup can be made: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	for name, value := range settings {
		err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644)
		if errors.Is(err, os.ErrNotExist) && name == "memory.swap.max" {
			continue // a kernel that cannot swap
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// tinyAndLarge makes a tree of that many tiny files, 500 in a directory, and
// of one large file.
func tinyAndLarge(t *testing.T, tree string, files, mib int) {
	t.Helper()
	for n := range files {
		sub := filepath.Join(tree, fmt.Sprint("d", n/500))
		var err error
		if n%500 == 0 {
			err = os.MkdirAll(sub, 0o755)
		}
		if err = errors.Join(err, os.WriteFile(filepath.Join(sub, fmt.Sprint("f", n)), fmt.Append(nil, n), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	large, err := os.Create(filepath.Join(tree, "large"))
	if err != nil {
		t.Fatal(err)
	}
	random := testseed.Rand(t)
	block := make([]byte, 1<<20)
	for range mib {
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
}

// memoryOfALife backs a tree up, twice, checks it and restores it, in a cgroup
// if there is one, and returns what the program held by what it did.
func memoryOfALife(t *testing.T, dir, group string, files, mib int) map[string]held {
	t.Helper()
	tree, data := filepath.Join(dir, "tree"), filepath.Join(dir, "data")
	tinyAndLarge(t, tree, files, mib)
	o := engine.Options{Vault: filepath.Join(dir, "vault"), DataDir: data, Passphrase: []byte("secret"),
		Derivation: seal.Derivation{MemoryKiB: seal.MinMemoryKiB, Passes: 1, Lanes: 1}}
	if _, err := engine.Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	all := map[string]held{}
	for _, step := range []struct {
		what string
		args []string
	}{
		{"backup", []string{"backup", tree}}, {"backup of what is unchanged", []string{"backup", tree}},
		{"check", []string{"check"}}, {"deep check", []string{"check", "--read-data=deep"}},
		{"restore", []string{"restore", "--to", filepath.Join(dir, "to")}},
	} {
		h := memoryOf(t, group, append(step.args, "--data-dir", data)...)
		t.Logf("%d files, %s: %.1f MiB resident, of its own %.1f, on the average %.1f", files, step.what,
			float64(h.resident)/(1<<20), float64(h.own)/(1<<20), float64(h.average)/(1<<20))
		if h.resident > mostResident || h.own > mostOwn || h.average > mostAverage {
			t.Errorf("%d files, %s: %+v, at most %+v", files, step.what, h, held{mostResident, mostOwn, mostAverage})
		}
		all[step.what] = h
	}
	return all
}

func TestMemoryDoesNotGrowWithFilesOrWithTheirSize(t *testing.T) {
	files, mib := 20_000, 64 // with fewer the caches and what is read ahead are not full
	if soak() {
		files, mib = 50_000, 200
	}
	little, much := memoryOfALife(t, fastDir(t), "", files, mib), memoryOfALife(t, fastDir(t), "", 10*files, 5*mib)
	for what, h := range much {
		if grown := h.own - little[what].own; grown > mostGrowth {
			t.Errorf("%s: %d files take %d MiB more than %d", what, 10*files, grown>>20, files)
		}
	}
}

func TestEverythingEndsWellWhereTheKernelGivesNoMoreMemory(t *testing.T) {
	files, mib := 5_000, 80
	if soak() {
		files, mib = 200_000, 1000
	}
	// On a disk: what lies in memory would be the program's.
	memoryOfALife(t, t.TempDir(), memoryGroup(t, mostResident), files, mib)
}
