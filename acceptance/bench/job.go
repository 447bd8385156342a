//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"holm.example/engine/vault"
)

// phase is one of the things that are measured.
type phase struct {
	key, title string
	before     func(tree string) error
}

// phases are in the order in which they are done.
func phases() []phase {
	return []phase{
		{"first", "first", nil},
		{"unchanged", "unchanged", nil},
		{"changed", "1 % changed", changeSome},
		{"moved", "largest directory moved", moveLargest},
		{"restore", "restore", nil},
		{"check", "check --read-data", nil},
		{"deep", "check --read-data=deep", nil},
	}
}

// job is a tool at work on one tree.
type job struct {
	tool  tool
	dir   string
	tree  string
	count int // of backups and restores
}

func (j *job) vault() string { return filepath.Join(j.dir, "vault") }

func (j *job) restored() string { return filepath.Join(j.dir, "restored-"+strconv.Itoa(j.count)) }

// command is the words of a tool with their paths.
func (j *job) command(words []string) command {
	paths := strings.NewReplacer("{vault}", j.vault(), "{tree}", j.tree, "{dir}", j.dir, "{to}", j.restored(),
		"{parent}", filepath.Dir(j.tree), "{base}", filepath.Base(j.tree),
		"{run}", strconv.Itoa(j.count), "{last}", strconv.Itoa(j.count-1))
	c := command{enter: j.tool.enter}
	for _, w := range words {
		c.words = append(c.words, paths.Replace(w))
	}
	for _, e := range j.tool.env {
		c.env = append(c.env, paths.Replace(e))
	}
	return c
}

func (j *job) init(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(j.dir, "cache"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(j.dir, "passphrase"), []byte("bench\n"), 0o600); err != nil {
		return err
	}
	if j.tool.init == nil {
		return nil
	}
	c := j.command(j.tool.init)
	if strings.HasSuffix(j.tool.name, limitedSuffix) {
		c.enter = nil // Argon2id takes what it needs
	}
	_, _, err := measure(ctx, c)
	return err
}

// phase measures one phase. What is restored is compared with the tree.
func (j *job) phase(ctx context.Context, key string) (r result, err error) {
	if words := j.tool.prepare[key]; words != nil {
		if _, _, err := measure(ctx, j.command(words)); err != nil {
			return r, err
		}
	}
	if key == "restore" {
		if err := os.Mkdir(j.restored(), 0o755); err != nil {
			return r, err
		}
	}
	if r.sample, _, err = measure(ctx, j.command(j.tool.does[key])); err != nil {
		return r, err
	}
	switch key {
	case "first":
		if r.VaultBytes, err = sizeOf(j.vault()); err == nil && j.tool.name == "parity" {
			r.ParityBytes, err = parityOf(j.vault())
		}
	case "restore":
		err = j.compare()
	}
	j.count++
	return r, err
}

// compare finds what has just been restored and compares it with the tree.
func (j *job) compare() error {
	for _, at := range []string{filepath.Join(j.restored(), filepath.Base(j.tree)), filepath.Join(j.restored(), j.tree)} {
		if exists(at) {
			return sameTree(j.tree, at)
		}
	}
	return errors.New("nothing was restored to " + j.restored())
}

// sizeOf is the size in bytes of all files below a directory.
func sizeOf(dir string) (size int64, err error) {
	err = eachFile(dir, func(_ string, info fs.FileInfo) error {
		size += info.Size()
		return nil
	})
	return size, err
}

// parityOf is how many bytes of the objects of a vault are parity.
func parityOf(dir string) (size int64, err error) {
	err = eachFile(dir, func(path string, info fs.FileInfo) error {
		if name := filepath.Base(path); info.Size() == 0 || strings.HasPrefix(name, "vault") || strings.Contains(path, "/keys") {
			return nil // these have two copies in its place
		}
		body, err := vault.ParityBody(info.Size())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		size += info.Size() - body
		return nil
	})
	return size, err
}
