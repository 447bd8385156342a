package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"holm.example/internal/product"
	"holm.example/keys"
	"holm.example/keys/signing"
)

func newKeyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list, export, rotate and revoke the keys of the site",
		Long: `The keys of a channel are six RSA-4096 keys (archive and package: active, standby,
offline) and two release keys. They stand in the folder that --keys names, which
belongs to its owner alone.`,
		Example: `  holm-publish key new --channel stable
  holm-publish key list`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args: noArguments,
	}
	cmd.AddCommand(newKeyNewCommand(a), newKeyListCommand(a), newKeyExportCommand(a),
		newKeyRotateCommand(a), newKeyStandbyCommand(a), newKeyRevokeCommand(a))
	return cmd
}

// keyAnswer is one line of --json: the fields of signing.Entry and what the
// certificate says.
type keyAnswer struct {
	signing.Entry
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created"`
	Expires   string    `json:"expires"` // RFC 3339, or "never"
	UserID    string    `json:"user_id"`
}

// answerKeys prints keys, one a line.
func (a *app) answerKeys(store *signing.Store, entries []signing.Entry) error {
	for _, e := range entries {
		cert, err := store.Certificate(e)
		if err != nil {
			return err
		}
		answer := keyAnswer{e, cert.Algorithm(), cert.Created().UTC(), "never", cert.UserIDs()[0]}
		if end := cert.Expires(); !end.IsZero() {
			answer.Expires = end.UTC().Format(time.RFC3339)
		}
		err = a.ui.answer(answer, "%-8s %-8s %d  %-8s %s  %s  %s", e.Channel, e.Role, e.Number, e.State, e.Fingerprint, answer.Algorithm, answer.UserID)
		if err != nil {
			return err
		}
	}
	return nil
}

func newKeyNewCommand(a *app) *cobra.Command {
	var channel, role string
	var ifMissing bool
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make the keys of a channel",
		Long: `Makes all keys that a channel starts with: for the archive and for packages an
active key, a standby that clients hold from the first day, and a third that
belongs away from this machine (offline/); and the release keys of two people.

That all of them are on one machine makes this a rehearsal: move offline/ to
another medium before the first real release.

With --role it makes one more key of a channel that has some: an archive or
package key as another standby, to be shipped long before it signs, or a
release key that signs at once. No secret key is ever replaced.`,
		Example: `  holm-publish key new --channel stable
  holm-publish key new --channel stable --keys /media/token/keys --passphrase-file ~/.holm-passphrase
  holm-publish key new --channel stable --if-missing
  holm-publish key new --channel stable --role archive`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.newKeys(channel, signing.Role(role), ifMissing) },
	}
	cmd.Flags().StringVar(&channel, "channel", "stable", "channel that the keys are for")
	cmd.Flags().StringVar(&role, "role", "", "make one more archive, package or release key")
	cmd.Flags().BoolVar(&ifMissing, "if-missing", false, "do nothing if the channel has its keys")
	return cmd
}

// newKeys makes the keys of a channel, or one more of a role.
func (a *app) newKeys(channel string, role signing.Role, ifMissing bool) error {
	if !signing.ValidChannel(channel) {
		return usage(fmt.Errorf("--channel is 1 to 32 lower case letters, digits and inner dashes, not %q", channel))
	}
	if role != "" && ifMissing {
		return usage(errors.New("--role always makes a key: --if-missing does not go with it"))
	}
	if role != "" && !knownRole(role) {
		return usage(fmt.Errorf("--role is archive, package or release, not %q", role))
	}
	cfg, err := a.product()
	if err != nil {
		return err
	}
	spec := signing.SetSpec{Product: cfg.Name, Email: cfg.KeyEmail, Channel: channel, Created: a.now().UTC().Truncate(time.Second)}
	if spec.Passphrase, err = a.passphrase(); err != nil {
		return err
	}
	open := signing.CreateStore
	if role != "" {
		open = signing.OpenStore
	}
	store, err := open(a.keys)
	if err != nil {
		return err
	}
	done := a.ui.step(a.now, "made keys of channel %s in %s", channel, a.keys)
	var entries []signing.Entry
	if role == "" {
		entries, err = store.AddSet(spec)
	} else {
		var e signing.Entry
		e, err = store.AddNext(role, spec)
		entries = []signing.Entry{e}
	}
	for _, name := range store.SetAside() {
		a.ui.warn("a secret key that no list named is kept as %s", name)
	}
	if ifMissing && errors.Is(err, signing.ErrExists) {
		return nil
	}
	if err != nil {
		return err
	}
	done()
	return a.answerKeys(store, entries)
}

// knownRole reports whether keys of that role exist.
func knownRole(role signing.Role) bool {
	return role == signing.Archive || role == signing.Package || role == signing.Release
}

func newKeyListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"show"},
		Short:   "List keys with role, state and full fingerprint",
		Example: `  holm-publish key list
  holm-publish key list --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			store, err := signing.OpenStore(a.keys)
			if err != nil {
				return err
			}
			return a.answerKeys(store, store.Entries())
		},
	}
}

func newKeyExportCommand(a *app) *cobra.Command {
	var channel, role, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print certificates in the form that a client wants",
		Long: `Prints the certificates of a channel:

  apt    the archive keys, binary, for Signed-By (a file that ends in .pgp)
  rpm    archive and package keys, armored, one block each, for rpm --import and gpgkey=
  armor  the keys of one role, armored, one block each
  binary the keys of one role, binary`,
		Example: `  holm-publish key export --format apt > holm-archive-keyring.pgp
  holm-publish key export --format rpm > RPM-GPG-KEY-holm
  holm-publish key export --role release --format armor`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			store, err := signing.OpenStore(a.keys)
			if err != nil {
				return err
			}
			data, err := exportKeys(store, channel, signing.Role(role), format)
			if err != nil {
				return err
			}
			return a.ui.bytes(data)
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "stable", "channel of the keys")
	cmd.Flags().StringVar(&role, "role", "", "archive, package or release (for armor and binary)")
	cmd.Flags().StringVar(&format, "format", "armor", "apt, rpm, armor or binary")
	return cmd
}

// exportKeys returns the file of one format.
func exportKeys(store *signing.Store, channel string, role signing.Role, format string) ([]byte, error) {
	switch {
	case format == "apt":
		ring, err := aptKeyring(store, channel)
		return ring.Binary(), err
	case format == "rpm":
		ring, err := rpmKeys(store, channel)
		return ring.Armor(), err
	case format != "armor" && format != "binary":
		return nil, usage(fmt.Errorf("unknown format %q", format))
	case !knownRole(role):
		return nil, usage(fmt.Errorf("--role is archive, package or release, not %q", role))
	}
	ring, err := store.Keyring(channel, role)
	if err != nil {
		return nil, err
	}
	if format == "binary" {
		return ring.Binary(), nil
	}
	return ring.Armor(), nil
}

// aptKeyring is what apt trusts: those who sign Release files, nobody else.
func aptKeyring(store *signing.Store, channel string) (keys.Keyring, error) {
	return store.Keyring(channel, signing.Archive)
}

// rpmKeys is what rpm and dnf trust, for metadata and for packages.
func rpmKeys(store *signing.Store, channel string) (keys.Keyring, error) {
	return store.Keyring(channel, signing.Archive, signing.Package)
}

// maxPassphraseFile bounds the file that --passphrase-file names, in bytes.
const maxPassphraseFile = 4096

// passphrase reads the passphrase of the secret keys: the first line of the
// file that --passphrase-file names. Without that flag there is none.
func (a *app) passphrase() ([]byte, error) {
	if a.passkey == "" {
		return nil, nil
	}
	f, err := os.Open(a.passkey)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	defer f.Close()
	return firstLine(f)
}

// productKeys returns what a build says about the keys of a channel: those
// that are revoked are not among them.
func productKeys(store *signing.Store, channel string) []product.Key {
	var all []product.Key
	for _, e := range store.Entries() {
		if e.Channel == channel && e.Trusted() {
			all = append(all, product.Key{Role: string(e.Role), Channel: e.Channel, Number: e.Number, Fingerprint: e.Fingerprint})
		}
	}
	return all
}
