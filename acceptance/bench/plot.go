//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	barHeight  = 14
	phaseGap   = 16
	labelWidth = 110
	plotWidth  = 760
	topSpace   = 56
)

// colors of the tools, readable on light and dark ground.
func color(tool string) string {
	return map[string]string{"holm": "#2f8f4e", "limited": "#85c79a", "restic": "#4c78c8", "borg": "#c8893c", "baseline": "#8d8d8d"}[tool]
}

// plot is bars of the wall time of every phase, as a part of restic's.
func (t table) plot(tree string) string {
	var b strings.Builder
	phases := slices.DeleteFunc(slices.Clone(t.phases), func(p string) bool { _, ok := t.restic(tree, p); return !ok })
	y := topSpace
	var body strings.Builder
	const unit = (plotWidth - labelWidth - 60) / 2.5 // 2.5 times restic fit
	for _, p := range phases {
		peer, _ := t.restic(tree, p)
		first := y
		for _, tool := range t.tools {
			c, ok := t.cells[[3]string{tree, tool, p}]
			if !ok || color(tool) == "" {
				continue
			}
			ratio := c.WallSeconds / peer.WallSeconds
			width := math.Min(ratio, 2.5) * unit
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`, labelWidth, y, math.Max(width, 1), barHeight-2, color(tool))
			fmt.Fprintf(&body, `<text x="%.1f" y="%d" class="n">%.2f</text>`+"\n", labelWidth+width+5, y+barHeight-4, ratio)
			y += barHeight
		}
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, (first+y)/2+4, html.EscapeString(p))
		y += phaseGap
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, y)
	b.WriteString("<style>text{fill:#333}.n{font-size:11px}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>\n")
	fmt.Fprintf(&b, `<text x="8" y="20" font-size="14" font-weight="bold">Tree (%s): wall time, restic = 1; shorter is better</text>`+"\n", html.EscapeString(tree))
	x := labelWidth
	for _, tool := range t.tools {
		if _, ok := t.cells[[3]string{tree, tool, "first"}]; !ok || color(tool) == "" {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%d" y="32" width="10" height="10" fill="%s"/><text x="%d" y="41">%s</text>`+"\n", x, color(tool), x+14, tool)
		x += 100
	}
	fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#888" stroke-dasharray="3 3"/>`+"\n", labelWidth+unit, topSpace-6, labelWidth+unit, y-phaseGap)
	b.WriteString(body.String() + "</svg>\n")
	return b.String()
}
