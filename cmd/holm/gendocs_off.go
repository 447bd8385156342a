//go:build !gendocs

package main

import "github.com/spf13/cobra"

// docVerbs is empty: only builds for documents have the verb that makes them.
func docVerbs(*app) []*cobra.Command { return nil }
