package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holm.example/keys"
	"holm.example/keys/signing"
	"holm.example/repo"
	"holm.example/repo/site"
)

// verifyTimeout bounds one file that site verify gets over the network.
const verifyTimeout = 10 * time.Minute

func newSiteCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "site",
		Short:   "Look at a published site",
		Long:    `Looks at a published site from the side of its clients.`,
		Example: `  holm-publish site verify ./site`,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args:    noArguments,
	}
	cmd.AddCommand(newSiteVerifyCommand(a))
	return cmd
}

func newSiteVerifyCommand(a *app) *cobra.Command {
	var o repo.VerifyOptions
	var keyring string
	cmd := &cobra.Command{
		Use:   "verify DIR|URL",
		Short: "Say what apt, dnf, zypper and people would refuse",
		Long: `Reads a published site as apt, dnf with either of its OpenPGP back ends, zypper and
a careful person would: keyrings, signatures and by which key, dates, every
index by its hash, and every package, whose own header is compared with what the
indexes say about it. The exit code is 4 if a client would refuse anything.
Where the key folder is at hand, what a retired key signed last is noted.

Without --keyring it trusts the keyrings that the site itself offers, as a new user
does; with it, only those keys.

With --json each channel is one object: channel, version, date, valid_until,
signers (full fingerprints), packages, unfinished, and findings with clients,
refused, file and problem.`,
		Example: `  holm-publish site verify ./site
  holm-publish site verify http://127.0.0.1:8417 --channel stable --json
  holm-publish site verify https://packages.example.org --keyring trusted.asc`,
		Args: func(cmd *cobra.Command, args []string) error { return usage(cobra.ExactArgs(1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if keyring != "" {
				var err error
				if o.Keys, err = readKeyring(keyring); err != nil {
					return err
				}
			}
			where, err := openSite(args[0])
			if err != nil {
				return err
			}
			if o.Retired, err = a.retiredKeys(); err != nil {
				return err
			}
			return a.verifySite(cmd.Context(), where, o, true)
		},
	}
	cmd.Flags().StringVar(&o.Channel, "channel", "", "verify this channel alone (default: all)")
	cmd.Flags().StringVar(&keyring, "keyring", "", "file of the only certificates to trust, armored or binary")
	return cmd
}

// openSite opens a folder or a base URL for reading.
func openSite(where string) (repo.Reader, error) {
	if !strings.Contains(where, "://") {
		if _, err := os.Stat(where); err != nil {
			return nil, fmt.Errorf("%w: %w", site.ErrUnreachable, err)
		}
		return site.OpenDir(where), nil
	}
	s, err := site.OpenHTTP(where, &http.Client{Timeout: verifyTimeout})
	return s, usage(err)
}

// retiredKeys returns the archive keys that sign no more; none where there is
// no key folder.
func (a *app) retiredKeys() (keys.Keyring, error) {
	store, err := signing.OpenStore(a.keys)
	if errors.Is(err, signing.ErrNoStore) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ring keys.Keyring
	for _, e := range store.Entries() {
		if e.Role != signing.Archive || e.State != signing.Retired {
			continue
		}
		cert, err := store.Certificate(e)
		if err != nil {
			return nil, err
		}
		ring = append(ring, cert)
	}
	return ring, nil
}

func readKeyring(name string) (keys.Keyring, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the keyring: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, keys.MaxKeyringSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the keyring: %w", err)
	}
	ring, err := keys.ParseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("reading the keyring %s: %w", name, err)
	}
	return ring, nil
}

// verifySite prints what clients would say; the error is repo.ErrRefused if
// any would refuse anything. Without answers it prints only problems.
func (a *app) verifySite(ctx context.Context, where repo.Reader, o repo.VerifyOptions, answers bool) error {
	done := a.ui.step(a.now, "read the site as its clients do")
	verdicts, err := repo.Verify(ctx, where, o, a.now())
	if err != nil {
		return fmt.Errorf("verifying the site: %w", err)
	}
	done()
	refused := 0
	for _, v := range verdicts {
		for _, f := range v.Findings {
			word := "note"
			if f.Refused {
				word, refused = "refused", refused+1
			}
			a.ui.warn("%s by %s: %s: %s", word, strings.Join(f.Clients, ", "), f.File, f.Problem)
		}
		if !answers {
			continue
		}
		word := "accepted by apt, dnf, zypper"
		if v.Refused() {
			word = "REFUSED"
		}
		err := a.ui.answer(v, "channel %s, version %s: %s; %d packages, valid until %s\nsigned by %s", v.Channel, v.Version, word,
			v.Packages, v.ValidUntil.Format(time.RFC3339), strings.Join(v.Signers, "\n          "))
		if err != nil {
			return err
		}
	}
	if refused > 0 {
		return fmt.Errorf("%w: %d findings", repo.ErrRefused, refused)
	}
	return nil
}
