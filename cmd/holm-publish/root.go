package main

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"holm.example/packaging"
)

// An app is what every verb shares: the settings of the root command, the
// printer and the clock.
type app struct {
	ui      *ui
	now     func() time.Time
	config  string // path of release.yaml
	dist    string // folder of built releases
	keys    string // folder of the secret keys of the site
	url     string // base URL of the site; empty: the one of release.yaml
	asJSON  bool
	quiet   bool
	passkey string // path of the file with the passphrase of the secret keys; empty: they have none
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{ui: newUI(stdout, stderr), now: time.Now}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		a.ui.failure(err)
		return exitCode(err)
	}
	return exitDone
}

// newRoot returns the command tree. One file per verb holds its constructor.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "holm-publish",
		Short: "Make keys, build, package, sign and publish releases",
		Long: `holm-publish takes a Go program from its source to a signed, published release:
binaries for every target, DEB and RPM packages that bring their own repository
entry, and a static site that apt, dnf and zypper install from.

What is released stands in packaging/release.yaml.`,
		Example: `  holm-publish key new --channel stable
  holm-publish build --targets host
  holm-publish package`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { a.ui.configure(a.quiet, a.asJSON); return nil },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args:              noArguments,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	flags := root.PersistentFlags()
	flags.StringVar(&a.config, "config", filepath.Join("packaging", "release.yaml"), "description of the product")
	flags.StringVar(&a.dist, "dist", "dist", "folder of built releases")
	flags.StringVar(&a.keys, "keys", "site-keys", "folder of the site's secret keys")
	flags.StringVar(&a.url, "url", "", "base URL of the site (default: the one in release.yaml)")
	flags.StringVar(&a.passkey, "passphrase-file", "", "file with the passphrase of the secret keys")
	flags.BoolVar(&a.asJSON, "json", false, "print answers as JSON, one object a line")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print no progress")
	root.AddCommand(newKeyCommand(a), newBuildCommand(a), newPackageCommand(a),
		newPublishCommand(a), newReleaseCommand(a), newServeCommand(a), newSiteCommand(a))
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// noArguments refuses stray arguments as wrong usage.
func noArguments(cmd *cobra.Command, args []string) error {
	return usage(cobra.NoArgs(cmd, args))
}

// product reads release.yaml and applies --url.
func (a *app) product() (*packaging.Config, error) {
	cfg, err := packaging.ReadConfig(a.config)
	if err != nil {
		return nil, err
	}
	if a.url != "" {
		if err := cfg.SetURL(a.url); err != nil {
			return nil, usage(err)
		}
	}
	return cfg, nil
}

// sourceDir is the root of the work tree: release.yaml stands one folder
// below it.
func (a *app) sourceDir() (string, error) {
	abs, err := filepath.Abs(a.config)
	if err != nil {
		return "", err
	}
	return filepath.Dir(filepath.Dir(abs)), nil
}
