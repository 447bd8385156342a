//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	s := settings{"trees": "a,b,c", "tools": "holm,parity,restic,borg,baseline,floor", "phases": "", "runs": "3", "holm": "bin/holm",
		"limit": "", "scale": "", "size": "1", "work": "", "out": "docs", "render": ""}
	given := map[string]bool{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if _, known := s[name]; !ok || !known {
			return nil, fmt.Errorf("%q: want one of trees, tools, phases, runs, holm, limit, scale, size, work, out, render with =value", a)
		}
		s[name], given[name] = value, true
	}
	if !given["tools"] && (s["limit"] != "" || s["scale"] != "") {
		s["tools"] = "holm"
	}
	if s["work"] == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		s["work"] = filepath.Join(base, "holm", "bench")
	}
	for _, name := range []string{"work", "out"} {
		path, err := filepath.Abs(s[name])
		if err != nil {
			return nil, err
		}
		s[name] = path
	}
	return s, nil
}

// bench is one measurement under way.
type bench struct {
	work   string  // trees, vaults
	size   float64 // part of the trees
	limit  int64   // MiB of memory; 0: none
	phases []phase
	tools  []tool
	rest   time.Duration // after each run
	record *record
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	rec, err := openRecord(s["out"], time.Now())
	if err != nil {
		return err
	}
	if err := rec.openPage(); err != nil {
		return err
	}
	if s["render"] != "" {
		return rec.render()
	}
	b := &bench{work: s["work"], rest: forgetful, record: rec}
	runs, err := b.configure(s)
	if err != nil {
		return err
	}
	if err := b.known(s); err != nil {
		return err
	}
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return err
	}
	cleanup, err := b.findTools(ctx, s)
	defer func() { cleanup() }()
	if err != nil {
		return err
	}
	if err := b.versions(ctx); err != nil {
		return err
	}
	if s["scale"] != "" {
		err = b.scale(ctx, strings.Split(s["scale"], ","))
	} else {
		err = b.trees(ctx, strings.Split(s["trees"], ","), runs)
	}
	if err != nil {
		return fmt.Errorf("%w; runs that are complete are in %s, and render=1 makes the page of them", err, rec.file())
	}
	return rec.render()
}

// trees measures the tools on trees, so many times.
func (b *bench) trees(ctx context.Context, names []string, runs int) error {
	for _, name := range names {
		tree, err := b.makeTree(ctx, name)
		if err != nil {
			return fmt.Errorf("making tree %s: %w", name, err)
		}
		if err := b.record.describeTree(name, tree); err != nil {
			return err
		}
		for n := range runs {
			if err := b.round(ctx, name, tree, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// known refuses trees and growing sources that there are not, before the first
// one is measured.
func (b *bench) known(s settings) error {
	for _, name := range strings.Split(s["trees"], ",") {
		if _, _, err := b.tree(name); err != nil {
			return fmt.Errorf("trees=%s: %w", s["trees"], err)
		}
	}
	if s["scale"] == "" {
		return nil
	}
	for _, kind := range strings.Split(s["scale"], ",") {
		if !slices.ContainsFunc(growths(), func(g growth) bool { return g.key == kind }) {
			return fmt.Errorf("scale=%s: want files, links, entries or sparse", s["scale"])
		}
	}
	return nil
}

// configure reads the settings that are numbers or lists of phases.
func (b *bench) configure(s settings) (runs int, err error) {
	if runs, err = strconv.Atoi(s["runs"]); err != nil || runs < 1 {
		return 0, fmt.Errorf("runs=%s: want a number from 1", s["runs"])
	}
	if b.size, err = strconv.ParseFloat(s["size"], 64); err != nil || b.size <= 0 || b.size > 1 {
		return 0, fmt.Errorf("size=%s: want a number above 0, at most 1", s["size"])
	}
	if s["limit"] != "" {
		if b.limit, err = strconv.ParseInt(s["limit"], 10, 32); err != nil || b.limit < 1 {
			return 0, fmt.Errorf("limit=%s: want a number of MiB", s["limit"])
		}
	}
	b.phases = phases()
	if s["phases"] == "" {
		return runs, nil
	}
	wanted := append(strings.Split(s["phases"], ","), "first")
	b.phases = slices.DeleteFunc(b.phases, func(p phase) bool { return !slices.Contains(wanted, p.key) })
	for _, key := range wanted {
		if !slices.ContainsFunc(b.phases, func(p phase) bool { return p.key == key }) {
			return 0, fmt.Errorf("phases=%s: there is no phase %s", s["phases"], key)
		}
	}
	return runs, nil
}

// versions asks every tool what it is.
func (b *bench) versions(ctx context.Context) error {
	for _, t := range b.tools {
		_, said, err := measure(ctx, command{words: t.version, enter: t.enter})
		if err != nil {
			return fmt.Errorf("asking %s for its version: %w", t.name, err)
		}
		line, _, _ := strings.Cut(said, "\n")
		switch t.name {
		case "baseline":
			line += ", commit " + firstRoad
		case "holm":
			if commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
				line += ", commit " + strings.TrimSpace(string(commit))
			}
		}
		b.record.Versions[t.name] = line
	}
	return nil
}

// forgetful is how long ext4 remembers which files were removed: until then it
// looks for a free inode for each new file at great length.
const forgetful = 40 * time.Second

// round is one run of all tools over one tree. Each phase is done by every tool
// before the next one begins. What it measured is kept once all of it is done.
func (b *bench) round(ctx context.Context, name, tree string, n int) error {
	dir := filepath.Join(b.work, "run", fmt.Sprintf("%s-%d", name, n))
	if err := os.RemoveAll(dir); err != nil { // of a run that was killed
		return err
	}
	live := filepath.Join(dir, "tree") // a copy, because phases change it
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := copyTree(ctx, tree+"/.", live); err != nil {
		return err
	}
	var jobs []*job
	for _, t := range b.tools {
		j := &job{tool: t, dir: filepath.Join(dir, strings.ReplaceAll(t.name, " ", "-")), tree: live}
		if err := j.init(ctx); err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	for _, p := range b.phases {
		if err := b.phase(ctx, p, jobs, result{Tree: name, Run: n}); err != nil {
			return fmt.Errorf("tree %s, phase %s: %w", name, p.title, err)
		}
	}
	if err := b.record.save(); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.rest):
		return nil
	}
}

// phase lets every tool do one phase and keeps what it took. In a limit of
// memory a tool may fail: that is what the limit is to find out.
func (b *bench) phase(ctx context.Context, p phase, jobs []*job, as result) error {
	live := jobs[0].tree
	if p.before != nil {
		if err := p.before(live); err != nil {
			return err
		}
	}
	if b.limit == 0 {
		if err := warm(live); err != nil {
			return err
		}
	}
	for _, j := range jobs {
		if j.tool.does[p.key] == nil {
			continue
		}
		syscall.Sync() // nobody pays for what the one before has written
		if b.limit > 0 {
			if err := dropCaches(); err != nil {
				return err
			}
		}
		r, err := j.phase(ctx, p.key)
		if err != nil && (b.limit == 0 || ctx.Err() != nil) {
			return fmt.Errorf("%s: %w", j.tool.name, err)
		}
		if err != nil {
			r.Failed = err.Error()
		}
		r.Tree, r.Tool, r.Phase, r.Run, r.Count, r.LimitMiB = as.Tree, j.tool.name, p.key, as.Run, as.Count, b.limit
		b.record.add(r)
		fmt.Fprintf(os.Stderr, "%s %-14s %-10s %7.2f s wall %7.2f s CPU %6.1f MiB RSS %6.1f MiB anonymous (average %.1f) %s\n",
			r.Tree, r.Tool, p.key, r.WallSeconds, r.CPUSeconds, mib(r.PeakRSS), mib(r.PeakAnon), mib(r.AverageAnon), r.Failed)
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
