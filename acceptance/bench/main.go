//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// settings are the words of the command line.
type settings map[string]string

func parse(args []string) (settings, error) {
	s := settings{"trees": "a,b,c", "tools": "holm,restic,borg,baseline", "runs": "3", "holm": "bin/holm", "out": "docs", "limit": "", "work": "", "render": ""}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if _, known := s[name]; !ok || !known {
			return nil, fmt.Errorf("%q: want one of %s, each with =value", a, "trees tools runs holm out limit work render")
		}
		s[name] = value
	}
	if s["work"] == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		s["work"] = filepath.Join(base, "holm", "bench")
	}
	return s, nil
}

// bench is one measurement under way.
type bench struct {
	work    string // trees, vaults
	tools   []tool
	results []result
}

// result is what one phase of one tool took.
type result struct {
	Tree, Tool, Phase string
	Run               int
	sample
	VaultBytes int64 `json:",omitempty"` // after first
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	file := filepath.Join(s["out"], "benchmarks.json")
	if s["render"] != "" {
		return renderFile(file, s["out"])
	}
	runs, err := strconv.Atoi(s["runs"])
	if err != nil || runs < 1 {
		return fmt.Errorf("runs=%s: want a number from 1", s["runs"])
	}
	b := &bench{work: s["work"]}
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return err
	}
	names := strings.Split(s["tools"], ",")
	if s["limit"] != "" {
		names = []string{"holm", "limited"}
	}
	cleanup, err := b.findTools(ctx, names, s["holm"], s["limit"])
	defer cleanup()
	if err != nil {
		return err
	}
	for _, name := range strings.Split(s["trees"], ",") {
		tree, err := b.makeTree(ctx, name)
		if err != nil {
			return fmt.Errorf("making tree %s: %w", name, err)
		}
		for n := range runs {
			if err := b.round(ctx, name, tree, n); err != nil {
				return err
			}
		}
	}
	old := []result{}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &old); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
	}
	// What is measured anew takes the place of what was there.
	old = slices.DeleteFunc(old, func(o result) bool {
		return slices.ContainsFunc(b.results, func(r result) bool { return r.Tree == o.Tree && r.Tool == o.Tool })
	})
	data, err := json.MarshalIndent(append(old, b.results...), "", " ")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(file, append(data, '\n'), 0o644), renderFile(file, s["out"]))
}

// forgetful is how long ext4 remembers which files were removed: until then it
// looks for a free inode for each new file at great length.
const forgetful = 40 * time.Second

// round is one run of all tools over one tree. Each phase is done by every tool
// before the next one begins.
func (b *bench) round(ctx context.Context, name, tree string, n int) error {
	dir := filepath.Join(b.work, "run", fmt.Sprintf("%s-%d", name, n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	live := filepath.Join(dir, "tree") // a copy, because phases change it
	if err := copyTree(ctx, tree, live); err != nil {
		return err
	}
	var jobs []*job
	for _, t := range b.tools {
		j := &job{tool: t, dir: filepath.Join(dir, t.name), tree: live, work: b.work}
		if err := j.init(ctx); err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	for _, p := range phases() {
		if p.before != nil {
			if err := p.before(live); err != nil {
				return fmt.Errorf("before phase %s: %w", p.name, err)
			}
		}
		if err := warm(live); err != nil {
			return err
		}
		for _, j := range jobs {
			r, err := j.phase(ctx, p)
			if errors.Is(err, errLeftOut) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, tree %s, phase %s: %w", j.tool.name, name, p.name, err)
			}
			r.Tree, r.Tool, r.Phase, r.Run = name, j.tool.name, p.name, n
			b.results = append(b.results, r)
			fmt.Fprintf(os.Stderr, "%s %-8s %-10s %7.2f s wall %7.2f s CPU %6.1f MiB RSS %6.1f MiB anonymous (average %.1f)\n",
				name, j.tool.name, p.name, r.WallSeconds, r.CPUSeconds, mib(r.PeakRSS), mib(r.PeakAnon), mib(r.AverageAnon))
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	time.Sleep(forgetful)
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
