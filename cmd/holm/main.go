// Command holm backs up what its user selects into a vault that nobody else
// can read, and brings it back.
//
// Every verb has a file of its own; ui.go is the only one that prints.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// The heap is mostly buffers that are used again: collecting often costs
// little, and keeps a program that runs beside others small. The limit is what
// the runtime aims at, not one that it enforces. GOGC and GOMEMLIMIT, if set,
// have the last word.
const (
	gcPercent   = 40
	memoryLimit = 35 << 20 // bytes
)

func main() { os.Exit(program(newApp())) }

// program is main without its end; it returns the exit code.
func program(a *app) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	return run(a, a.args)
}

// run is the program without its process: it returns the exit code.
func run(a *app, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks the work to end cleanly; from then on signals do
	// what they do by default, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)

	root := newRoot(a)
	root.SetArgs(args)
	return a.ui.finish(root.ExecuteContext(ctx))
}
