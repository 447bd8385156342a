//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of the panels of the plot of growth, in pixels.
const (
	panelWidth  = 340
	panelHeight = 170
	panelLeft   = 48
	panelTop    = 92
	panelStepX  = 392
	panelStepY  = 236
)

// growthPlot is the peak of anonymous memory of holm as a source grows: a panel
// for each kind of source, a line for each phase. Empty if nothing was measured.
func (r *record) growthPlot() string {
	var body strings.Builder
	panels, most := 0, 64.0
	for _, res := range r.Results {
		if res.Count > 0 && res.Tool == "holm" {
			most = math.Max(most, 16*math.Ceil(mib(res.PeakAnon)/16))
		}
	}
	for _, g := range growths() {
		if counts := r.counts(g.key); len(counts) > 1 {
			r.panel(&body, g, counts, panels, most)
			panels++
		}
	}
	if panels == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(open(panelTop+(panels+1)/2*panelStepY-24, "Peak anonymous memory of holm as a source grows, MiB", "flat is the goal"))
	for i, phase := range growthPhases() {
		x := panelLeft + 112*i
		fmt.Fprintf(&b, `<line x1="%d" y1="52" x2="%d" y2="52" stroke="%s" stroke-width="2.5"/><circle cx="%d" cy="52" r="3.5" fill="%s"/><text x="%d" y="56">%s</text>`+"\n",
			x, x+20, phase.color, x+10, phase.color, x+26, phase.key)
	}
	fmt.Fprintf(&b, `<line x1="%d" y1="52" x2="%d" y2="52" class="goal" stroke-width="1.5" stroke-dasharray="5 4"/><text x="%d" y="56">goal %d</text>`+"\n",
		panelLeft+336, panelLeft+356, panelLeft+362, int(mib(goalPeak)))
	return b.String() + body.String() + "</svg>\n"
}

// growthPhases are the lines of a panel.
func growthPhases() []struct{ key, color string } {
	return []struct{ key, color string }{{"first", "#2da44e"}, {"unchanged", "#4c7fd0"}, {"restore", "#d4903a"}}
}

// panel draws one kind of source; its place counts from 0, left to right.
func (r *record) panel(b *strings.Builder, g growth, counts []int64, place int, most float64) {
	left, top := float64(panelLeft+place%2*panelStepX), float64(panelTop+place/2*panelStepY)
	from, to := math.Log(float64(counts[0])), math.Log(float64(counts[len(counts)-1]))
	x := func(count int64) float64 {
		return left + 12 + (math.Log(float64(count))-from)/(to-from)*(panelWidth-40)
	}
	y := func(value float64) float64 { return top + panelHeight*(1-value/most) }
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" font-weight="600">%s</text>`+"\n", left, top-10, html.EscapeString(g.title))
	for v := 0.0; v <= most; v += 16 {
		fmt.Fprintf(b, `<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" class="grid"/><text x="%.0f" y="%.1f" font-size="11" text-anchor="end" class="soft">%.0f</text>`+"\n",
			left, y(v), left+panelWidth, y(v), left-6, y(v)+4, v)
	}
	fmt.Fprintf(b, `<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" class="goal" stroke-width="1.5" stroke-dasharray="5 4"/>`+"\n", left, y(mib(goalPeak)), left+panelWidth, y(mib(goalPeak)))
	for _, n := range counts {
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" font-size="11" text-anchor="middle" class="soft">%s</text>`+"\n", x(n), top+panelHeight+17, thousands(n))
	}
	for _, phase := range growthPhases() {
		var points, dots strings.Builder
		for _, n := range counts {
			if c, ok := r.growthCell(g.key, phase.key, n); ok {
				at, value := x(n), mib(c.PeakAnon)
				fmt.Fprintf(&points, "%.1f,%.1f ", at, y(value))
				fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`, at, y(value), phase.color)
			}
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2.5"/>%s`+"\n", strings.TrimSpace(points.String()), phase.color, dots.String())
	}
}

// thousands writes a number with spaces between its thousands.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf("\u2009%03d", n%1000)
}
