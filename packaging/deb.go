package packaging

import (
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

// debCompression of data.tar. bullseye reads no zstd. The library's gzip is 9 %
// larger than its xz, for a third of the time; packages are made once and
// fetched often. It writes one stream, and dpkg reads no more than that.
const debCompression = "xz"

// info returns what every package says, DEB or RPM.
func (p *packager) info(texts PackageTexts, name, arch string, s *stage) *nfpm.Info {
	info := &nfpm.Info{
		Name: name, Arch: arch, Platform: "linux", Version: p.release.Version, VersionSchema: "none",
		Section: texts.Section, Priority: "optional", Maintainer: p.Config.Maintainer, Vendor: p.Config.Vendor,
		Description: strings.TrimSpace(texts.Description), Homepage: p.Config.Homepage, License: p.Config.License,
		MTime: p.Source.Epoch, DisableGlobbing: true,
		Overridables: nfpm.Overridables{Contents: s.contents, Umask: 0},
	}
	info.RPM.Summary = texts.Summary
	return info
}

// staged makes one package from a stage that is gone afterwards.
func (p *packager) staged(build func(*stage) (File, error)) (File, error) {
	dir, err := os.MkdirTemp("", p.Config.Name+"-stage-")
	if err != nil {
		return File{}, fmt.Errorf("staging: %w", err)
	}
	defer os.RemoveAll(dir)
	return build(&stage{dir: dir, p: p})
}

// programDEB makes the DEB of the program for one target.
func (p *packager) programDEB(t Target, arch string) (File, error) {
	return p.staged(func(s *stage) (File, error) {
		name := p.Config.Package.Name
		if err := s.program(t, files.TypeFile, "/usr/share/zsh/vendor-completions"); err != nil {
			return File{}, err
		}
		if err := s.debDocuments(name, "lintian-overrides.tmpl"); err != nil {
			return File{}, err
		}
		if err := s.addSource(path.Join("/usr/share/doc", name, path.Base(p.Config.ReadmeFile)), files.TypeFile, p.Config.ReadmeFile); err != nil {
			return File{}, err
		}
		info := p.info(p.Config.Package, name, arch, s)
		if p.Config.Keyring != nil {
			info.Recommends = []string{p.Config.Keyring.Name}
		}
		return p.writeDEB(info)
	})
}

// keyringDEB makes the DEB with the keys and apt's repository entry. Both are
// conffiles: remove keeps them, so that apt still works, and purge takes both.
func (p *packager) keyringDEB() (File, error) {
	return p.staged(func(s *stage) (File, error) {
		name := p.Config.Keyring.Name
		entry, err := p.Config.AptEntry()
		if err != nil {
			return File{}, err
		}
		if err := s.add(path.Join(aptKeyringFolder, p.Config.AptKeyringName()), files.TypeConfig, p.AptKeyring); err != nil {
			return File{}, err
		}
		if err := s.add(path.Join(aptSourcesFolder, p.Config.Name+".sources"), files.TypeConfig, entry); err != nil {
			return File{}, err
		}
		if err := s.debDocuments(name, "keyring-overrides.tmpl"); err != nil {
			return File{}, err
		}
		return p.writeDEB(p.info(*p.Config.Keyring, name, "all", s))
	})
}

// writeDEB writes the package. There is no embedded signature: apt trusts the
// signed Release file, and lintian knows of no other member.
func (p *packager) writeDEB(info *nfpm.Info) (File, error) {
	info.Deb.Arch = info.Arch
	info.Description = info.RPM.Summary + "\n" + info.Description
	info.Deb.Compression = debCompression
	info.Deb.Fields = map[string]string{"Multi-Arch": "foreign"}
	name := fmt.Sprintf("%s_%s_%s.deb", info.Name, info.Version, info.Arch)
	f := File{Name: name, Kind: KindDEB, OS: "linux", Arch: info.Arch, Package: info.Name}
	return f, p.writeFile(name, func(w io.Writer) error { return deb.Default.Package(info, w) })
}
