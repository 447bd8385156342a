package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newInit(a *app) *cobra.Command {
	var (
		pass passphraseSource
		name string
	)
	cmd := &cobra.Command{
		Use:   "init [VAULT]",
		Short: "make a new vault",
		Long: `Make a new vault and make this device its first one. The place must be empty;
a directory is made if it is not there, a bucket must be there.

The passphrase is asked for twice. It is needed again only by "holm join" on
another device, or here if the data directory is lost. Nobody can open the
vault without it or a device that has joined: write it down.`,
		Example: `  holm init /mnt/disk/vault
  holm init sftp://me@nas.example/srv/vault
  holm init s3:https://s3.example/my-bucket/vault
  holm init /mnt/disk/vault --passphrase-file ~/.holm-passphrase
  pass show holm | holm init /mnt/disk/vault --passphrase-fd 0`,
		GroupID: groupVault,
		Args:    arguments(0, 1, "VAULT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.enter(cmd, args, &pass, name, true)
		},
		ValidArgsFunction: completeDirectory,
	}
	pass.register(cmd)
	cmd.Flags().StringVar(&name, "device-name", "", "`name` of this device for people (default its host name)")
	return cmd
}

// An entered is the JSON of init and join.
type entered struct {
	Type       string `json:"type"`
	Vault      string `json:"vault"`
	VaultID    string `json:"vault_id"`
	Device     string `json:"device"`
	DeviceName string `json:"device_name"`
	DataDir    string `json:"data_dir"`
}

// enter makes a vault or joins one, and says what came of it.
func (a *app) enter(cmd *cobra.Command, args []string, from *passphraseSource, name string, isNew bool) error {
	vault, err := a.vaultToOpen(args)
	if err != nil {
		return err
	}
	dataDir, err := a.dataDir()
	if err != nil {
		return err
	}
	if name == "" {
		// A machine without a name of its own is told apart by its id.
		name, _ = os.Hostname()
	}
	o := engine.Options{DataDir: dataDir, Vault: vault, DeviceName: name, Now: a.now, Store: a.store()}
	foreseen := func() error { return engine.Foresee(cmd.Context(), o, isNew) }
	if o.Passphrase, err = from.read(a, cmd, isNew, foreseen); err != nil {
		return err
	}
	defer clear(o.Passphrase)
	do, what := engine.Join, "joined"
	if isNew {
		do, what = engine.Init, "made"
	}
	info, err := do(cmd.Context(), o)
	if err != nil {
		return err
	}
	answer := entered{what, info.Vault, info.VaultID, info.DeviceID, info.DeviceName, info.DataDir}
	return a.ui.summary(answer, fmt.Sprintf("%s vault %s in %s\nthis is device %s (%s)\n",
		what, info.VaultID, quoteName(info.Vault), info.DeviceID, quoteName(info.DeviceName)))
}

// completeDirectory lets the shell complete directories.
func completeDirectory(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
