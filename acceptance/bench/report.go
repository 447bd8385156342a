//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Marks in benchmarks.md between which the tables stand.
const (
	beginMark = "<!-- tables of the benchmark: made by make bench -->"
	endMark   = "<!-- end of the tables -->"
)

// key names a cell: a tree, a tool and a phase.
type key struct{ tree, tool, phase string }

// cell is the medians of one phase of one tool on one tree.
type cell struct {
	sample
	vault    int64
	parity   int64
	runs     int
	failed   int
	sessions []string
}

// cells is what was measured on one kind of source: trees, or in a limit of
// memory.
type cells map[key]cell

// median of a list that is not empty is its middle or the mean of the two.
func median[T int64 | float64](list []T) T {
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// tabulate takes the medians of the runs that ended well of the results that
// are wanted.
func (r *record) tabulate(want func(result) bool) cells {
	groups := map[key][]result{}
	for _, res := range r.Results {
		if want(res) {
			k := key{res.Tree, res.Tool, res.Phase}
			groups[k] = append(groups[k], res)
		}
	}
	all := cells{}
	for k, list := range groups {
		c := cell{runs: len(list)}
		for _, res := range list {
			if res.Failed != "" {
				c.failed++
			}
			if !slices.Contains(c.sessions, res.Session) {
				c.sessions = append(c.sessions, res.Session)
			}
		}
		list = slices.DeleteFunc(list, func(res result) bool { return res.Failed != "" })
		if len(list) > 0 {
			c.sample = sample{of(list, func(r result) float64 { return r.WallSeconds }), of(list, func(r result) float64 { return r.CPUSeconds }),
				of(list, func(r result) int64 { return r.PeakRSS }), of(list, func(r result) int64 { return r.PeakAnon }),
				of(list, func(r result) int64 { return r.AverageAnon })}
			c.vault = of(list, func(r result) int64 { return r.VaultBytes })
			c.parity = of(list, func(r result) int64 { return r.ParityBytes })
		}
		all[k] = c
	}
	return all
}

// of is the median of one figure of results.
func of[T int64 | float64](list []result, figure func(result) T) T {
	var figures []T
	for _, r := range list {
		figures = append(figures, figure(r))
	}
	return median(figures)
}

// plain are the results of the trees, without limit.
func plain(r result) bool { return r.Count == 0 && r.LimitMiB == 0 }

// toolOrder is how tools stand beside each other.
func toolOrder() []string {
	return []string{"holm", "restic", "borg", "baseline", "floor", "parity"}
}

// tools are those that have a figure for a tree.
func (c cells) tools(tree string) []string {
	return slices.DeleteFunc(toolOrder(), func(tool string) bool {
		for k := range c {
			if k.tree == tree && k.tool == tool {
				return false
			}
		}
		return true
	})
}

// peer is what a phase is compared with: a deep check with restic's only one.
func (c cells) peer(tree, phase string) (cell, bool) {
	if phase == "deep" {
		phase = "check"
	}
	p, ok := c[key{tree, "restic", phase}]
	return p, ok && p.WallSeconds > 0 && p.CPUSeconds > 0
}

// treeTable is the tables of one tree.
func (r *record) treeTable(c cells, tree string) string {
	var b strings.Builder
	size := r.Trees[tree]
	tools := slices.DeleteFunc(c.tools(tree), func(t string) bool { return t == "parity" })
	fmt.Fprintf(&b, "\n### Tree (%s): %s files, %s MiB\n", tree, thousands(size.Files), thousands(size.Bytes>>20))
	b.WriteString("\nWall s · CPU s, medians; in brackets the same as ratios to restic.\n\n")
	b.WriteString(head(tools))
	for _, p := range phases() {
		row(&b, p.title, tools, func(tool string) string {
			e, ok := c[key{tree, tool, p.key}]
			if !ok {
				return "–"
			}
			s := fmt.Sprintf("%.2f · %.2f", e.WallSeconds, e.CPUSeconds)
			if peer, ok := c.peer(tree, p.key); ok && tool != "restic" {
				s += fmt.Sprintf(" (**%.2f** · %.2f)", e.WallSeconds/peer.WallSeconds, e.CPUSeconds/peer.CPUSeconds)
			}
			return s
		})
	}
	row(&b, "vault MiB", tools, func(tool string) string {
		e := c[key{tree, tool, "first"}]
		if e.vault == 0 {
			return "–"
		}
		s := fmt.Sprintf("%.0f", mib(e.vault))
		if peer, ok := c.peer(tree, "first"); ok && tool != "restic" {
			s += fmt.Sprintf(" (**%.2f**)", float64(e.vault)/float64(peer.vault))
		}
		return s
	})
	b.WriteString("\nPeak RSS / peak anonymous / average anonymous memory, MiB.\n\n" + head(tools))
	for _, p := range phases() {
		row(&b, p.title, tools, func(tool string) string {
			e, ok := c[key{tree, tool, p.key}]
			if !ok {
				return "–"
			}
			return fmt.Sprintf("%.0f / %.0f / %.0f", mib(e.PeakRSS), mib(e.PeakAnon), mib(e.AverageAnon))
		})
	}
	fmt.Fprintf(&b, "\n![Time of every phase on tree %s](benchmarks-%s.svg)\n\n![Memory of every phase on tree %s](memory-%s.svg)\n", tree, tree, tree, tree)
	return b.String()
}

func head(columns []string) string {
	return "| | " + strings.Join(columns, " | ") + " |\n|---|" + strings.Repeat("---|", len(columns)) + "\n"
}

func row(b *strings.Builder, name string, columns []string, text func(column string) string) {
	fmt.Fprintf(b, "| %s |", name)
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", text(c))
	}
	b.WriteByte('\n')
}

// limitTable compares holm within a limit of memory and without.
func (r *record) limitTable() string {
	c := r.tabulate(func(res result) bool { return res.LimitMiB > 0 && res.Count == 0 })
	if len(c) == 0 {
		return ""
	}
	trees, limit := []string{}, int64(0)
	for _, res := range r.Results {
		if res.LimitMiB > 0 {
			limit = res.LimitMiB
			if !slices.Contains(trees, res.Tree) {
				trees = append(trees, res.Tree)
			}
		}
	}
	slices.Sort(trees)
	var b strings.Builder
	fmt.Fprintf(&b, "\n### In %d MiB\n\nWall s of holm without a limit → within a cgroup of %d MiB without swap, which holds the page cache too, and the ratio (goal 1.2). "+
		"Both begin each phase with nothing cached.\n\n", limit, limit)
	b.WriteString(head(trees))
	for _, p := range phases() {
		row(&b, p.title, trees, func(tree string) string {
			free, limited := c[key{tree, "holm" + freeSuffix, p.key}], c[key{tree, "holm" + limitedSuffix, p.key}]
			switch {
			case limited.failed > 0:
				return fmt.Sprintf("**failed**, %d of %d", limited.failed, limited.runs)
			case free.WallSeconds == 0 || limited.WallSeconds == 0:
				return "–"
			}
			return fmt.Sprintf("%.2f → %.2f (**%.2f**)", free.WallSeconds, limited.WallSeconds, limited.WallSeconds/free.WallSeconds)
		})
	}
	return b.String()
}

// scaleTable is the memory of holm as a source grows.
func (r *record) scaleTable() string {
	var b strings.Builder
	for _, g := range growths() {
		counts := r.counts(g.key)
		if len(counts) == 0 {
			continue
		}
		var columns []string
		for _, n := range counts {
			columns = append(columns, thousands(n))
		}
		b.WriteString("\n" + strings.Replace(head(columns), "| |", "| "+g.title+" |", 1))
		for _, phase := range []string{"first", "unchanged", "restore"} {
			fmt.Fprintf(&b, "| %s |", phase)
			for _, n := range counts {
				if e, ok := r.growthCell(g.key, phase, n); ok {
					fmt.Fprintf(&b, " %.0f / %.0f · %.1f s |", mib(e.PeakAnon), mib(e.AverageAnon), e.WallSeconds)
				} else {
					b.WriteString(" – |")
				}
			}
			b.WriteByte('\n')
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n### Memory as a source grows\n\nPeak / average anonymous memory of holm in MiB · wall time.\n" + b.String() +
		"\n![Anonymous memory as a source grows](memory.svg)\n"
}

// counts are the sizes at which a growing source was measured.
func (r *record) counts(kind string) []int64 {
	var all []int64
	for _, res := range r.Results {
		if res.Tree == kind && res.Count > 0 {
			all = append(all, res.Count)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *record) growthCell(kind, phase string, count int64) (cell, bool) {
	c, ok := r.tabulate(func(res result) bool { return res.Count == count && res.LimitMiB == 0 })[key{kind, "holm", phase}]
	return c, ok
}

// trees are those for which there are figures without limit.
func (c cells) trees() []string {
	var all []string
	for k := range c {
		all = append(all, k.tree)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// markdown is all that stands between the marks.
func (r *record) markdown() string {
	var b strings.Builder
	c := r.tabulate(plain)
	fmt.Fprintf(&b, "\nMachine: %s.\n\n", r.Machine)
	for _, tool := range toolOrder() {
		if v := r.Versions[tool]; v != "" && tool != "parity" {
			fmt.Fprintf(&b, "- %s: %s\n", tool, v)
		}
	}
	b.WriteString(r.goalTable(c))
	for _, tree := range c.trees() {
		b.WriteString(r.treeTable(c, tree))
		b.WriteString(sessionNote(c, tree))
	}
	b.WriteString(r.limitTable() + r.scaleTable())
	return b.String()
}

// sessionNote says it where figures of one tree are not of one measurement, and
// how many runs there were.
func sessionNote(c cells, tree string) string {
	var sessions []string
	runs := 0
	for k, e := range c {
		if k.tree == tree {
			sessions = append(sessions, e.sessions...)
			runs = max(runs, e.runs)
		}
	}
	slices.Sort(sessions)
	if sessions = slices.Compact(sessions); len(sessions) == 1 {
		return fmt.Sprintf("\nRuns: %d, on %s.\n", runs, sessions[0][:len("2006-01-02")])
	}
	return fmt.Sprintf("\nRuns: %d. Not all of it is of one measurement: %s.\n", runs, strings.Join(sessions, ", "))
}

func (r *record) page() string { return filepath.Join(r.out, "benchmarks.md") }

// readPage is what stands before and after the tables.
func (r *record) readPage() (before, after string, err error) {
	text, err := os.ReadFile(r.page())
	if err != nil {
		return "", "", err
	}
	before, rest, ok := strings.Cut(string(text), beginMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return "", "", fmt.Errorf("%s has no place for the tables", r.page())
	}
	return before, after, nil
}

// openPage makes sure, before anything is measured, that there is a page with a
// place for the tables and that the results can be kept beside it.
func (r *record) openPage() error {
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	_, _, err := r.readPage()
	if errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(r.page(), []byte("# Figures\n\n"+beginMark+"\n"+endMark+"\n"), 0o644)
	}
	if err != nil {
		return err
	}
	return r.save()
}

// render makes the tables and plots of what was measured.
func (r *record) render() error {
	before, after, err := r.readPage()
	if err != nil {
		return err
	}
	files := map[string]string{"benchmarks.md": before + beginMark + "\n" + r.markdown() + "\n" + endMark + after}
	c := r.tabulate(plain)
	for _, tree := range c.trees() {
		files["benchmarks-"+tree+".svg"] = c.timePlot(tree)
		files["memory-"+tree+".svg"] = c.memoryPlot(tree)
	}
	if plot := r.growthPlot(); plot != "" {
		files["memory.svg"] = plot
	}
	var errs []error
	for name, content := range files {
		errs = append(errs, os.WriteFile(filepath.Join(r.out, name), []byte(content), 0o644))
	}
	fmt.Print(r.markdown())
	return errors.Join(errs...)
}
