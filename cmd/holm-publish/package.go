package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"holm.example/keys/signing"
	"holm.example/packaging"
)

func newPackageCommand(a *app) *cobra.Command {
	var flags buildFlags
	cmd := &cobra.Command{
		Use:   "package",
		Short: "Make archives, DEB and RPM packages of a build",
		Long: `Makes of the binaries that build left in dist/VERSION: a tar.gz or zip for each
target, DEB and RPM for Linux, and the keyring packages that bring the keys and
the repository entry. RPM packages are signed with the active package key.`,
		Example: `  holm-publish package
  holm-publish package --version 1.2.3 --url http://127.0.0.1:8417`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.pack(cmd.Context(), flags)
			if err != nil {
				return err
			}
			return a.answerRelease(r, packaging.KindArchive, packaging.KindDEB, packaging.KindRPM, packaging.KindKeyring)
		},
	}
	flags.registerVersion(cmd)
	return cmd
}

// pack packages what build made.
func (a *app) pack(ctx context.Context, flags buildFlags) (*packaging.Release, error) {
	cfg, source, err := a.source(ctx, flags)
	if err != nil {
		return nil, err
	}
	store, err := signing.OpenStore(a.keys)
	if err != nil {
		return nil, err
	}
	passphrase, err := a.passphrase()
	if err != nil {
		return nil, err
	}
	signer, err := store.Signer(signing.Package, cfg.Channel, passphrase, signing.FindWitnesses())
	if err != nil {
		return nil, err
	}
	options := packaging.PackageOptions{
		Config: cfg, Source: source, Dist: a.dist, Progress: a.ui.progress,
		Sign:     func(data []byte) ([]byte, error) { return signer.SignBinary(data, source.Epoch) },
		SignerID: signer.Certificates()[0].Fingerprint().String(),
	}
	if cfg.Keyring != nil {
		ring, err := aptKeyring(store, cfg.Channel)
		if err != nil {
			return nil, err
		}
		options.AptKeyring = ring.Binary()
		if ring, err = rpmKeys(store, cfg.Channel); err != nil {
			return nil, err
		}
		options.RPMKeys = ring.Armor()
	}
	done := a.ui.step(a.now, "packaged %s %s", cfg.Name, source.Version)
	release, err := packaging.Package(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := a.checkPackages(store, release); err != nil {
		return nil, err
	}
	done()
	return release, nil
}

// checkPackages has rpm, where the machine has it, read the RPM packages of a
// release as a client does that holds the channel's keys.
func (a *app) checkPackages(store *signing.Store, release *packaging.Release) error {
	ring, err := rpmKeys(store, release.Channel)
	if err != nil {
		return err
	}
	var names []string
	for _, f := range release.Select(packaging.KindRPM) {
		names = append(names, filepath.Join(packaging.Folder(a.dist, release.Version), filepath.FromSlash(f.Name)))
	}
	return signing.CheckPackages(ring, names...)
}
