package main

import (
	"github.com/spf13/cobra"
)

func newReleaseCommand(a *app) *cobra.Command {
	var build buildFlags
	var publish publishFlags
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Build, package, sign and publish one version",
		Long: `Takes the commit of the work tree down the whole road: build, package, sign,
publish. What a step finds done it does not do again, so that the same commit
with the same keys is released once however often the command runs.`,
		Example: `  holm-publish release --channel stable
  holm-publish release --version 1.2.3 --channel stable --url https://packages.example.org
  holm-publish release --targets host --url http://127.0.0.1:8417`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if _, err := a.build(ctx, build); err != nil {
				return err
			}
			release, err := a.pack(ctx, build)
			if err != nil {
				return err
			}
			return a.publish(ctx, release.Version, publish)
		},
	}
	build.register(cmd)
	publish.register(cmd)
	return cmd
}
