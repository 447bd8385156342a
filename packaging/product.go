package packaging

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"strings"
	"text/template"

	"holm.example/internal/product"
)

// An Identity is what one build of a product knows about itself.
type Identity struct {
	Version string // MAJOR.MINOR.BUILD
	Commit  string // full hash; empty: a development build
	URL     string // base URL of the site
	Keys    []product.Key
}

// FormatProduct returns the source of the product's constants: the file that
// Config.Product names. The package around it declares the type Key.
func FormatProduct(c *Config, id Identity) ([]byte, error) {
	var out bytes.Buffer
	err := productTemplate().Execute(&out, map[string]any{
		"Package": path.Base(path.Dir(c.Product)), "Config": c, "ID": id,
	})
	if err != nil {
		return nil, fmt.Errorf("writing the product's constants: %w", err)
	}
	source, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("writing the product's constants: %w", err)
	}
	return source, nil
}

// Development returns the identity of a build outside a release, for the
// contents of the file VERSION.
func (c *Config) Development(version string) (Identity, error) {
	v := strings.TrimSpace(version) + ".0"
	return Identity{Version: v, URL: c.URL}, CheckVersion(v)
}

func productTemplate() *template.Template {
	return template.Must(template.New("product.go").Parse(`// Code generated from packaging/release.yaml by packaging/genproduct. DO NOT EDIT.

package {{.Package}}

// What the product is, and what this build of it is.
const (
	Name = {{printf "%q" .Config.Name}}
	Title = {{printf "%q" .Config.Title}}
	Vendor = {{printf "%q" .Config.Vendor}}
	Homepage = {{printf "%q" .Config.Homepage}}
	Issues = {{printf "%q" .Config.Issues}}
	URL = {{printf "%q" .ID.URL}}
	Version = {{printf "%q" .ID.Version}}
	Commit = {{printf "%q" .ID.Commit}}
)

{{if .ID.Keys -}}
// Keys returns the keys that speak for this build.
func Keys() []Key {
	return []Key{
{{- range .ID.Keys}}
		{Role: {{printf "%q" .Role}}, Channel: {{printf "%q" .Channel}}, Number: {{.Number}}, Fingerprint: {{printf "%q" .Fingerprint}}},
{{- end}}
	}
}
{{else -}}
// Keys returns the keys that speak for this build; a development build has none.
func Keys() []Key { return nil }
{{end}}`))
}
