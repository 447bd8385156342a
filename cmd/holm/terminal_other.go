//go:build !windows

package main

import (
	"os"

	"golang.org/x/term"
)

// canDraw reports whether a file is a terminal that obeys the sequences that
// move the cursor.
func canDraw(f *os.File) bool {
	name := os.Getenv("TERM")
	return term.IsTerminal(int(f.Fd())) && name != "" && name != "dumb"
}
