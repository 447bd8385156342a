package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

// completionTime bounds how long a person waits for a shell to complete.
const completionTime = 3 * time.Second

// completeSnapshots completes up to so many arguments that name snapshots, the
// newest first. Whatever stands in the way, there is nothing to complete.
func (a *app) completeSnapshots(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if len(args) >= most && cmd.Name() == "diff" {
			return nil, directive
		}
		words := []string{cobra.CompletionWithDesc("latest", "the newest")}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		a.ui.mute()
		_ = a.with(ctx, func(e *engine.Engine) error {
			list, err := e.Snapshots(ctx)
			for i := len(list) - 1; i >= 0; i-- {
				words = append(words, cobra.CompletionWithDesc(shortID(list[i].ID), clock(list[i].Time)+" "+quoteName(list[i].DeviceName)))
			}
			return err
		})
		return words, directive
	}
}

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "print a completion script for a shell",
		Long: `Print the script that lets a shell complete the verbs and flags of holm. The
packages install it already.`,
		Example: `  holm completion bash > ~/.local/share/bash-completion/completions/holm
  holm completion fish > ~/.config/fish/completions/holm.fish
  source <(holm completion zsh)`,
		GroupID:   groupOther,
		Args:      arguments(1, 1, "the name of a shell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), a.ui.out
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usage(cmd, quoteName(args[0])+" is none of the shells: bash, zsh, fish, powershell")
		},
	}
}
