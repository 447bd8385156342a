package main

import (
	"io"
	"strings"
	"unicode"
)

// What a terminal does for these is the same everywhere.
const (
	clearRight = "\x1b[K"  // the rest of the line
	clearBelow = "\x1b[J"  // the rest of the screen
	cursorUp   = "\x1b[1A" // one line
)

// A bar keeps two lines at the end of a terminal. The cursor stands at the
// beginning of the first in between, so that what is printed next can take
// their place. Each frame is one write that overwrites the last one: nothing
// flickers.
type bar struct {
	w     io.Writer
	width func() int // of the terminal, asked at each frame: windows are resized
	lines [2]string  // as drawn last
}

// draw shows two lines, cut to the width of the terminal. Of the second the
// end is kept, the more telling part of a path.
func (b *bar) draw(first, second string) {
	width := b.width() - 1 // a full line would wrap on some terminals
	b.lines = [2]string{clipRight(first, width), clipLeft(second, width)}
	b.redraw()
}

func (b *bar) redraw() {
	io.WriteString(b.w, "\r"+b.lines[0]+clearRight+"\n"+b.lines[1]+clearBelow+"\r"+cursorUp)
}

// print puts a line above the bar.
func (b *bar) print(text string) {
	io.WriteString(b.w, "\r"+clearBelow+text+"\n")
	b.redraw()
}

// clear takes the bar away.
func (b *bar) clear() { io.WriteString(b.w, "\r"+clearBelow) }

// columns is how many cells of a terminal a rune takes, or one more: all of
// the scripts from Hangul on count as wide.
func columns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100:
		return 2
	}
	return 1
}

func textColumns(s string) (n int) {
	for _, r := range s {
		n += columns(r)
	}
	return n
}

const ellipsis = "..."

// clipRight cuts the end of a text off that is wider than width.
func clipRight(s string, width int) string {
	if textColumns(s) <= width {
		return s
	}
	width -= len(ellipsis)
	for i, r := range s {
		if width -= columns(r); width < 0 {
			return s[:i] + ellipsis
		}
	}
	return s
}

// clipLeft cuts out what stands before the end of a text that is wider than
// width, but keeps the part before the first tab, which becomes two spaces.
func clipLeft(s string, width int) string {
	head, tail, ok := strings.Cut(s, "\t")
	if !ok {
		return clipRight(s, width)
	}
	head += "  "
	room := width - textColumns(head)
	if textColumns(tail) <= room {
		return head + tail
	}
	room -= len(ellipsis)
	if room < 1 {
		return clipRight(head, width)
	}
	runes := []rune(tail)
	i := len(runes)
	for i > 0 && room >= columns(runes[i-1]) {
		i--
		room -= columns(runes[i])
	}
	return head + ellipsis + string(runes[i:])
}
