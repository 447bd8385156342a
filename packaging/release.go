package packaging

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"holm.example/internal/durable"
	"holm.example/internal/product"
)

const (
	// MaxReleaseSize bounds release.json, in bytes.
	MaxReleaseSize = 1 << 20

	releaseName    = "release.json"
	releaseFormat  = "release 1"
	maxReleaseFile = 10000 // files in one release
)

// A Kind says what a file of a release is.
type Kind string

// The kinds of files.
const (
	KindProgram  Kind = "program"
	KindDocument Kind = "document" // man page or completion
	KindArchive  Kind = "archive"  // tar.gz or zip
	KindDEB      Kind = "deb"
	KindRPM      Kind = "rpm"
	KindKeyring  Kind = "keyring" // as it stands in the packages
)

// A File is one file of a release.
type File struct {
	Name    string `json:"name"` // relative to the folder of the release, with slashes
	Kind    Kind   `json:"kind"`
	OS      string `json:"os,omitempty"`      // Go's name
	Arch    string `json:"arch,omitempty"`    // Go's name for programs and archives, the package manager's for packages
	Package string `json:"package,omitempty"` // name of the package
	Size    int64  `json:"size"`              // bytes
	SHA256  string `json:"sha256"`            // lower case hexadecimal
}

// A Release is release.json: everything that one version consists of.
type Release struct {
	Format    string        `json:"format"`
	Product   string        `json:"product"`
	Version   string        `json:"version"`
	Commit    string        `json:"commit"`
	Epoch     int64         `json:"epoch"` // commit time, seconds since 1970: the time in all files
	URL       string        `json:"url"`
	Channel   string        `json:"channel"`
	Toolchain string        `json:"toolchain"` // go1.26.8
	Targets   []string      `json:"targets"`
	Keys      []product.Key `json:"keys"`               // compiled into the programs
	Built     string        `json:"built"`              // digest of all that decides on the programs
	Packaged  string        `json:"packaged,omitempty"` // digest of all that decides on the packages; empty: not packaged yet
	Files     []File        `json:"files"`
}

// Folder returns where a version stands in the folder of built releases.
func Folder(dist, version string) string { return filepath.Join(dist, version) }

// ReadRelease reads the release.json of a folder and checks its shape, not yet
// the files: see Verify. The errors are ErrNotBuilt and ErrChanged.
func ReadRelease(folder string) (*Release, error) {
	f, err := os.Open(filepath.Join(folder, releaseName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no %s in %s", ErrNotBuilt, releaseName, folder)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the release: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxReleaseSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the release: %w", err)
	}
	return ParseRelease(data)
}

// ParseRelease reads release.json. The error is ErrChanged.
func ParseRelease(data []byte) (*Release, error) {
	if len(data) > MaxReleaseSize {
		return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrChanged, releaseName, MaxReleaseSize)
	}
	var r Release
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrChanged, err)
	}
	if r.Format != releaseFormat || len(r.Files) > maxReleaseFile {
		return nil, fmt.Errorf("%w: format %q with %d files", ErrChanged, r.Format, len(r.Files))
	}
	if err := CheckVersion(r.Version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	for _, f := range r.Files {
		if f.Name == "" || !filepath.IsLocal(filepath.FromSlash(f.Name)) || path.Clean(f.Name) != f.Name || strings.Contains(f.Name, `\`) {
			return nil, fmt.Errorf("%w: file name %q", ErrChanged, f.Name)
		}
	}
	return &r, nil
}

// Select returns the files of a kind.
func (r *Release) Select(kind Kind) []File {
	var found []File
	for _, f := range r.Files {
		if f.Kind == kind {
			found = append(found, f)
		}
	}
	return found
}

// Verify reads every file of the release in folder and compares size and
// digest. The error is ErrChanged.
func (r *Release) Verify(folder string) error { return verifyFiles(folder, r.Files) }

func verifyFiles(folder string, files []File) error {
	for _, want := range files {
		got, err := measure(folder, want.Name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrChanged, err)
		}
		if got.Size != want.Size || got.SHA256 != want.SHA256 {
			return fmt.Errorf("%w: %s", ErrChanged, want.Name)
		}
	}
	return nil
}

// measure returns a File with the size and digest of one in folder.
func measure(folder, name string) (File, error) {
	f, err := os.Open(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return File{Name: name, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// add measures a file that was just made and lists it.
func (r *Release) add(folder string, f File) error {
	measured, err := measure(folder, f.Name)
	if err != nil {
		return fmt.Errorf("listing %s: %w", f.Name, err)
	}
	f.Size, f.SHA256 = measured.Size, measured.SHA256
	r.Files = append(r.Files, f)
	return nil
}

// write makes the release complete.
func (r *Release) write(folder string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", releaseName, err)
	}
	if err := durable.WriteFile(filepath.Join(folder, releaseName), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", releaseName, err)
	}
	return nil
}

// invalidate removes release.json before its files change.
func invalidate(folder string) error {
	err := durable.Remove(filepath.Join(folder, releaseName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("beginning a release: %w", err)
	}
	return nil
}

// digestOf returns one digest for a list of texts, however they are cut.
func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
