//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	plotWidth  = 820
	labelWidth = 178
	valueWidth = 64 // to the right of the longest bar
	topSpace   = 72
	barHeight  = 12
	barGap     = 2
	groupGap   = 16
)

// style is readable on light and dark ground: the plot brings its own.
const style = `<style>
.card{fill:#ffffff;stroke:#d0d7de}text{fill:#24292f}.soft{fill:#57606a}.grid{stroke:#d8dee4}.goal{stroke:#cf222e}
.value{stroke:#ffffff;stroke-width:3px;paint-order:stroke}
@media(prefers-color-scheme:dark){.card{fill:#161b22;stroke:#30363d}text{fill:#e6edf3}.soft{fill:#9da7b1}.grid{stroke:#30363d}.goal{stroke:#ff7b72}
.value{stroke:#161b22}}
</style>
`

// color of a tool.
func color(tool string) string {
	switch tool {
	case "holm":
		return "#2da44e"
	case "restic":
		return "#4c7fd0"
	case "borg":
		return "#d4903a"
	case "baseline":
		return "#8b6fc0"
	}
	return "#8c959f"
}

// bars is a plot of groups of bars, a group for each phase.
type bars struct {
	title, subtitle string
	tools           []string
	most            float64 // where the scale ends; longer bars are cut there
	step            float64 // between the lines of the grid
	groups          []group
}

type group struct {
	label string
	bars  []bar
	goal  float64 // 0: none
}

// bar is one figure; the first part of its length can be of a stronger color.
type bar struct {
	tool        string
	value, part float64
	text        string
}

// svg draws the plot.
func (p bars) svg() string {
	scale := (plotWidth - labelWidth - valueWidth) / p.most
	var body strings.Builder
	y, hasGoals := topSpace, false
	for _, g := range p.groups {
		var values strings.Builder // in front of the line of the goal
		top := y
		for _, b := range g.bars {
			length := math.Max(1, math.Min(b.value, p.most)*scale)
			opacity := ""
			if b.part > 0 {
				opacity = ` fill-opacity="0.45"`
			}
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"%s/>`+"\n", labelWidth, y, length, barHeight, color(b.tool), opacity)
			if b.part > 0 {
				fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", labelWidth, y, math.Min(b.part, p.most)*scale, barHeight, color(b.tool))
			}
			fmt.Fprintf(&values, `<text x="%.1f" y="%d" font-size="11" class="soft value">%s</text>`+"\n", labelWidth+length+5, y+barHeight-2, html.EscapeString(b.text))
			y += barHeight + barGap
		}
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-12, (top+y)/2+3, html.EscapeString(g.label))
		if g.goal > 0 {
			hasGoals = true
			x := labelWidth + g.goal*scale
			fmt.Fprintf(&body, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="goal" stroke-width="2"/>`+"\n", x, top-4, x, y+2)
		}
		body.WriteString(values.String())
		y += groupGap
	}
	var b strings.Builder
	b.WriteString(open(y+18, p.title, p.subtitle))
	for v := 0.0; v <= p.most+p.step/2; v += p.step {
		x := labelWidth + v*scale
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="grid"/><text x="%.1f" y="%d" font-size="11" text-anchor="middle" class="soft">%g</text>`+"\n",
			x, topSpace-6, x, y-groupGap+6, x, y+4, v)
	}
	p.legend(&b, hasGoals)
	return b.String() + body.String() + "</svg>\n"
}

// legend tells the colors.
func (p bars) legend(b *strings.Builder, goals bool) {
	x := labelWidth
	for _, tool := range p.tools {
		fmt.Fprintf(b, `<rect x="%d" y="48" width="11" height="11" rx="2" fill="%s"/><text x="%d" y="58">%s</text>`+"\n", x, color(tool), x+16, html.EscapeString(tool))
		x += 92
	}
	if goals {
		fmt.Fprintf(b, `<line x1="%d" y1="46" x2="%d" y2="61" class="goal" stroke-width="2"/><text x="%d" y="58">goal</text>`+"\n", x+4, x+4, x+14)
	}
}

// open begins a plot of a height.
func open(height int, title, subtitle string) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif" font-size="12">`+
		"\n%s"+`<rect x="0.5" y="0.5" width="%d" height="%d" rx="8" class="card"/>`+"\n"+
		`<text x="16" y="25" font-size="15" font-weight="600">%s</text><text x="%d" y="25" text-anchor="end" class="soft">%s</text>`+"\n",
		plotWidth, height, plotWidth, height, style, plotWidth-1, height-1, html.EscapeString(title), plotWidth-16, html.EscapeString(subtitle))
}

// timePlot is the wall time of every phase as a part of restic's.
func (c cells) timePlot(tree string) string {
	p := bars{title: fmt.Sprintf("Wall time on tree (%s), restic = 1", tree), subtitle: "shorter is better", step: 0.5}
	for _, tool := range c.tools(tree) {
		if tool != "parity" {
			p.tools = append(p.tools, tool)
		}
	}
	for _, ph := range phases() {
		peer, ok := c.peer(tree, ph.key)
		if !ok {
			continue
		}
		g := group{label: ph.title}
		if tree == "a" {
			g.goal = goals()[ph.key].wall
		}
		for _, tool := range p.tools {
			if e, ok := c[key{tree, tool, ph.key}]; ok {
				ratio := e.WallSeconds / peer.WallSeconds
				p.most = math.Max(p.most, math.Min(ratio, 3)) // what is longer than that is cut
				g.bars = append(g.bars, bar{tool: tool, value: ratio, text: fmt.Sprintf("%.2f", ratio)})
			}
		}
		p.groups = append(p.groups, g)
	}
	p.fit()
	return p.svg()
}

// fit ends the scale at a line of the grid.
func (p *bars) fit() { p.most = p.step * math.Max(1, math.Ceil(p.most/p.step)) }

// memoryPlot is the peak memory of every phase.
func (c cells) memoryPlot(tree string) string {
	p := bars{title: fmt.Sprintf("Peak memory on tree (%s), MiB", tree), subtitle: "whole bar: resident; full color: anonymous", step: 32}
	for _, tool := range c.tools(tree) {
		if tool != "parity" && tool != "floor" {
			p.tools = append(p.tools, tool)
		}
	}
	for _, ph := range phases() {
		g := group{label: ph.title, goal: mib(goalPeak)}
		for _, tool := range p.tools {
			e, ok := c[key{tree, tool, ph.key}]
			if !ok {
				continue
			}
			p.most = math.Max(p.most, mib(e.PeakRSS))
			g.bars = append(g.bars, bar{tool: tool, value: mib(e.PeakRSS), part: mib(e.PeakAnon),
				text: fmt.Sprintf("%.0f / %.0f", mib(e.PeakRSS), mib(e.PeakAnon))})
		}
		if len(g.bars) > 0 {
			p.groups = append(p.groups, g)
		}
	}
	p.fit()
	return p.svg()
}
