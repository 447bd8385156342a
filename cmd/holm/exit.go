package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// arguments is the check of positional arguments of a verb that takes from
// atLeast to atMost of them, or any number with atMost < 0; what they are is
// called as in the verb's line of use.
func arguments(atLeast, atMost int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < atLeast:
			return usage(cmd, what+" is missing")
		case atMost >= 0 && len(args) > atMost:
			return usage(cmd, "one argument too many: "+quoteName(args[atMost]))
		}
		for _, arg := range args {
			if arg == "" {
				return usage(cmd, "an argument is empty")
			}
		}
		return nil
	}
}

// flagText is what is wrong with a flag, in our words.
func flagText(err error) string {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return "unknown flag: -" + unknown.GetSpecifiedName()
	case errors.As(err, &unknown):
		return "unknown flag: --" + unknown.GetSpecifiedName()
	case errors.As(err, &missing):
		return "--" + missing.GetFlag().Name + " needs a value"
	case errors.As(err, &invalid) && errors.As(err, &number):
		return "--" + invalid.GetFlag().Name + ": " + quoteName(invalid.GetValue()) + " is no number"
	case errors.As(err, &invalid):
		return "--" + invalid.GetFlag().Name + ": " + quoteName(invalid.GetValue()) + ": " + errors.Unwrap(invalid).Error()
	}
	return err.Error()
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
		return exitFailed, "nothing that was safe is lost; the same command starts again"
	}
	for _, o := range occasions() {
		if errors.Is(err, o.err) {
			return o.code, o.hint
		}
	}
	return exitFailed, ""
}
