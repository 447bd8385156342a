package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"holm.example/internal/product"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print version, commit and keys",
		Long: `Print the version and commit of this program and the full fingerprint of every
OpenPGP key that speaks for it. Compare them with those on the download page
before you trust a key.`,
		Example: "  holm version\n  holm --version\n  holm version --json",
		GroupID: groupOther,
		Args:    arguments(0, 0, ""),
		RunE:    func(*cobra.Command, []string) error { return a.version() },
	}
}

// A versionAnswer is the JSON of version.
type versionAnswer struct {
	Type    string       `json:"type"`
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Commit  string       `json:"commit,omitempty"`
	Go      string       `json:"go"`
	OS      string       `json:"os"`
	Arch    string       `json:"arch"`
	Keys    []versionKey `json:"keys"`
}

type versionKey struct {
	Role        string `json:"role"`
	Channel     string `json:"channel"`
	Number      int    `json:"number"`
	Fingerprint string `json:"fingerprint"`
}

func (a *app) version() error {
	answer := versionAnswer{
		Type: "version", Name: product.Name, Version: product.Version, Commit: product.Commit,
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Keys: []versionKey{},
	}
	for _, k := range product.Keys() {
		answer.Keys = append(answer.Keys, versionKey{k.Role, k.Channel, k.Number, k.Fingerprint})
	}
	return a.ui.answer(answer, answer.text())
}

func (v versionAnswer) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", v.Name, v.Version)
	if v.Commit == "" {
		b.WriteString("commit: none, a development build\n")
	} else {
		fmt.Fprintf(&b, "commit: %s\n", v.Commit)
	}
	fmt.Fprintf(&b, "built with %s for %s/%s\n", v.Go, v.OS, v.Arch)
	for _, k := range v.Keys {
		fmt.Fprintf(&b, "%s %s key %d: %s\n", k.Channel, k.Role, k.Number, k.Fingerprint)
	}
	if len(v.Keys) == 0 {
		b.WriteString("keys: none, a development build\n")
	}
	return b.String()
}
