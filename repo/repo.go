// Package repo publishes releases: it reads the packages of a release,
// indexes them for apt and yum, signs, switches the site to the new release
// and verifies the site as every client would. The tree that it writes is
// specified in docs/repo-layout.md.
//
// The promises:
//
//   - Whoever reads the site at any instant sees the old release or the new
//     one. A publisher killed at any step leaves the old one served, and the next run finishes.
//   - Nothing is signed on top of what does not verify under the keys of the
//     channel; nothing unsigned or wrongly signed gets in.
//   - A site that lost what was published, or was set back, is noticed.
//   - The same name, version and architecture never changes its bytes.
//   - Publishing what is published writes nothing.
//
// The package does not know how signatures are made (Signer) nor where the
// site is (Site); it knows no clock, the time is an argument.
package repo

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"holm.example/keys"
)

// A Reader is a site as the world sees it. Names are slash-separated and
// relative; the error is fs.ErrNotExist for a file that is not there.
type Reader interface {
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// A Site is where a release is served from. Every change is whole or not at
// all and durable when the call returns; see holm.example/repo/site.
type Site interface {
	Reader
	// Put makes a name hold all of body, replacing what is there.
	Put(ctx context.Context, name string, body io.Reader) error
	// Copy makes a name hold what another one holds.
	Copy(ctx context.Context, to, from string) error
	// Alias makes name another name of a directory, in one step if the
	// place can do that.
	Alias(ctx context.Context, name, dir string) error
	// Lock keeps other publishers out until unlock.
	Lock(ctx context.Context) (unlock func() error, err error)
}

// A Signer signs with the active keys of one role. A signature is never
// dated before its key: the signer raises when if it must.
type Signer interface {
	// SignDetached returns one armor block with the signatures of all keys.
	SignDetached(message []byte, when time.Time) (armored []byte, err error)
	// SignCleartext returns the message in the cleartext signature framework.
	SignCleartext(message []byte, when time.Time) ([]byte, error)
}

// Options are what a publisher knows besides the release.
type Options struct {
	Product   string // name of the package, and part of the names of key files
	Title     string // as people write it; also Origin and Label of the Release, write-once
	Vendor    string
	Summary   string // one line
	Homepage  string
	URL       string // base URL of the site, without a slash at its end
	Channel   string
	Rehearsal bool // said plainly on the landing page
	Moved     bool // the site moves to URL from the base URL it was published for

	Archive Signer // one key: InRelease, Release.gpg, repomd.xml.asc
	Release Signer // all active release keys: SHA256SUMS

	Certificates []Certificate // every key of the channel, in the order of the keyrings
	Log          Log           // of the channel and URL; nil: none is kept

	// Shipped are the keyrings inside the packages of the release: whoever
	// installs them must know the key that signs the repositories.
	Shipped []KeyFile
}

// A Role says what a certificate signs.
type Role string

// The roles of certificates.
const (
	Archive Role = "archive"
	Package Role = "package"
	Release Role = "release"
)

// A Certificate is one key of the channel.
type Certificate struct {
	Role   Role
	Number int // in the rotation of its role, from 1
	// Signing says that the key signs now; Signed that it does or did:
	// a published pointer may be signed by it.
	Signing, Signed bool
	Certificate     *keys.Certificate
}

// A KeyFile is a keyring as one kind of client wants it.
type KeyFile struct {
	Name string
	Data []byte
}

// KeyringName is the file in keys/ that apt's Signed-By is a copy of.
func KeyringName(product string) string { return product + "-archive-keyring.pgp" }

// RPMKeyName is the file in keys/ that gpgkey= of the repository entry is a copy of.
func RPMKeyName(product string) string { return "RPM-GPG-KEY-" + product }

// An Artifact is one file of a release: a package, an archive, an installer.
type Artifact struct {
	Name   string // base name
	Size   int64  // bytes
	SHA256 [32]byte
	Open   func() (io.ReadCloser, error)
}

// A Version is a release: what is to be published.
type Version struct {
	Number    string // MAJOR.MINOR.BUILD
	Commit    string
	Time      time.Time // of the commit: the signature time of SHA256SUMS
	Artifacts []Artifact
}

// architectures of the apt repository; indexes of all of them are always
// there, since hosts with foreign architectures ask for them.
func aptArchitectures() []string { return []string{"amd64", "arm64", "armhf", "i386"} }

// baseArchs are the directories of the yum repository.
func baseArchs() []string { return []string{"x86_64", "i386", "aarch64", "armhfp", "armv6hl"} }

// ring returns the certificates of a role that match.
func (o *Options) ring(role Role, match func(Certificate) bool) keys.Keyring {
	var ring keys.Keyring
	for _, c := range o.Certificates {
		if c.Role == role && match(c) {
			ring = append(ring, c.Certificate)
		}
	}
	return ring
}

func signing(c Certificate) bool { return c.Signing }
func signed(c Certificate) bool  { return c.Signed }

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	versionForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$`)
	urlForm     = regexp.MustCompile(`^https?://[A-Za-z0-9]([A-Za-z0-9._~%:/\[\]-]{0,500})$`)
	fileForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._~^-]{0,199}$`)
)

// keyFiles are the files in keys/, as each client wants them.
func (o *Options) keyFiles() []KeyFile {
	every := func(Certificate) bool { return true }
	archive, packages := o.ring(Archive, every), o.ring(Package, every)
	files := []KeyFile{
		{KeyringName(o.Product), archive.Binary()},
		{RPMKeyName(o.Product), slices.Concat(archive, packages).Armor()},
	}
	for _, c := range o.Certificates {
		files = append(files, KeyFile{certificateName(o.Channel, c.Role, c.Number), c.Certificate.Armor()})
	}
	return files
}

// check refuses options and releases whose names could not stand in a path.
func (o *Options) check(v *Version) error {
	switch {
	case !nameForm.MatchString(o.Product) || !nameForm.MatchString(o.Channel):
		return fmt.Errorf("%w: product %q, channel %q", ErrConfig, o.Product, o.Channel)
	case !validURL(o.URL):
		return fmt.Errorf("%w: base URL %q", ErrConfig, o.URL)
	case o.Title == "" || strings.ContainsAny(o.Title+o.Summary, "\n\r\t"):
		return fmt.Errorf("%w: title %q, summary %q", ErrConfig, o.Title, o.Summary)
	case len(o.ring(Archive, signing)) != 1:
		return fmt.Errorf("%w: exactly one archive key signs, not %d", ErrConfig, len(o.ring(Archive, signing)))
	case len(o.ring(Package, signing)) == 0 || len(o.ring(Release, signing)) == 0:
		return fmt.Errorf("%w: no signing package or release key", ErrConfig)
	case !versionForm.MatchString(v.Number):
		return fmt.Errorf("%w: version %q is not MAJOR.MINOR.BUILD", ErrConfig, v.Number)
	case len(v.Artifacts) == 0:
		return fmt.Errorf("%w: release %s without artifacts", ErrConfig, v.Number)
	}
	for _, f := range o.Shipped {
		ring, err := keys.ParseKeyring(f.Data)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrArtifact, f.Name, err)
		}
		if signer := o.ring(Archive, signing)[0].Fingerprint(); ring.Find(signer) == nil {
			return fmt.Errorf("%w: %s lacks %s, which signs the repositories", ErrArtifact, f.Name, signer)
		}
	}
	for _, a := range v.Artifacts {
		if !fileForm.MatchString(a.Name) || strings.HasPrefix(a.Name, sumsName) {
			return fmt.Errorf("%w: artifact %q", ErrConfig, a.Name)
		}
	}
	return nil
}

// validURL reports whether a base URL can stand in a mirror list.
func validURL(url string) bool {
	return urlForm.MatchString(url) && !strings.HasSuffix(url, "/")
}
