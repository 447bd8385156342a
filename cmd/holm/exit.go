package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes, the same in all programs of holm.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartly      = 3
	exitDamaged     = 4
	exitRunning     = 5
	exitUnreachable = 6
	exitPassphrase  = 7
)

// A usageError says that the command line cannot be meant like that.
type usageError struct {
	text string
	hint string
}

func (e *usageError) Error() string { return e.text }

// usage is a usage error of a verb, with the way to its help as the hint.
func usage(cmd *cobra.Command, text string) *usageError {
	return &usageError{text, fmt.Sprintf(`"%s --help" shows how it is used`, cmd.CommandPath())}
}

// An advised error has a next step that fits better than that of its occasion.
type advised struct {
	error
	hint string
}

func (e *advised) Unwrap() error { return e.error }

// errPartly ends a verb that did its work except for problems that it has
// reported already: nothing more is printed, but the exit code tells.
var errPartly = errors.New("done, but not everything")

// arguments wraps a check of positional arguments so that what it finds is a
// usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err.Error())
		}
		for _, arg := range args {
			if arg == "" {
				return usage(cmd, "an argument is empty")
			}
		}
		return nil
	}
}

// verdict is what an error means for the person: the exit code and the next
// step, which may be empty.
func verdict(err error) (code int, hint string) {
	var better *advised
	if errors.As(err, &better) {
		code, _ = verdict(better.error)
		return code, better.hint
	}
	var wrong *usageError
	if errors.As(err, &wrong) {
		return exitUsage, wrong.hint
	}
	if errors.Is(err, context.Canceled) {
		return exitFailed, "what was committed is kept; the same command goes on from there"
	}
	for _, o := range occasions() {
		if errors.Is(err, o.err) {
			return o.code, o.hint
		}
	}
	return exitFailed, ""
}
