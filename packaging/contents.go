package packaging

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2/files"

	"holm.example/internal/gzipmember"
)

// A staged file waits in a folder of its own for the package builder, which
// takes paths only.
type stage struct {
	dir      string // temporary
	contents files.Contents
	p        *packager
}

// add stages data as the file that a package installs at destination.
func (s *stage) add(destination, kind string, data []byte) error {
	source := filepath.Join(s.dir, fmt.Sprintf("%03d", len(s.contents)))
	if err := os.WriteFile(source, data, 0o600); err != nil {
		return fmt.Errorf("staging %s: %w", destination, err)
	}
	s.addFile(destination, kind, source, 0o644)
	return nil
}

// addFile takes a file from where it stands.
func (s *stage) addFile(destination, kind, source string, mode fs.FileMode) {
	s.contents = append(s.contents, &files.Content{
		Source: source, Destination: destination, Type: kind,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: s.p.Source.Epoch},
	})
}

// addGzip stages data compressed.
func (s *stage) addGzip(destination, kind string, data []byte) error {
	return s.add(destination, kind, gzipmember.Compress(data))
}

// addSource stages a file of the source, such as the licence.
func (s *stage) addSource(destination, kind, name string) error {
	data, err := os.ReadFile(filepath.Join(s.p.Source.Dir, filepath.FromSlash(name)))
	if err != nil {
		return fmt.Errorf("staging %s: %w", destination, err)
	}
	return s.add(destination, kind, data)
}

// ownFolders adds every folder that an RPM makes: rpm removes only what it
// owns. Folders that every system has, and that its base package owns, stay
// out.
func (s *stage) ownFolders() {
	base := []string{"/", ".", "/etc", "/usr", "/usr/bin", "/usr/share", "/usr/share/doc", "/usr/share/licenses", "/usr/share/man", "/usr/share/man/man1"}
	seen := make(map[string]bool)
	for _, c := range slices.Clone(s.contents) {
		for dir := path.Dir(c.Destination); !slices.Contains(base, dir) && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			s.contents = append(s.contents, &files.Content{
				Destination: dir, Type: files.TypeDir,
				FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o755, MTime: s.p.Source.Epoch},
			})
		}
	}
}

// trimDocument returns the name of a document below the folder of documents.
func trimDocument(name string) string { return strings.TrimPrefix(name, documentFolder+"/") }

// program stages what DEB and RPM of the program have in common: binaries,
// man pages, marked as kind says, and completions.
func (s *stage) program(t Target, kind, zshFolder string) error {
	for _, program := range s.p.Config.Programs {
		name := t.binary(program.Name)
		s.addFile("/usr/bin/"+name, files.TypeFile, s.p.programPath(t, name), 0o755)
	}
	for _, d := range s.p.release.Select(KindDocument) {
		data, err := os.ReadFile(filepath.Join(s.p.folder, filepath.FromSlash(d.Name)))
		if err != nil {
			return fmt.Errorf("staging %s: %w", d.Name, err)
		}
		base := path.Base(d.Name)
		switch path.Dir(trimDocument(d.Name)) {
		case "man":
			section := strings.TrimPrefix(path.Ext(base), ".")
			err = s.addGzip(path.Join("/usr/share/man/man"+section, base+".gz"), kind, data)
		case "completions/bash":
			err = s.add(path.Join("/usr/share/bash-completion/completions", strings.TrimSuffix(base, ".bash")), files.TypeFile, data)
		case "completions/zsh":
			err = s.add(path.Join(zshFolder, base), files.TypeFile, data)
		case "completions/fish":
			err = s.add(path.Join("/usr/share/fish/vendor_completions.d", base), files.TypeFile, data)
		default:
			err = fmt.Errorf("%w: nobody knows where document %s belongs", ErrBuild, d.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// debDocuments stages what Debian Policy asks of every package, and why
// lintian should overlook what it says about this one.
func (s *stage) debDocuments(name, overrides string) error {
	folder := path.Join("/usr/share/doc", name)
	copyright, err := s.p.copyright()
	if err != nil {
		return err
	}
	if err := s.add(path.Join(folder, "copyright"), files.TypeFile, copyright); err != nil {
		return err
	}
	if err := s.addGzip(path.Join(folder, "changelog.gz"), files.TypeFile, []byte(s.p.changelog(name).debian())); err != nil {
		return err
	}
	reasons, err := s.p.Config.asset(overrides)
	if err != nil {
		return err
	}
	return s.add(path.Join("/usr/share/lintian/overrides", name), files.TypeFile, reasons)
}

// rpmDocuments stages the licence where rpm looks for it.
func (s *stage) rpmDocuments(name string) error {
	return s.addSource(path.Join("/usr/share/licenses", name, path.Base(s.p.Config.LicenseFile)), files.TypeRPMLicense, s.p.Config.LicenseFile)
}

// copyright returns Debian's copyright file. Licences that every Debian system
// holds are named, others are repeated.
func (p *packager) copyright() ([]byte, error) {
	out, err := p.Config.asset("copyright.tmpl")
	if err != nil {
		return nil, err
	}
	if p.Config.License == "Apache-2.0" {
		return append(out, " On Debian systems the full text of the Apache License, Version 2.0,\n stands in /usr/share/common-licenses/Apache-2.0.\n"...), nil
	}
	text, err := os.ReadFile(filepath.Join(p.Source.Dir, filepath.FromSlash(p.Config.LicenseFile)))
	if err != nil {
		return nil, fmt.Errorf("reading the licence: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, " \t\r\n"); line == "" {
			line = "."
		}
		out = append(out, " "+line+"\n"...)
	}
	return out, nil
}

// changelog returns the entry of this version.
func (p *packager) changelog(name string) changelog {
	c := changelog{product: name, version: p.release.Version, maintainer: p.Config.Maintainer, date: p.Source.Epoch}
	c.changes = append(newsOf(p.news, p.release.Version), "Commit "+p.release.Commit+".")
	return c
}
