//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// goal is what a phase is to reach on tree (a), as ratios to restic; 0: none.
type goal struct{ wall, cpu float64 }

func goals() map[string]goal {
	return map[string]goal{
		"first":     {0.60, 0.65},
		"unchanged": {0.12, 0.12},
		"changed":   {0.18, 0.18},
		"restore":   {0.85, 1.05},
		"check":     {0.20, 0},
		"deep":      {0.80, 0},
	}
}

// Goals that are no ratios of time to restic's.
const (
	goalVault     = 0.92     // of restic's
	goalParity    = 0.032    // of the vault
	goalTar       = 1.15     // CPU of a restore, of that of tar
	goalBaseline  = 4        // the first road's wall time of an unchanged tree, of today's
	goalPeak      = 48 << 20 // anonymous memory
	goalAverage   = 32 << 20
	goalLimitTime = 1.2 // wall time in a limit of memory, of that without
)

// goalTable says which goals are met.
func (r *record) goalTable(c cells) string {
	var b strings.Builder
	line := func(what string, want, got float64, met bool) {
		fmt.Fprintf(&b, "| %s | %.3g | %.3g | %s |\n", what, want, got, map[bool]string{true: "yes", false: "**no**"}[met])
	}
	most := func(what string, want, got float64) { line(what, want, got, got <= want) }
	for _, p := range phases() {
		g, own := goals()[p.key], c[key{"a", "holm", p.key}]
		peer, ok := c.peer("a", p.key)
		if !ok || own.runs == 0 || g.wall == 0 {
			continue
		}
		most(p.title+", wall ÷ restic", g.wall, own.WallSeconds/peer.WallSeconds)
		if g.cpu > 0 {
			most(p.title+", CPU ÷ restic", g.cpu, own.CPUSeconds/peer.CPUSeconds)
		}
	}
	own, restic, parity := c[key{"a", "holm", "first"}].vault, c[key{"a", "restic", "first"}].vault, c[key{"a", "parity", "first"}]
	if own > 0 && restic > 0 {
		most("vault ÷ restic", goalVault, float64(own)/float64(restic))
	}
	if parity.parity > 0 {
		most("parity ÷ what it is beside", goalParity, float64(parity.parity)/float64(parity.vault-parity.parity))
	}
	if tar, restore := c[key{"a", "floor", "restore"}], c[key{"a", "holm", "restore"}]; tar.CPUSeconds > 0 && restore.runs > 0 {
		most("restore, CPU ÷ tar x", goalTar, restore.CPUSeconds/tar.CPUSeconds)
	}
	if old, now := c[key{"a", "baseline", "unchanged"}], c[key{"a", "holm", "unchanged"}]; old.runs > 0 && now.WallSeconds > 0 {
		ratio := old.WallSeconds / now.WallSeconds
		line("unchanged, wall of the first road ÷ today (at least)", goalBaseline, ratio, ratio >= goalBaseline)
	}
	if peak, average := c.memory(); peak > 0 {
		most("highest anonymous memory of any phase on any tree, MiB", mib(goalPeak), mib(peak))
		most("highest average of it, MiB", mib(goalAverage), mib(average))
	}
	if worst, ok := r.worstLimit(); ok {
		most("slowest phase in a limit of memory, wall ÷ without", goalLimitTime, worst)
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n### Goals (tree (a) unless it says otherwise)\n\n| | goal | measured | met |\n|---|---|---|---|\n" + b.String()
}

// memory is the highest peak and average of anonymous memory of holm.
func (c cells) memory() (peak, average int64) {
	for k, e := range c {
		if k.tool == "holm" || k.tool == "parity" {
			peak, average = max(peak, e.PeakAnon), max(average, e.AverageAnon)
		}
	}
	return peak, average
}

// worstLimit is the largest ratio of wall times in and without a limit of
// memory; a phase that failed in it counts as infinite.
func (r *record) worstLimit() (worst float64, ok bool) {
	c := r.tabulate(func(res result) bool { return res.LimitMiB > 0 && res.Count == 0 })
	var ratios []float64
	for k, limited := range c {
		tool, isLimited := strings.CutSuffix(k.tool, limitedSuffix)
		free := c[key{k.tree, tool + freeSuffix, k.phase}]
		if !isLimited || free.WallSeconds == 0 {
			continue
		}
		ratio := limited.WallSeconds / free.WallSeconds
		if limited.failed > 0 {
			ratio = math.Inf(1)
		}
		ratios = append(ratios, ratio)
	}
	if len(ratios) == 0 {
		return 0, false
	}
	return slices.Max(ratios), true
}
