//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed modules.txt
var modules string

// Seeds of what is generated.
const seedSmall, seedLarge = 11, 12

// tree says what goes into a tree, and how it is filled.
func (b *bench) tree(name string) (inputs string, fill func(ctx context.Context, dir string) error, err error) {
	inputs = fmt.Sprint(b.size, seedSmall, seedLarge)
	switch name {
	case "a":
		return inputs + runtime.Version() + modules, b.goTree, nil
	case "b":
		return inputs, func(ctx context.Context, dir string) error { return smallFiles(ctx, dir, b.size) }, nil
	case "c":
		return inputs, func(ctx context.Context, dir string) error { return largeFiles(ctx, dir, b.size) }, nil
	}
	return "", nil, errors.New("there are trees a, b and c")
}

// makeTree makes a tree below the work directory, once. Its name holds what
// went into it.
func (b *bench) makeTree(ctx context.Context, name string) (string, error) {
	inputs, fill, err := b.tree(name)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.work, fmt.Sprintf("tree-%s-%.4x", name, sha256.Sum256([]byte(inputs))))
	if exists(dir) {
		return dir, nil
	}
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "bench: making tree %s\n", name)
	if err := fill(ctx, half); err != nil {
		return "", err
	}
	return dir, os.Rename(half, dir)
}

// goTree is the Go toolchain and the modules of modules.txt.
func (b *bench) goTree(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "modules"), 0o755); err != nil {
		return err
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("finding the Go toolchain: %w", err)
	}
	if err := copyTree(ctx, strings.TrimSpace(string(goroot))+"/.", filepath.Join(dir, "go")); err != nil {
		return err
	}
	if b.size < 1 {
		return nil
	}
	download := exec.CommandContext(ctx, "go", append([]string{"mod", "download", "-json"}, strings.Fields(modules)...)...)
	download.Dir = os.TempDir() // no module of ours is asked what it needs
	download.Env = append(os.Environ(), "GOMODCACHE="+filepath.Join(b.work, "mod"), "GOFLAGS=-modcacherw", "GO111MODULE=on")
	out, err := download.Output()
	for dec := json.NewDecoder(bytes.NewReader(out)); err == nil; {
		var m struct{ Path, Version, Dir, Error string }
		if err = dec.Decode(&m); err == nil {
			name := strings.ReplaceAll(m.Path, "/", "_") + "@" + m.Version
			err = copyTree(ctx, m.Dir, filepath.Join(dir, "modules", name))
		}
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("fetching the modules: %w: %.2000s", err, out)
	}
	return nil
}

// smallFiles are 300,000 files of made-up text in 5,000 directories.
func smallFiles(ctx context.Context, dir string, size float64) error {
	r := rand.New(rand.NewPCG(seedSmall, 0))
	words := make([]string, 4000)
	for i := range words {
		w := make([]byte, 2+r.IntN(9))
		for k := range w {
			w[k] = "etaoinshrdlucmfwypvbgkqjxz"[min(r.IntN(26), r.IntN(26))]
		}
		words[i] = string(w)
	}
	var text bytes.Buffer
	for d := range int(5000 * size) {
		if err := ctx.Err(); err != nil {
			return err
		}
		sub := filepath.Join(dir, fmt.Sprintf("area%02d", d%70), fmt.Sprintf("topic%04d", d))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		for f := range 60 {
			text.Reset()
			for range 20 + int(r.ExpFloat64()*280) {
				text.WriteString(words[min(r.IntN(len(words)), r.IntN(len(words)))])
				text.WriteByte(" \n"[max(0, r.IntN(12)-10)])
			}
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("note-%02d.txt", f)), text.Bytes(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// largeFiles are 4 GiB in 8 files: four of noise, four of lines of a log.
func largeFiles(ctx context.Context, dir string, size float64) error {
	noise := rand.NewChaCha8([32]byte{seedLarge})
	r := rand.New(rand.NewPCG(seedLarge, 0))
	block := make([]byte, 1<<20)
	for i := range 8 {
		sub := filepath.Join(dir, []string{"noise", "logs"}[i%2])
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(sub, fmt.Sprintf("large-%d", i)))
		if err != nil {
			return err
		}
		for n := 0; n < int(512*size) && err == nil; n++ {
			if i%2 == 0 {
				_, err = noise.Read(block)
			} else {
				logLines(block, r)
			}
			if err == nil {
				_, err = f.Write(block)
			}
		}
		if err = errors.Join(err, f.Close(), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

func logLines(block []byte, r *rand.Rand) {
	line := make([]byte, 0, 200)
	for len(block) > 0 {
		line = fmt.Appendf(line[:0], "2026-11-%02dT%02d:%02d:%02dZ host%02d service[%d]: request %08x took %d us, status %d\n",
			1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(40), 1000+r.IntN(9000), r.Uint32(), r.IntN(100_000), 200+r.IntN(5))
		block = block[copy(block, line):]
	}
}

func copyTree(ctx context.Context, from, to string) error {
	if out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying the tree: %w: %s", err, out)
	}
	return nil
}

// warm reads a tree once.
func warm(dir string) error {
	block := make([]byte, blockSize)
	return eachFile(dir, func(path string, _ fs.FileInfo) error {
		return readData(path, block, func(int64, []byte) {})
	})
}

func eachFile(dir string, f func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return f(path, info)
	})
}

// large files change in a hundredth of their bytes, of others one in a hundred
// changes.
const large = 100 << 20

// changeSome changes one file in a hundred, chosen by its name, by a line at
// its end, and large files in a place that their name chooses.
func changeSome(tree string) error {
	return eachFile(tree, func(path string, info fs.FileInfo) error {
		rel, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		h := fnv.New64a()
		_, _ = io.WriteString(h, rel) // never fails
		choice := h.Sum64()
		text, at := []byte("changed by the benchmark: "+rel+"\n"), info.Size()
		if at >= large {
			text = make([]byte, at/100)
			_, _ = rand.NewChaCha8(sha256.Sum256([]byte(rel))).Read(text) // never fails
			at = int64(choice % uint64(at-at/100))
		} else if choice%100 != 0 {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(text, at)
		return errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Hour)))
	})
}

// moveLargest gives the largest directory at the top of a tree another name.
func moveLargest(tree string) error {
	entries, err := os.ReadDir(tree)
	if err != nil {
		return err
	}
	largest, most := "", int64(-1)
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		size, err := sizeOf(filepath.Join(tree, e.Name()))
		if err != nil {
			return err
		}
		if size > most {
			largest, most = e.Name(), size
		}
	}
	if largest == "" {
		return fmt.Errorf("%s has no directory to move", tree)
	}
	return os.Rename(filepath.Join(tree, largest), filepath.Join(tree, largest+"-moved"))
}
