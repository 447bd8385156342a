package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"holm.example/keys/signing"
	"holm.example/packaging"
)

// buildFlags are the flags of every verb that builds.
type buildFlags struct {
	version    string
	targets    string
	allowDirty bool
}

func (f *buildFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.targets, "targets", "all", "all, host, or a list such as linux/amd64,windows/arm64")
	f.registerVersion(cmd)
}

func (f *buildFlags) registerVersion(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.version, "version", "", "MAJOR.MINOR.BUILD (default: the file VERSION and the number of commits)")
	cmd.Flags().BoolVar(&f.allowDirty, "allow-dirty", false, "release changes that no commit has; the programs say so")
}

func newBuildCommand(a *app) *cobra.Command {
	var flags buildFlags
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Compile the programs for every target",
		Long: `Compiles the programs into the folder dist/VERSION and lists them in its
release.json. The same commit, URL and keys give the same bytes everywhere; a
build that is there already is not made again.`,
		Example: `  holm-publish build
  holm-publish build --targets host
  holm-publish build --targets linux/amd64,linux/arm64 --url http://127.0.0.1:8417`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.build(cmd.Context(), flags)
			if err != nil {
				return err
			}
			return a.answerRelease(r, packaging.KindProgram)
		},
	}
	flags.register(cmd)
	return cmd
}

// build compiles what the flags ask for.
func (a *app) build(ctx context.Context, flags buildFlags) (*packaging.Release, error) {
	cfg, source, err := a.source(ctx, flags)
	if err != nil {
		return nil, err
	}
	targets, err := cfg.ParseTargets(flags.targets)
	if err != nil {
		return nil, err
	}
	store, err := signing.OpenStore(a.keys)
	if err != nil {
		return nil, err
	}
	channelKeys := productKeys(store, cfg.Channel)
	if len(channelKeys) == 0 {
		return nil, fmt.Errorf("%w: channel %s", signing.ErrNoKey, cfg.Channel)
	}
	done := a.ui.step(a.now, "built %s %s for %s", cfg.Name, source.Version, count(len(targets), "target"))
	release, err := packaging.Build(ctx, packaging.BuildOptions{
		Config: cfg, Source: source, Keys: channelKeys, Targets: targets, Dist: a.dist, Progress: a.ui.progress,
	})
	if err != nil {
		return nil, err
	}
	done()
	return release, nil
}

// source reads release.yaml and the work tree around it.
func (a *app) source(ctx context.Context, flags buildFlags) (*packaging.Config, *packaging.Source, error) {
	cfg, err := a.product()
	if err != nil {
		return nil, nil, err
	}
	dir, err := a.sourceDir()
	if err != nil {
		return nil, nil, err
	}
	source, err := packaging.ReadSource(ctx, dir, packaging.SourceOptions{Version: flags.version, AllowDirty: flags.allowDirty})
	if err != nil {
		return nil, nil, err
	}
	if source.Dirty {
		a.ui.warn("the work tree has changes that are not committed; nobody can build %s again", source.Version)
	}
	return cfg, source, nil
}

// answerRelease prints the files of some kinds.
func (a *app) answerRelease(r *packaging.Release, kinds ...packaging.Kind) error {
	for _, kind := range kinds {
		for _, f := range r.Select(kind) {
			if err := a.ui.answer(f, "%s  %s", f.SHA256, f.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstLine reads a passphrase: at most maxPassphraseFile bytes up to the
// first newline.
func firstLine(r io.Reader) ([]byte, error) {
	lines := bufio.NewScanner(io.LimitReader(r, maxPassphraseFile))
	lines.Scan()
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	if len(lines.Bytes()) == 0 {
		return nil, errors.New("reading the passphrase: the file is empty")
	}
	return lines.Bytes(), nil
}
