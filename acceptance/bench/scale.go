//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// growth is a kind of source that grows, and how large it is each time.
type growth struct {
	key, title string
	counts     []int64
	fill       func(dir string, count int64) error
}

func growths() []growth {
	return []growth{
		{"files", "files", []int64{10_000, 100_000, 1_000_000}, manyFiles},
		{"links", "hard-linked files", []int64{10_000, 100_000, 1_000_000}, manyLinks},
		{"entries", "entries of one directory", []int64{5_000, 50_000, 500_000}, manyEntries},
		{"sparse", "GiB of one sparse file", []int64{1, 10, 100}, sparseFile},
	}
}

// scale measures the tools on sources that grow tenfold from one to the next.
func (b *bench) scale(ctx context.Context, kinds []string) error {
	b.phases = []phase{{key: "first"}, {key: "unchanged"}, {key: "restore"}}
	for _, kind := range kinds {
		for _, g := range growths() {
			if g.key != kind {
				continue
			}
			for _, count := range g.counts {
				if err := b.grow(ctx, g, max(1, int64(float64(count)*b.size))); err != nil {
					return fmt.Errorf("%d %s: %w", count, g.title, err)
				}
			}
		}
	}
	return nil
}

// grow measures the tools on one source.
func (b *bench) grow(ctx context.Context, g growth, count int64) error {
	dir := filepath.Join(b.work, "run", "scale")
	if err := os.RemoveAll(dir); err != nil { // of a run that was killed
		return err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	if err := g.fill(tree, count); err != nil {
		return err
	}
	var jobs []*job
	for _, t := range b.tools {
		j := &job{tool: t, dir: filepath.Join(dir, strings.ReplaceAll(t.name, " ", "-")), tree: tree}
		if err := j.init(ctx); err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	for _, p := range b.phases {
		if err := b.phase(ctx, p, jobs, result{Tree: g.key, Count: count}); err != nil {
			return err
		}
	}
	return b.record.save()
}

// perDirectory is how many files a directory has where they are spread.
const perDirectory = 250

// spread is the path of a file in one of many directories.
func spread(dir string, i int64) string {
	n := i / perDirectory
	return filepath.Join(dir, fmt.Sprintf("part-%02d", n%64), fmt.Sprintf("folder-%05d", n), fmt.Sprintf("file-%07d.txt", i))
}

// put writes a small file that no other equals.
func put(path string, i int64) error {
	return os.WriteFile(path, fmt.Appendf(nil, "File number %d of a source that grows.\n", i), 0o644)
}

func manyFiles(dir string, count int64) error {
	for i := range count {
		path := spread(dir, i)
		if i%perDirectory == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if err := put(path, i); err != nil {
			return err
		}
	}
	return nil
}

// manyLinks has a second name for every file, far from the first: all first
// names have to be known before the first second one is met.
func manyLinks(dir string, count int64) error {
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	if err := manyFiles(first, count/2); err != nil {
		return err
	}
	for i := range count / 2 {
		link := spread(second, i)
		if i%perDirectory == 0 {
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				return err
			}
		}
		if err := os.Link(spread(first, i), link); err != nil {
			return err
		}
	}
	return nil
}

func manyEntries(dir string, count int64) error {
	for i := range count {
		if err := put(filepath.Join(dir, fmt.Sprintf("entry-%07d.txt", i)), i); err != nil {
			return err
		}
	}
	return nil
}

// sparseFile is one file of so many GiB with 1 MiB of noise in each.
func sparseFile(dir string, count int64) error {
	f, err := os.Create(filepath.Join(dir, "disk.img"))
	if err != nil {
		return err
	}
	defer f.Close()
	noise := rand.NewChaCha8([32]byte{seedLarge})
	block := make([]byte, 1<<20)
	for i := range count {
		_, _ = noise.Read(block) // never fails
		if _, err := f.WriteAt(block, i<<30+123<<20); err != nil {
			return err
		}
	}
	return f.Truncate(count << 30)
}
