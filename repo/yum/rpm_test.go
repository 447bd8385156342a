package yum_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
	nfpmrpm "github.com/goreleaser/nfpm/v2/rpm"
)

// buildRPM makes a package of the kind that our releases are made of.
func buildRPM(t testing.TB, change func(*nfpm.Info)) []byte {
	t.Helper()
	source := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(source, []byte("holm"), 0o644); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1_700_000_000, 0)
	mode := &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o644, MTime: when}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "holm", Arch: "amd64", Version: "1.2.3", Release: "1", Description: "Backup <for> \"all\" & everybody\n\nMore.", Vendor: "The holm authors",
		Maintainer: "The holm authors <packages@holm.example>", Homepage: "https://holm.example/", License: "Apache-2.0", MTime: when,
		Overridables: nfpm.Overridables{
			Recommends: []string{"holm-archive-keyring"}, Conflicts: []string{"other < 2:1.0-3"}, Provides: []string{"backup = 1.2.3"},
			Depends: []string{"/bin/sh", "libfoo >= 1.0"}, Replaces: []string{"oldholm"},
			RPM: nfpm.RPM{Compression: "gzip", BuildHost: "localhost"},
			Contents: files.Contents{
				{Source: source, Destination: "/usr/bin/holm", FileInfo: mode},
				{Source: source, Destination: "/etc/holm.conf", Type: files.TypeConfigNoReplace, FileInfo: mode},
				{Destination: "/usr/share/holm", Type: files.TypeDir, FileInfo: mode},
				{Destination: "/var/log/holm.log", Type: files.TypeRPMGhost, FileInfo: mode},
			},
		},
	})
	if change != nil {
		change(info)
	}
	if err := nfpm.PrepareForPackager(info, "rpm"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := nfpmrpm.DefaultRPM.Package(info, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
