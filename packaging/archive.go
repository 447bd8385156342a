package packaging

import (
	"archive/tar"
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"holm.example/internal/gzipmember"
)

// An archiveFile is one file of an archive.
type archiveFile struct {
	name   string // below the top folder, with slashes
	source string // path
	mode   os.FileMode
}

// archiveName returns the file name of a target's archive.
func archiveName(product, version string, t Target) string {
	name := fmt.Sprintf("%s_%s_%s_%s", product, version, t.OS, t.Arch)
	if t.OS == "windows" {
		return name + ".zip"
	}
	return name + ".tar.gz"
}

// writeTarGz writes the files, in their order, below the folder top. Nothing
// but names, modes and contents enters: owners are root, times are epoch.
func writeTarGz(w io.Writer, top string, files []archiveFile, epoch time.Time) error {
	zw := gzipmember.NewWriter(w)
	tw := tar.NewWriter(zw)
	for _, f := range files {
		size, copyTo, err := openSized(f.source)
		if err != nil {
			return err
		}
		h := &tar.Header{
			Name: path.Join(top, f.name), Mode: int64(f.mode.Perm()), Size: size, ModTime: epoch,
			Uname: "root", Gname: "root", Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if err := copyTo(tw); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

// writeZip is writeTarGz for Windows.
func writeZip(w io.Writer, top string, files []archiveFile, epoch time.Time) error {
	zw := zip.NewWriter(w)
	for _, f := range files {
		_, copyTo, err := openSized(f.source)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: path.Join(top, f.name), Method: zip.Deflate, Modified: epoch.UTC()}
		h.SetMode(f.mode)
		fw, err := zw.CreateHeader(h)
		if err != nil {
			return err
		}
		if err := copyTo(fw); err != nil {
			return err
		}
	}
	return zw.Close()
}

// openSized opens a file and returns its size and a function that copies it,
// once, and closes it.
func openSized(name string) (size int64, copyTo func(io.Writer) error, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return 0, nil, err
	}
	return info.Size(), func(w io.Writer) error {
		defer f.Close()
		_, err := io.CopyN(w, f, info.Size())
		return err
	}, nil
}

// archive writes the archive of one target and returns its name.
func (p *packager) archive(t Target) (string, error) {
	var files []archiveFile
	for _, program := range p.Config.Programs {
		name := t.binary(program.Name)
		files = append(files, archiveFile{name, p.programPath(t, name), 0o755})
	}
	for _, name := range []string{p.Config.LicenseFile, p.Config.ReadmeFile} {
		files = append(files, archiveFile{path.Base(name), filepath.Join(p.Source.Dir, filepath.FromSlash(name)), 0o644})
	}
	write := writeZip
	if t.OS != "windows" {
		write = writeTarGz
		for _, d := range p.release.Select(KindDocument) {
			files = append(files, archiveFile{trimDocument(d.Name), filepath.Join(p.folder, filepath.FromSlash(d.Name)), 0o644})
		}
	}
	name := archiveName(p.Config.Name, p.release.Version, t)
	top := fmt.Sprintf("%s_%s_%s_%s", p.Config.Name, p.release.Version, t.OS, t.Arch)
	return name, p.writeFile(name, func(w io.Writer) error { return write(w, top, files, p.Source.Epoch) })
}
