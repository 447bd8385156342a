package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxConfigSize bounds release.yaml, in bytes.
	MaxConfigSize = 1 << 20

	configFormat = 1
)

// A Config describes a product: release.yaml, word by word.
type Config struct {
	Format     int    `yaml:"format"`
	Name       string `yaml:"name"`
	Title      string `yaml:"title"`
	Vendor     string `yaml:"vendor"`
	Maintainer string `yaml:"maintainer"` // name and address
	KeyEmail   string `yaml:"key_email"`
	Homepage   string `yaml:"homepage"`
	Issues     string `yaml:"issues"`
	License    string `yaml:"license"` // SPDX
	Copyright  string `yaml:"copyright"`

	URL     string `yaml:"url"`     // base URL of the site, without a slash at its end
	Channel string `yaml:"channel"` // whose repository entry the packages bring

	Programs    []Program     `yaml:"programs"`
	Product     string        `yaml:"product"` // the generated source file
	Documents   Documents     `yaml:"documents"`
	News        string        `yaml:"news"`
	LicenseFile string        `yaml:"license_file"`
	ReadmeFile  string        `yaml:"readme_file"`
	Targets     []Target      `yaml:"targets"`
	Package     PackageTexts  `yaml:"package"`
	Keyring     *PackageTexts `yaml:"keyring"` // nil: packages without a repository entry
}

// A Program is one binary of the product.
type Program struct {
	Name    string `yaml:"name"`    // in /usr/bin
	Package string `yaml:"package"` // for the Go command, relative to the module: ./cmd/name
}

// Documents says how the man pages and completions are made. The zero value
// means that there are none.
type Documents struct {
	Package string `yaml:"package"`
	Tag     string `yaml:"tag"`
	Verb    string `yaml:"verb"`
}

// PackageTexts are what a package manager shows about a package.
type PackageTexts struct {
	Name        string `yaml:"name"` // empty: that of the product
	Summary     string `yaml:"summary"`
	Section     string `yaml:"section"` // Debian's
	Description string `yaml:"description"`
}

// ReadConfig reads release.yaml. The error is ErrConfig, or that of reading.
func ReadConfig(name string) (*Config, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the description of the product: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxConfigSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the description of the product: %w", err)
	}
	return ParseConfig(data)
}

// ParseConfig reads and checks a description. Unknown and missing words are
// ErrConfig, with the line where there is one.
func ParseConfig(data []byte) (*Config, error) {
	if len(data) > MaxConfigSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrConfig, MaxConfigSize)
	}
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", ErrConfig)
	}
	if c.Package.Name == "" {
		c.Package.Name = c.Name
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// SetURL replaces the base URL of the site, as a rehearsal does. The error is
// ErrConfig.
func (c *Config) SetURL(base string) error {
	base = strings.TrimRight(base, "/")
	if err := checkURL("url", base); err != nil {
		return err
	}
	c.URL = base
	return nil
}

// check refuses descriptions that would end in broken packages.
func (c *Config) check() error {
	if c.Format != configFormat {
		return fmt.Errorf("%w: format %d, this program reads %d", ErrConfig, c.Format, configFormat)
	}
	for _, err := range []error{
		checkName("name", c.Name), checkName("channel", c.Channel), checkName("package.name", c.Package.Name),
		checkURL("url", c.URL), checkURL("homepage", c.Homepage), checkURL("issues", c.Issues),
		checkLine("title", c.Title), checkLine("vendor", c.Vendor), checkLine("license", c.License),
		checkLine("copyright", c.Copyright), checkAddress("key_email", "<"+c.KeyEmail+">"), checkAddress("maintainer", c.Maintainer),
		checkPath("product", c.Product), checkPath("news", c.News),
		checkPath("license_file", c.LicenseFile), checkPath("readme_file", c.ReadmeFile),
		c.Package.check("package"), c.checkPrograms(), c.checkTargets(),
	} {
		if err != nil {
			return err
		}
	}
	if c.Keyring == nil {
		return nil
	}
	if err := checkName("keyring.name", c.Keyring.Name); err != nil {
		return err
	}
	return c.Keyring.check("keyring")
}

func (c *Config) checkPrograms() error {
	if len(c.Programs) == 0 {
		return fmt.Errorf("%w: no programs", ErrConfig)
	}
	for _, p := range c.Programs {
		if err := checkName("programs.name", p.Name); err != nil {
			return err
		}
		if err := checkPackage("programs.package", p.Package); err != nil {
			return err
		}
	}
	d := c.Documents
	if d == (Documents{}) {
		return nil
	}
	if err := checkPackage("documents.package", d.Package); err != nil {
		return err
	}
	if err := checkName("documents.tag", d.Tag); err != nil {
		return err
	}
	return checkName("documents.verb", d.Verb)
}

func (c *Config) checkTargets() error {
	if len(c.Targets) == 0 {
		return fmt.Errorf("%w: no targets", ErrConfig)
	}
	seen := make(map[Target]bool)
	for _, t := range c.Targets {
		if seen[t] {
			return fmt.Errorf("%w: target %s stands twice", ErrConfig, t)
		}
		seen[t] = true
	}
	return nil
}

func (t PackageTexts) check(key string) error {
	if err := checkLine(key+".summary", t.Summary); err != nil {
		return err
	}
	if err := checkName(key+".section", t.Section); err != nil {
		return err
	}
	if strings.TrimSpace(t.Description) == "" {
		return fmt.Errorf("%w: %s.description is missing", ErrConfig, key)
	}
	return nil
}

// namePattern is what dpkg, rpm and file systems all take for a name.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{0,62}$`)

func checkName(key, value string) error {
	if !namePattern.MatchString(value) {
		return fmt.Errorf("%w: %s: %q is no name of lower case letters, digits, plus, dot and dash", ErrConfig, key, value)
	}
	return nil
}

func checkLine(key, value string) error {
	if strings.TrimSpace(value) != value || value == "" || strings.ContainsAny(value, "\n\r\t\x00") {
		return fmt.Errorf("%w: %s is missing or no single line", ErrConfig, key)
	}
	return nil
}

// addressPattern is "Name <local@domain>", or only the address.
var addressPattern = regexp.MustCompile(`^([^<>@\n\r]+ )?<[^<>@\s]+@[^<>@\s]+>$`)

func checkAddress(key, value string) error {
	if !addressPattern.MatchString(value) {
		return fmt.Errorf("%w: %s is no address", ErrConfig, key)
	}
	return nil
}

func checkURL(key, value string) error {
	u, err := url.Parse(value)
	plain := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	if !plain || key == "url" && strings.HasSuffix(value, "/") || strings.ContainsAny(value, " \"'$\n") {
		return fmt.Errorf("%w: %s: %q is no base URL", ErrConfig, key, value)
	}
	return nil
}

func checkPath(key, value string) error {
	if value == "" || path.IsAbs(value) || path.Clean(value) != value || strings.HasPrefix(value, "..") || strings.Contains(value, `\`) {
		return fmt.Errorf("%w: %s: %q is no file of the source", ErrConfig, key, value)
	}
	return nil
}

func checkPackage(key, value string) error {
	if value == "." {
		return nil
	}
	rest, ok := strings.CutPrefix(value, "./")
	if !ok {
		return fmt.Errorf("%w: %s: %q does not begin with ./", ErrConfig, key, value)
	}
	return checkPath(key, rest)
}
