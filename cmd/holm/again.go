package main

import (
	"context"
	"strings"
)

// shellQuote writes a word so that a shell takes it as it is.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r == '/' || r == '.' || r == '-' || r == '_' || r == '=' || r == ':' || r == ',' || r == '+' || r == '@' ||
			r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r > 0x7f
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// commandLine is the command that this program was started with, with more
// arguments, for people to repeat.
func (a *app) commandLine(more ...string) string {
	words := []string{"holm"}
	for _, arg := range append(a.args[:len(a.args):len(a.args)], more...) {
		words = append(words, shellQuote(arg))
	}
	return strings.Join(words, " ")
}

// onInterrupt says once that the work is about to end, when the first signal
// comes; the second ends it. stop ends the waiting.
func (a *app) onInterrupt(ctx context.Context, text string) (stop func() bool) {
	return context.AfterFunc(ctx, func() { a.ui.warn("%s", text) })
}
