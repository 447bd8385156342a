// Command holm-publish makes keys, builds, packages, signs and publishes
// releases of the product that packaging/release.yaml describes. It is the
// only program of the three that can sign.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
