package packaging

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

const (
	rpmRelease     = "1"
	rpmCompression = "zstd:fastest" // finishRPM compresses again
	rpmBuildHost   = "localhost"    // the same on every machine
	rpmGroup       = "Applications/Archiving"
)

// rpmFeatures are the requirements on rpm itself that rpmbuild would declare
// for such a package and the library does not.
func rpmFeatures() []string {
	return []string{
		"rpmlib(CompressedFileNames) <= 3.0.4-1",
		"rpmlib(FileDigests) <= 4.6.0-1",
		"rpmlib(PayloadFilesHavePrefix) <= 4.0-1",
		"rpmlib(PayloadIsZstd) <= 5.4.18-1",
	}
}

// programRPM makes the RPM of the program for one target.
func (p *packager) programRPM(t Target, arch string) (File, error) {
	return p.staged(func(s *stage) (File, error) {
		name := p.Config.Package.Name
		if err := s.program(t, files.TypeRPMDoc, "/usr/share/zsh/site-functions"); err != nil {
			return File{}, err
		}
		if err := s.rpmDocuments(name); err != nil {
			return File{}, err
		}
		if err := s.addSource(path.Join("/usr/share/doc", name, path.Base(p.Config.ReadmeFile)), files.TypeRPMDoc, p.Config.ReadmeFile); err != nil {
			return File{}, err
		}
		s.ownFolders()
		info := p.info(p.Config.Package, name, arch, s)
		if p.Config.Keyring != nil {
			info.Recommends = []string{p.Config.Keyring.Name}
		}
		return p.writeRPM(info, s)
	})
}

// keyringRPM makes the RPM with the keys and one repository entry: for dnf, or
// with the suffix "-zypp" for zypper, which then provides the plain name too.
func (p *packager) keyringRPM(suffix, folder string, entry func() ([]byte, error)) (File, error) {
	return p.staged(func(s *stage) (File, error) {
		name := p.Config.Keyring.Name + suffix
		data, err := entry()
		if err != nil {
			return File{}, err
		}
		if err := s.add(path.Join(rpmKeyFolder, p.Config.RPMKeyName()), files.TypeFile, p.RPMKeys); err != nil {
			return File{}, err
		}
		if err := s.add(path.Join(folder, p.Config.Name+".repo"), files.TypeConfigNoReplace, data); err != nil {
			return File{}, err
		}
		if err := s.rpmDocuments(name); err != nil {
			return File{}, err
		}
		s.ownFolders()
		info := p.info(*p.Config.Keyring, name, "noarch", s)
		if suffix != "" {
			info.Provides = []string{fmt.Sprintf("%s = %s-%s", p.Config.Keyring.Name, p.release.Version, rpmRelease)}
		}
		return p.writeRPM(info, s)
	})
}

// writeRPM writes and signs the package.
func (p *packager) writeRPM(info *nfpm.Info, s *stage) (File, error) {
	log, err := p.changelog(info.Name).nfpm()
	if err != nil {
		return File{}, fmt.Errorf("writing the changelog: %w", err)
	}
	info.Changelog = filepath.Join(s.dir, "changelog.yaml")
	if err := os.WriteFile(info.Changelog, log, 0o600); err != nil {
		return File{}, fmt.Errorf("staging the changelog: %w", err)
	}
	info.Release = rpmRelease
	info.RPM.Summary = strings.ToUpper(info.RPM.Summary[:1]) + info.RPM.Summary[1:] // as rpm's packages begin theirs
	info.Depends = rpmFeatures()
	info.RPM.Arch, info.RPM.Compression, info.RPM.BuildHost, info.RPM.Group = info.Arch, rpmCompression, rpmBuildHost, rpmGroup
	name := fmt.Sprintf("%s-%s-%s.%s.rpm", info.Name, info.Version, rpmRelease, info.Arch)
	f := File{Name: name, Kind: KindRPM, OS: "linux", Arch: info.Arch, Package: info.Name}
	var built bytes.Buffer
	if err := rpm.DefaultRPM.Package(info, &built); err != nil {
		return File{}, err
	}
	return f, p.writeFile(name, func(w io.Writer) error { return finishRPM(w, built.Bytes(), p.Sign) })
}
