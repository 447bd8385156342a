package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newInit(a *app) *cobra.Command {
	var (
		pass       passphraseSource
		name       string
		with, none bool
	)
	cmd := &cobra.Command{
		Use:   "init [VAULT]",
		Short: "make a new vault",
		Long: `Make a new vault and make this device its first one. The place must be empty;
a directory is made if it is not there, a bucket must be there.

The passphrase is asked for twice. It is needed again only by "holm join" on
another device, or here if the data directory is lost. Nobody can open the
vault without it or a device that has joined: write it down.

With parity each object that is written gets a tail, 3 % of a large one, from
which damage of up to two sixty-fourths of it is repaired whenever it is read:
bad sectors, flipped bits. It is on in a directory and over SFTP, and off in a
bucket, whose service does such things itself; --parity and --no-parity decide.
It is for the whole vault and stays as it is.`,
		Example: `  holm init /mnt/disk/vault
  holm init sftp://me@nas.example/srv/vault
  holm init s3:https://s3.example/my-bucket/vault
  holm init /mnt/disk/vault --passphrase-file ~/.holm-passphrase
  holm init s3:https://s3.example/my-bucket/vault --parity
  pass show holm | holm init /mnt/disk/vault --passphrase-fd 0`,
		GroupID: groupVault,
		Args:    arguments(0, 1, "VAULT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if with && none {
				return usage(cmd, "--parity and --no-parity contradict each other")
			}
			o := engine.Options{DeviceName: name}
			if with || none {
				o.Parity = &with
			}
			return a.enter(cmd, args, &pass, o, true)
		},
		ValidArgsFunction: completeDirectory,
	}
	pass.register(cmd)
	cmd.Flags().StringVar(&name, "device-name", "", "`name` of this device for people (default its host name)")
	cmd.Flags().BoolVar(&with, "parity", false, "write parity, which repairs small damage (default in a directory and over SFTP)")
	cmd.Flags().BoolVar(&none, "no-parity", false, "write none (default in a bucket)")
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
	Parity     bool   `json:"parity"`
}

// enter makes a vault or joins one, and says what came of it.
func (a *app) enter(cmd *cobra.Command, args []string, from *passphraseSource, o engine.Options, isNew bool) (err error) {
	defer func() { err = unreached(err) }()
	if o.Vault, err = a.vaultToOpen(args); err != nil {
		return err
	}
	if o.DataDir, err = a.dataDir(); err != nil {
		return err
	}
	if o.DeviceName == "" {
		// A machine without a name of its own is told apart by its id.
		o.DeviceName, _ = os.Hostname()
	}
	o.Now, o.Store = a.now, a.store()
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
	answer := entered{what, info.Vault, info.VaultID, info.DeviceID, info.DeviceName, info.DataDir, info.Parity}
	parity := "with"
	if !info.Parity {
		parity = "without"
	}
	return a.ui.summary(answer, fmt.Sprintf("%s vault %s in %s, %s parity\nthis is device %s (%s)\n",
		what, info.VaultID, quoteName(info.Vault), parity, info.DeviceID, quoteName(info.DeviceName)))
}

// unreached gives an error about the place of a vault the next step for verbs
// whose argument it is.
func unreached(err error) error {
	if errors.Is(err, engine.ErrNoVault) || errors.Is(err, engine.ErrUnreachable) {
		return &advised{err, "is the disk mounted, the server up? The argument VAULT says where the vault is"}
	}
	return err
}

// completeDirectory lets the shell complete directories.
func completeDirectory(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
