package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"holm.example/keys/signing"
	"holm.example/packaging"
	"holm.example/repo"
	"holm.example/repo/site"
)

// publishFlags are the flags of every verb that publishes.
type publishFlags struct {
	site    string
	channel string
	moved   bool
}

func (f *publishFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.site, "site", "site", "folder of the published site")
	cmd.Flags().StringVar(&f.channel, "channel", "stable", "channel to publish to")
	cmd.Flags().BoolVar(&f.moved, "moved", false, "the site moves to another base URL; serve the old one as long as clients ask for it")
}

func newPublishCommand(a *app) *cobra.Command {
	var flags publishFlags
	var version string
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Add a packaged release to the site and switch the channel to it",
		Long: `Indexes the packages of dist/VERSION for apt and yum, signs the indexes with the
active archive key and the checksums with the release keys, and switches the
channel to the release. Earlier versions stay installable. A publish that is
killed leaves the old release served; the next one finishes. Publishing what is
published already writes nothing, except that pointers which a retired key
signed are signed again.

What was published last is remembered in the key folder. A site that has lost
pointers, or was set back to an earlier state, is not published to; one that is
empty begins anew, with a warning.

Afterwards the site is read as apt, dnf and zypper would.`,
		Example: `  holm-publish publish
  holm-publish publish --version 1.2.3 --site /srv/packages --channel stable`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version == "" {
				var err error
				if version, err = newestBuilt(a.dist); err != nil {
					return err
				}
			}
			return a.publish(cmd.Context(), version, flags)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&version, "version", "", "MAJOR.MINOR.BUILD (default: the newest in the folder of built releases)")
	return cmd
}

// newestBuilt returns the greatest version in the folder of built releases.
func newestBuilt(dist string) (string, error) {
	folders, err := os.ReadDir(dist)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("looking for built releases: %w", err)
	}
	newest := ""
	for _, f := range folders {
		if packaging.CheckVersion(f.Name()) == nil && repo.CompareVersions(f.Name(), newest) > 0 {
			newest = f.Name()
		}
	}
	if newest == "" {
		return "", fmt.Errorf("%w: no release in %s", packaging.ErrNotBuilt, dist)
	}
	return newest, nil
}

// publishAnswer is the one line of --json.
type publishAnswer struct {
	Channel  string    `json:"channel"`
	Version  string    `json:"version"`
	Changed  bool      `json:"changed"`  // false: it was published already, nothing was written
	Newest   string    `json:"newest"`   // version that clients get now
	Written  int       `json:"written"`  // files and other names
	Packages int       `json:"packages"` // of this release
	Date     time.Time `json:"date"`     // of the Release file that is served
	Revision int64     `json:"revision"` // of yum
	URL      string    `json:"url"`
}

// publish publishes one version and reads the site as clients would.
func (a *app) publish(ctx context.Context, version string, flags publishFlags) error {
	cfg, err := a.product()
	if err != nil {
		return err
	}
	folder := packaging.Folder(a.dist, version)
	release, err := packaging.ReadRelease(folder)
	if err != nil {
		return err
	}
	if release.Packaged == "" {
		return fmt.Errorf("%w: release %s has no packages yet", packaging.ErrNotBuilt, version)
	}
	if release.Channel != flags.channel || release.Product != cfg.Name || a.url != "" && release.URL != cfg.URL {
		return withHint(fmt.Errorf("release %s is %s for channel %s at %s", version, release.Product, release.Channel, release.URL),
			"build and package again for the channel and URL that you want")
	}
	if err := release.Verify(folder); err != nil {
		return err
	}
	options, err := a.publishOptions(cfg, release, folder)
	if err != nil {
		return err
	}
	options.Moved = flags.moved
	v, err := releaseVersion(release, folder)
	if err != nil {
		return err
	}
	done := a.ui.step(a.now, "wrote the site in %s", flags.site)
	if err := checkSiteFolder(flags.site); err != nil {
		return err
	}
	where := site.OpenDir(flags.site)
	report, err := repo.Publish(ctx, where, *options, v, a.now())
	if err != nil {
		return fmt.Errorf("publishing %s: %w", version, err)
	}
	if last := report.Lost; last != nil {
		a.ui.warn("%s does not hold what was published last at %s: version %s, publish %d of %s. It begins anew, without the earlier versions; their numbers and dates go on",
			flags.site, release.URL, last.Version, last.Number, last.Date.Format(time.RFC3339))
	}
	answer := publishAnswer{report.Channel, report.Version, len(report.Written) > 0, report.Newest, len(report.Written), report.Packages, report.Date, report.Revision, release.URL}
	if !answer.Changed {
		return a.ui.answer(answer, "%s %s is published already in channel %s: nothing written", cfg.Name, version, flags.channel)
	}
	done()
	if err := a.ui.answer(answer, "published %s %s in channel %s: %s, %s written, served at %s", cfg.Name, version, flags.channel,
		count(report.Packages, "package"), count(len(report.Written), "name"), release.URL); err != nil {
		return err
	}
	if report.Newest != report.Version {
		a.ui.warn("%s is newer and stays the one that clients get", report.Newest)
	}
	retired, err := a.retiredKeys()
	if err != nil {
		return err
	}
	return a.verifySite(ctx, where, repo.VerifyOptions{Channel: flags.channel, Retired: retired}, false)
}

// checkSiteFolder refuses a folder that holds something else than a site.
func checkSiteFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the site: %w", err)
	}
	if len(entries) == 0 || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "publish" && e.IsDir() }) {
		return nil
	}
	return withHint(usage(fmt.Errorf("%s is no site, and not empty", dir)),
		"--site names an empty or missing folder, or a published one; mkdir "+filepath.Join(dir, "publish")+" makes a site of this one")
}

// publishOptions maps release.yaml and the key folder to what repo asks for.
func (a *app) publishOptions(cfg *packaging.Config, release *packaging.Release, folder string) (*repo.Options, error) {
	store, err := signing.OpenStore(a.keys)
	if err != nil {
		return nil, err
	}
	passphrase, err := a.passphrase()
	if err != nil {
		return nil, err
	}
	o := &repo.Options{Product: cfg.Name, Title: cfg.Title, Vendor: cfg.Vendor, Summary: cfg.Package.Summary, Homepage: cfg.Homepage,
		URL: release.URL, Channel: release.Channel, Log: publishedLog{a.keys, release.Channel, release.URL}}
	witnesses := signing.FindWitnesses()
	if o.Archive, err = store.Signer(signing.Archive, release.Channel, passphrase, witnesses); err != nil {
		return nil, err
	}
	if o.Release, err = store.Signer(signing.Release, release.Channel, passphrase, witnesses); err != nil {
		return nil, err
	}
	for _, e := range store.Entries() {
		if e.Channel != release.Channel || !e.Trusted() {
			continue
		}
		cert, err := store.Certificate(e)
		if err != nil {
			return nil, err
		}
		o.Certificates = append(o.Certificates, repo.Certificate{Role: repo.Role(e.Role), Number: e.Number, Certificate: cert,
			Signing: e.State == signing.Active, Signed: e.State == signing.Active || e.State == signing.Retired})
	}
	for _, f := range release.Select(packaging.KindKeyring) {
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(f.Name)))
		if err != nil {
			return nil, fmt.Errorf("reading a keyring of the release: %w", err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
			return nil, fmt.Errorf("%w: %s", packaging.ErrChanged, f.Name)
		}
		o.Shipped = append(o.Shipped, repo.KeyFile{Name: path.Base(f.Name), Data: data})
	}
	o.Rehearsal = isRehearsal(a.keys, store, release)
	return o, nil
}

// isRehearsal reports whether the release only tries the road: its offline
// keys lie beside the others, or it is served on this machine alone.
func isRehearsal(folder string, store *signing.Store, release *packaging.Release) bool {
	for _, e := range store.Entries() {
		if e.State != signing.Offline || e.Channel != release.Channel {
			continue
		}
		if _, err := os.Lstat(filepath.Join(folder, filepath.FromSlash(e.File))); err == nil {
			return true
		}
	}
	u, err := url.Parse(release.URL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// releaseVersion maps release.json to what repo publishes: the packages and
// archives.
func releaseVersion(release *packaging.Release, folder string) (repo.Version, error) {
	v := repo.Version{Number: release.Version, Commit: release.Commit, Time: time.Unix(release.Epoch, 0).UTC()}
	for _, kind := range []packaging.Kind{packaging.KindDEB, packaging.KindRPM, packaging.KindArchive} {
		for _, f := range release.Select(kind) {
			sum, err := hex.DecodeString(f.SHA256)
			if err != nil || len(sum) != 32 {
				return v, fmt.Errorf("%w: SHA-256 of %s", packaging.ErrChanged, f.Name)
			}
			name := filepath.Join(folder, filepath.FromSlash(f.Name))
			v.Artifacts = append(v.Artifacts, repo.Artifact{Name: path.Base(f.Name), Size: f.Size, SHA256: [32]byte(sum),
				Open: func() (io.ReadCloser, error) { return os.Open(name) }})
		}
	}
	return v, nil
}
