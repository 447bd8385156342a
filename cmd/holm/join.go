package main

import (
	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newJoin(a *app) *cobra.Command {
	var (
		pass passphraseSource
		name string
	)
	cmd := &cobra.Command{
		Use:   "join [VAULT]",
		Short: "make this device one of an existing vault",
		Long: `Make this device one of a vault that is there: it can restore what every device
has backed up, and back up into the same vault. A new machine needs nothing for
it but the vault and the passphrase.`,
		Example: `  holm join /mnt/disk/vault
  holm join /mnt/disk/vault --device-name new-laptop
  holm join sftp:me@nas.example:vault
  holm join /mnt/disk/vault --passphrase-file ~/.holm-passphrase`,
		GroupID: groupVault,
		Args:    arguments(0, 1, "VAULT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.enter(cmd, args, &pass, engine.Options{DeviceName: name}, false)
		},
		ValidArgsFunction: completeDirectory,
	}
	pass.register(cmd)
	cmd.Flags().StringVar(&name, "device-name", "", "`name` of this device for people (default its host name)")
	return cmd
}
