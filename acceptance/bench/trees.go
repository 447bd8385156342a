//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed modules.txt
var modules string

// makeTree makes a tree below the work directory, once.
func (b *bench) makeTree(ctx context.Context, name string) (string, error) {
	make := map[string]func(context.Context, string) error{"a": b.goTree, "b": smallFiles, "c": largeFiles}[name]
	if make == nil {
		return "", fmt.Errorf("there are trees a, b and c")
	}
	dir := filepath.Join(b.work, "tree-"+name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return "", err
	}
	if err := make(ctx, half); err != nil {
		return "", err
	}
	return dir, os.Rename(half, dir)
}

// goTree is the Go toolchain and the modules of modules.txt.
func (b *bench) goTree(ctx context.Context, dir string) error {
	cache := filepath.Join(b.work, "mod")
	script := `
go mod download $(cat)
mkdir -p "$1"
cp -a "$(go env GOROOT)" "$1/go"
mkdir "$1/modules"
cd "$GOMODCACHE" && find . -mindepth 1 -maxdepth 1 ! -name cache -exec cp -a {} "$1/modules/" \;
chmod -R u+w "$1"`
	cmd := exec.CommandContext(ctx, "sh", "-euc", script, "tree", dir)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "GO111MODULE=on")
	cmd.Stdin = strings.NewReader(modules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Seeds of what is generated.
const seedSmall, seedLarge = 11, 12

// smallFiles are 300,000 files of made-up text in 5,000 directories.
func smallFiles(ctx context.Context, dir string) error {
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
	for d := range 5000 {
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

// largeFiles are 4 GiB in 8 files: noise and lines of a log in turn.
func largeFiles(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{seedLarge})
	r := rand.New(rand.NewPCG(seedLarge, 0))
	block := make([]byte, 1<<20)
	for i := range 8 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("large-%d", i)))
		if err != nil {
			return err
		}
		for n := 0; n < 512 && err == nil; n++ {
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
	return eachFile(dir, func(path string, _ fs.FileInfo) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
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

// changeSome appends a line to one file in a hundred, by its name.
func changeSome(tree string) error {
	return eachFile(tree, func(path string, info fs.FileInfo) error {
		rel, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(rel)) // never fails
		if h.Sum32()%100 != 0 {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "changed by the benchmark: %s\n", rel)
		return errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Hour)))
	})
}

// moveLargest gives the largest directory at the top of a tree another name.
// A tree without directories stays as it is.
func moveLargest(tree string) error {
	entries, err := os.ReadDir(tree)
	if err != nil {
		return err
	}
	largest, most := "", int64(0)
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
		return nil
	}
	return os.Rename(filepath.Join(tree, largest), filepath.Join(tree, largest+"-moved"))
}

// sameTree compares names, kinds, modes, times, targets and contents.
func sameTree(want, got string) error {
	a, err := describe(want)
	if err != nil {
		return err
	}
	b, err := describe(got)
	if err != nil {
		return err
	}
	for name, d := range a {
		if b[name] != d {
			return fmt.Errorf("restored %s: %q, not %q", name, b[name], d)
		}
	}
	if len(a) != len(b) {
		return fmt.Errorf("restored %d entries, not %d", len(b), len(a))
	}
	return nil
}

func describe(dir string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode(), " ", info.ModTime().UnixNano())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(b))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what = "-> " + target // not every tool restores the times of links
		}
		all[rel] = what
		return nil
	})
	return all, err
}
