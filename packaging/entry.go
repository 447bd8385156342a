package packaging

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
)

// Assets are the texts that packages are made from, and what the checkers of
// Debian and rpm are told about them.
//
//go:embed assets
var assets embed.FS

// Paths of the keys and repository entries, the same in every release.
const (
	aptKeyringFolder = "/etc/apt/keyrings"
	aptSourcesFolder = "/etc/apt/sources.list.d"
	rpmKeyFolder     = "/etc/pki/rpm-gpg"
	yumFolder        = "/etc/yum.repos.d"
	zyppFolder       = "/etc/zypp/repos.d"
)

// AptKeyringName returns the file name of the binary keyring for apt.
func (c *Config) AptKeyringName() string { return c.Keyring.Name + ".pgp" }

// RPMKeyName returns the file name of the armored keys for rpm.
func (c *Config) RPMKeyName() string { return "RPM-GPG-KEY-" + c.Name }

// AptEntry returns the bytes of /etc/apt/sources.list.d/<name>.sources.
func (c *Config) AptEntry() ([]byte, error) { return c.asset("apt.sources.tmpl") }

// YumEntry returns the bytes of /etc/yum.repos.d/<name>.repo.
func (c *Config) YumEntry() ([]byte, error) { return c.asset("yum.repo.tmpl") }

// ZyppEntry returns the bytes of /etc/zypp/repos.d/<name>.repo.
func (c *Config) ZyppEntry() ([]byte, error) { return c.asset("zypp.repo.tmpl") }

// asset fills one template with what the product is.
func (c *Config) asset(name string) ([]byte, error) {
	t, err := template.ParseFS(assets, "assets/"+name)
	if err != nil {
		return nil, fmt.Errorf("reading template %s: %w", name, err)
	}
	var out strings.Builder
	if err := t.Execute(&out, c); err != nil {
		return nil, fmt.Errorf("filling template %s: %w", name, err)
	}
	return []byte(out.String()), nil
}
