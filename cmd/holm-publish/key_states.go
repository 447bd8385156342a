package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"holm.example/keys/signing"
)

func newKeyRotateCommand(a *app) *cobra.Command {
	var channel, role string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Retire the active key and activate the first standby",
		Long: `Retires the active key of a role and activates its first standby. Clients hold
the standby since their first day, so that the next publish is accepted without
a question by apt, dnf 4 and dnf 5.`,
		Example: `  holm-publish key rotate --role archive --channel stable`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if r := signing.Role(role); r != signing.Archive && r != signing.Package {
				return usage(fmt.Errorf("--role is archive or package, not %q", role))
			}
			store, err := signing.OpenStore(a.keys)
			if err != nil {
				return err
			}
			retired, active, err := store.Rotate(signing.Role(role), channel)
			if err != nil {
				return err
			}
			return a.answerKeys(store, []signing.Entry{retired, active})
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "stable", "channel of the key")
	cmd.Flags().StringVar(&role, "role", "", "archive or package")
	return cmd
}

// keyName are the flags that name one key.
type keyName struct {
	channel, role string
	number        int
}

func (k *keyName) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.channel, "channel", "stable", "channel of the key")
	cmd.Flags().StringVar(&k.role, "role", "", "archive, package or release")
	cmd.Flags().IntVar(&k.number, "number", 0, "number of the key, as key list shows it")
}

// changeKey runs a step on the key that the flags name and shows the result.
func (a *app) changeKey(k keyName, step func(*signing.Store, signing.Role) (signing.Entry, error)) error {
	role := signing.Role(k.role)
	if !knownRole(role) {
		return usage(fmt.Errorf("--role is archive, package or release, not %q", k.role))
	}
	if k.number < 1 {
		return usage(fmt.Errorf("--number says which %s key, from 1", k.role))
	}
	store, err := signing.OpenStore(a.keys)
	if err != nil {
		return err
	}
	e, err := step(store, role)
	if err != nil {
		return err
	}
	return a.answerKeys(store, []signing.Entry{e})
}

func newKeyStandbyCommand(a *app) *cobra.Command {
	var k keyName
	cmd := &cobra.Command{
		Use:   "standby",
		Short: "Make an offline key, brought back, the next standby",
		Long: `Takes a key that was kept offline as a standby, so that the next rotation can
activate it. Copy its secret key from its medium into offline/, or beside the
others, first; it is read, and moved beside the others.`,
		Example: `  holm-publish key standby --role archive --number 3`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			passphrase, err := a.passphrase()
			if err != nil {
				return err
			}
			return a.changeKey(k, func(s *signing.Store, role signing.Role) (signing.Entry, error) {
				return s.Standby(role, k.channel, k.number, passphrase)
			})
		},
	}
	k.register(cmd)
	return cmd
}

func newKeyRevokeCommand(a *app) *cobra.Command {
	var k keyName
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Take a stolen key out of all key files to come",
		Long: `Marks a key as revoked: the key files of the next release and of the site do not
hold it, and what it signed is not trusted as ours any more. First rotate, and
publish once, so that another key has signed what is on the site. Package
managers know no revocation: a client is rid of the key when it has installed
the next keyring package (apt), or never (rpm keeps what it has imported).`,
		Example: `  holm-publish key rotate --role archive
  holm-publish publish
  holm-publish key revoke --role archive --number 1`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			return a.changeKey(k, func(s *signing.Store, role signing.Role) (signing.Entry, error) {
				return s.Revoke(role, k.channel, k.number)
			})
		},
	}
	k.register(cmd)
	return cmd
}
