package repo

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

const pageName = "index.html"

//go:embed index.html.tmpl
var pageText string

// A pageKey is a certificate as the landing page shows it.
type pageKey struct {
	Role, Fingerprint, File, Use string
}

// A pageFile is a download as the landing page shows it.
type pageFile struct {
	Name, SHA256 string
}

// planPage plans the landing page for the newest release.
func (p *publish) planPage(files []sum) error {
	page, err := p.o.page(p.v.Number, p.v.Commit, files)
	if err != nil {
		return err
	}
	same, err := holds(p.ctx, p.site, pageName, page)
	if err == nil && !same {
		p.plan.point(pageName, page)
	}
	return err
}

// page writes the landing page. It depends on its arguments alone.
func (o *Options) page(version, commit string, files []sum) ([]byte, error) {
	t, err := template.New(pageName).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("reading the template of the landing page: %w", err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(files, func(s sum) bool { return s.name == name })
	}
	data := struct {
		*Options
		Version, Commit            string
		KeyringDEB, KeyringRPM     string
		KeyringZypp, Keyring       string
		RPMKey                     string
		Linux, Windows, Mac, Other []pageFile
		Keys                       []pageKey
	}{Options: o, Version: version, Commit: commit, Keyring: KeyringName(o.Product), RPMKey: RPMKeyName(o.Product)}
	base := o.Product + "-archive-keyring"
	for name, into := range map[string]*string{base + ".deb": &data.KeyringDEB, base + ".rpm": &data.KeyringRPM, base + "-zypp.rpm": &data.KeyringZypp} {
		if has(name) {
			*into = name
		}
	}
	for _, s := range files {
		into := &data.Other
		switch {
		case strings.HasSuffix(s.name, ".deb"), strings.HasSuffix(s.name, ".rpm"), strings.Contains(s.name, "linux"):
			into = &data.Linux
		case strings.Contains(s.name, "windows"):
			into = &data.Windows
		case strings.Contains(s.name, "darwin"):
			into = &data.Mac
		}
		*into = append(*into, pageFile{s.name, fmt.Sprintf("%x", s.sum)})
	}
	for _, c := range o.Certificates {
		use := "in reserve"
		switch {
		case c.Signing:
			use = "signs now"
		case c.Signed:
			use = "retired"
		}
		data.Keys = append(data.Keys, pageKey{string(c.Role), groups(c.Certificate.Fingerprint().String()), certificateName(o.Channel, c.Role, c.Number), use})
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("writing the landing page: %w", err)
	}
	return b.Bytes(), nil
}

// groups writes a fingerprint as gpg does: ten groups of four digits.
func groups(fingerprint string) string {
	return strings.Join(slices.Collect(func(yield func(string) bool) {
		for part := range slices.Chunk([]byte(fingerprint), 4) {
			if !yield(string(part)) {
				return
			}
		}
	}), " ")
}
