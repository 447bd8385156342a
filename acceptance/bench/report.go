//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
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

// cell is the medians of one phase of one tool on one tree.
type cell struct {
	sample
	vault int64
	runs  int
}

// table is the cells by tree, tool and phase, with the orders in which they
// came.
type table struct {
	trees, tools, phases []string
	cells                map[[3]string]cell
}

func median[T int64 | float64](list []T) T {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// tabulate takes the medians of the runs.
func tabulate(results []result) table {
	t := table{cells: map[[3]string]cell{}}
	groups := map[[3]string][]result{}
	for _, r := range results {
		for _, o := range []struct {
			list *[]string
			name string
		}{{&t.trees, r.Tree}, {&t.tools, r.Tool}, {&t.phases, r.Phase}} {
			if !slices.Contains(*o.list, o.name) {
				*o.list = append(*o.list, o.name)
			}
		}
		key := [3]string{r.Tree, r.Tool, r.Phase}
		groups[key] = append(groups[key], r)
	}
	for key, list := range groups {
		floats := func(f func(result) float64) float64 {
			var all []float64
			for _, r := range list {
				all = append(all, f(r))
			}
			return median(all)
		}
		ints := func(f func(result) int64) int64 {
			return int64(floats(func(r result) float64 { return float64(f(r)) }))
		}
		t.cells[key] = cell{runs: len(list), vault: ints(func(r result) int64 { return r.VaultBytes }), sample: sample{
			WallSeconds: floats(func(r result) float64 { return r.WallSeconds }),
			CPUSeconds:  floats(func(r result) float64 { return r.CPUSeconds }),
			PeakRSS:     ints(func(r result) int64 { return r.PeakRSS }),
			PeakAnon:    ints(func(r result) int64 { return r.PeakAnon }),
			AverageAnon: ints(func(r result) int64 { return r.AverageAnon })}}
	}
	return t
}

// markdown is the tables of all trees.
func (t table) markdown() string {
	var b strings.Builder
	for _, tree := range t.trees {
		fmt.Fprintf(&b, "\n### Tree (%s)\n\n", tree)
		b.WriteString("Wall s / CPU s · peak RSS / peak anonymous / average anonymous MiB; in brackets wall · CPU as ratios to restic.\n\n| |")
		tools := slices.DeleteFunc(slices.Clone(t.tools), func(tool string) bool {
			return !slices.ContainsFunc(t.phases, func(p string) bool { _, ok := t.cells[[3]string{tree, tool, p}]; return ok })
		})
		for _, tool := range tools {
			fmt.Fprintf(&b, " %s |", tool)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(tools)) + "\n")
		for _, p := range t.phases {
			fmt.Fprintf(&b, "| %s |", p)
			for _, tool := range tools {
				b.WriteString(" " + t.text(tree, tool, p) + " |")
			}
			b.WriteByte('\n')
		}
		b.WriteString("| vault MiB |")
		for _, tool := range tools {
			fmt.Fprintf(&b, " %.0f |", mib(t.cells[[3]string{tree, tool, "first"}].vault))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (t table) text(tree, tool, phase string) string {
	c, ok := t.cells[[3]string{tree, tool, phase}]
	if !ok {
		return "–"
	}
	s := fmt.Sprintf("%.2f / %.2f · %.0f / %.0f / %.0f", c.WallSeconds, c.CPUSeconds, mib(c.PeakRSS), mib(c.PeakAnon), mib(c.AverageAnon))
	if peer, ok := t.restic(tree, phase); ok && tool != "restic" {
		s += fmt.Sprintf(" (**%.2f** · %.2f)", c.WallSeconds/peer.WallSeconds, c.CPUSeconds/peer.CPUSeconds)
	}
	return s
}

// restic is what a phase is compared with: a deep check with restic's only
// one.
func (t table) restic(tree, phase string) (cell, bool) {
	if phase == "deep check" {
		phase = "check"
	}
	c, ok := t.cells[[3]string{tree, "restic", phase}]
	return c, ok && c.WallSeconds > 0 && c.CPUSeconds > 0
}

// renderFile makes the tables and plots of a file of results.
func renderFile(file, out string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var results []result
	if err := json.Unmarshal(data, &results); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	t := tabulate(results)
	page := filepath.Join(out, "benchmarks.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), beginMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return errors.New("benchmarks.md has no place for the tables")
	}
	errs := []error{os.WriteFile(page, []byte(before+beginMark+"\n"+t.markdown()+"\n"+endMark+after), 0o644)}
	for _, tree := range t.trees {
		errs = append(errs, os.WriteFile(filepath.Join(out, "benchmarks-"+tree+".svg"), []byte(t.plot(tree)), 0o644))
	}
	fmt.Print(t.markdown())
	return errors.Join(errs...)
}
