//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"holm.example/acceptance/root"
)

// firstRoad is the commit whose holm is the baseline: one goroutine, one bbolt
// file.
const firstRoad = "6237e86"

// tool is a backup program: the words of its commands, in which {vault},
// {tree}, {to} and {dir} stand for paths.
type tool struct {
	name    string
	env     []string
	init    []string
	backup  []string
	restore []string
	check   []string
	deep    []string // check of everything, where it is another command
	inside  string   // a root that it runs in
	group   string   // a cgroup that it runs in
}

var errLeftOut = errors.New("not a phase of this tool")

func holm(name, program string) tool {
	return tool{name: name, env: []string{"HOLM_DATA_DIR={dir}/data"},
		init:    []string{program, "init", "-q", "--passphrase-file", "{dir}/passphrase", "{vault}"},
		backup:  []string{program, "backup", "-q", "{tree}"},
		restore: []string{program, "restore", "-q", "--to", "{to}"},
		check:   []string{program, "check", "-q", "--read-data"},
		deep:    []string{program, "check", "-q", "--read-data=deep"}}
}

// findTools makes the tools. cleanup is to be called in any case.
func (b *bench) findTools(ctx context.Context, names []string, program, limit string) (cleanup func(), err error) {
	cleanup = func() {}
	program, err = filepath.Abs(program)
	if err != nil {
		return cleanup, err
	}
	var inside string
	for _, name := range names {
		switch name {
		case "holm":
			b.tools = append(b.tools, holm(name, program))
		case "limited":
			n, err := strconv.Atoi(limit)
			if err != nil {
				return cleanup, fmt.Errorf("limit=%s: want a number of MiB", limit)
			}
			group, remove, err := memoryGroup(int64(n) << 20)
			if err != nil {
				return cleanup, fmt.Errorf("making a cgroup: %w", err)
			}
			cleanup = remove
			t := holm(name, program)
			t.group = group
			b.tools = append(b.tools, t)
		case "baseline":
			old, err := b.baseline(ctx)
			if err != nil {
				return cleanup, err
			}
			t := holm(name, old)
			t.deep = nil
			b.tools = append(b.tools, t)
		case "restic", "borg":
			if inside == "" {
				if inside, cleanup, err = b.peers(ctx, cleanup); err != nil {
					return cleanup, err
				}
			}
			b.tools = append(b.tools, peer(name, inside))
		default:
			return cleanup, fmt.Errorf("tools=%s: want holm, restic, borg or baseline", name)
		}
	}
	return cleanup, nil
}

func peer(name, inside string) tool {
	if name == "restic" {
		return tool{name: name, inside: inside, env: []string{"RESTIC_PASSWORD=bench", "RESTIC_REPOSITORY={vault}", "RESTIC_CACHE_DIR={dir}/cache"},
			init: []string{"restic", "init", "-q"}, backup: []string{"restic", "backup", "-q", "{tree}"},
			restore: []string{"restic", "restore", "-q", "latest", "--target", "{to}"}, check: []string{"restic", "check", "-q", "--read-data"}}
	}
	return tool{name: name, inside: inside, env: []string{"BORG_PASSPHRASE=bench", "BORG_REPO={vault}", "BORG_BASE_DIR={dir}/cache"},
		init: []string{"borg", "init", "-e", "repokey-blake2"}, backup: []string{"borg", "create", "::{now:%s.%f}", "{tree}"},
		restore: []string{"sh", "-c", `cd {to} && exec borg extract "::$(borg list --short --last 1)"`}, check: []string{"borg", "check", "--verify-data"}}
}

// peers unpacks a root that has restic and borg.
func (b *bench) peers(ctx context.Context, also func()) (dir string, cleanup func(), err error) {
	cache, err := root.Open(ctx)
	if err != nil {
		return "", also, fmt.Errorf("opening the cache of roots: %w", err)
	}
	cleanup = func() { also(); _ = cache.Close() }
	base, err := cache.Base(ctx, root.Spec{Suite: "sid", Packages: []string{"restic", "borgbackup"}})
	if err != nil {
		return "", cleanup, err
	}
	return base.Dir(), cleanup, nil
}

// baseline builds holm of the first road from the history.
func (b *bench) baseline(ctx context.Context) (string, error) {
	program := filepath.Join(b.work, "holm-"+firstRoad)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	dir, err := os.MkdirTemp(b.work, "baseline-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	script := `git archive "$1" | tar -x -C "$2" && cd "$2" && go build -trimpath -o "$3" ./cmd/holm`
	out, err := exec.CommandContext(ctx, "sh", "-euc", script, "baseline", firstRoad, dir, program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the baseline, which needs the whole history: %w: %s", err, out)
	}
	return program, nil
}

// job is a tool at work on one tree.
type job struct {
	tool  tool
	dir   string
	tree  string
	work  string
	count int // of restores
}

func (j *job) vault() string { return filepath.Join(j.dir, "vault") }

// command is the words of a tool with their paths.
func (j *job) command(words []string, to string) command {
	paths := strings.NewReplacer("{vault}", j.vault(), "{tree}", j.tree, "{dir}", j.dir, "{to}", to)
	c := command{group: j.tool.group}
	for _, w := range words {
		c.words = append(c.words, paths.Replace(w))
	}
	for _, e := range j.tool.env {
		c.env = append(c.env, paths.Replace(e))
	}
	if j.tool.inside != "" { // in a mount namespace of its own, with the work directory where it is outside
		script := `mkdir -p "$0$1"; mount --bind "$1" "$0$1"; mount --bind /dev "$0/dev"; mount -t proc proc "$0/proc"; r=$0; shift; exec chroot "$r" "$@"`
		c.words = append([]string{"unshare", "--mount", "sh", "-euc", script, j.tool.inside, j.work}, c.words...)
	}
	return c
}

func (j *job) init(ctx context.Context) error {
	for _, dir := range []string{j.dir, filepath.Join(j.dir, "cache")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(j.dir, "passphrase"), []byte("bench\n"), 0o600); err != nil {
		return err
	}
	c := j.command(j.tool.init, "")
	c.group = "" // Argon2id takes what it needs
	_, err := measure(ctx, c)
	return err
}

// phase is one of the things that are measured.
type phase struct {
	name   string
	before func(tree string) error
	words  func(t tool) []string
}

func backupWords(t tool) []string { return t.backup }

// phases are in the order in which they are done.
func phases() []phase {
	return []phase{
		{"first", nil, backupWords},
		{"unchanged", nil, backupWords},
		{"1 % changed", changeSome, backupWords},
		{"moved", moveLargest, backupWords},
		{"restore", nil, func(t tool) []string { return t.restore }},
		{"check", nil, func(t tool) []string { return t.check }},
		{"deep check", nil, func(t tool) []string { return t.deep }},
	}
}

// phase measures one phase. What is restored is compared with the tree.
func (j *job) phase(ctx context.Context, p phase) (r result, err error) {
	words := p.words(j.tool)
	if words == nil {
		return r, errLeftOut
	}
	to := filepath.Join(j.dir, fmt.Sprintf("restored-%d", j.count))
	if p.name == "restore" {
		j.count++
		if err := os.Mkdir(to, 0o755); err != nil {
			return r, err
		}
	}
	if r.sample, err = measure(ctx, j.command(words, to)); err != nil {
		return r, err
	}
	switch p.name {
	case "first":
		r.VaultBytes, err = sizeOf(j.vault())
	case "restore":
		err = j.compare(to)
	}
	return r, err
}

// compare finds the restored tree below a directory and compares it.
func (j *job) compare(to string) error {
	for _, at := range []string{filepath.Join(to, filepath.Base(j.tree)), filepath.Join(to, j.tree)} {
		if _, err := os.Stat(at); err == nil {
			return sameTree(j.tree, at)
		}
	}
	return fmt.Errorf("nothing was restored to %s", to)
}

// sizeOf is the size in bytes of all files below a directory.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
