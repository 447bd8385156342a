package apt

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Dates.
const (
	// Lifetime of a Release file: after it, apt refuses the repository.
	Lifetime = 30 * 24 * time.Hour
	// dateFormat ends in UTC: apt reads no other zone (RFC 1123 otherwise).
	dateFormat = "Mon, 02 Jan 2006 15:04:05 UTC"
	// MaxReleaseBytes is apt's own Acquire::MaxReleaseFileSize.
	MaxReleaseBytes = 10_000_000
)

// A File is one index that a Release lists. Name is relative to the
// directory of the Release.
type File struct {
	Name   string
	Size   int64 // bytes
	SHA256 [32]byte
}

// ByHash is where the file is stored by its SHA-256, relative to the
// directory of the Release.
func (f File) ByHash() string {
	dir := f.Name[:strings.LastIndexByte(f.Name, '/')+1]
	return dir + "by-hash/SHA256/" + hex.EncodeToString(f.SHA256[:])
}

// A Release describes a suite: the file Release, and what InRelease signs.
type Release struct {
	Origin, Label, Suite, Codename string
	Architectures                  []string
	Components                     []string
	Description                    string
	Date, ValidUntil               time.Time // whole seconds
	Files                          []File
	Other                          Control // fields that Format never writes, kept so that a comparison sees them
}

// Format writes the file, with the architectures and files sorted.
func (r *Release) Format() []byte {
	files := slices.Clone(r.Files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	var sums strings.Builder
	for _, f := range files {
		fmt.Fprintf(&sums, "\n %x %d %s", f.SHA256, f.Size, f.Name)
	}
	c := Control{
		{"Origin", r.Origin},
		{"Label", r.Label},
		{"Suite", r.Suite},
		{"Codename", r.Codename},
		{"Date", r.Date.UTC().Format(dateFormat)},
		{"Valid-Until", r.ValidUntil.UTC().Format(dateFormat)},
		{"Acquire-By-Hash", "yes"},
		{"No-Support-for-Architecture-all", "Packages"},
		{"Architectures", strings.Join(slices.Sorted(slices.Values(r.Architectures)), " ")},
		{"Components", strings.Join(r.Components, " ")},
		{"Description", r.Description},
		{"SHA256", sums.String()},
	}
	return append(c, r.Other...).Format()
}

// ParseRelease reads a Release file as this package writes it; fields it does
// not know are in Other. The errors are ErrFormat and ErrTooLarge.
func ParseRelease(data []byte) (*Release, error) {
	if len(data) > MaxReleaseBytes {
		return nil, fmt.Errorf("%w: Release of %d bytes", ErrTooLarge, len(data))
	}
	c, err := ParseControl(data)
	if err != nil {
		return nil, err
	}
	r := &Release{}
	for _, f := range c {
		switch f.Name {
		case "Origin":
			r.Origin = f.Value
		case "Label":
			r.Label = f.Value
		case "Suite":
			r.Suite = f.Value
		case "Codename":
			r.Codename = f.Value
		case "Date":
			r.Date, err = parseDate(f)
		case "Valid-Until":
			r.ValidUntil, err = parseDate(f)
		case "Acquire-By-Hash":
			err = want(f, "yes")
		case "No-Support-for-Architecture-all":
			err = want(f, "Packages")
		case "Architectures":
			r.Architectures = strings.Fields(f.Value)
		case "Components":
			r.Components = strings.Fields(f.Value)
		case "Description":
			r.Description = f.Value
		case "SHA256":
			r.Files, err = parseFiles(f.Value)
		default:
			r.Other = append(r.Other, f)
		}
		if err != nil {
			return nil, err
		}
	}
	if r.Date.IsZero() || r.ValidUntil.IsZero() || r.Files == nil {
		return nil, fmt.Errorf("%w: Release without Date, Valid-Until or SHA256", ErrFormat)
	}
	return r, nil
}

func want(f Field, value string) error {
	if f.Value != value {
		return fmt.Errorf("%w: %s is %q, not %q", ErrFormat, f.Name, f.Value, value)
	}
	return nil
}

func parseDate(f Field) (time.Time, error) {
	t, err := time.Parse(dateFormat, f.Value)
	if err != nil {
		return t, fmt.Errorf("%w: %s %q", ErrFormat, f.Name, f.Value)
	}
	return t, nil
}

func parseFiles(value string) ([]File, error) {
	files := []File{}
	for line := range strings.SplitSeq(strings.TrimPrefix(value, "\n"), "\n") {
		parts := strings.Fields(line)
		if len(parts) != 3 || !ValidPath(parts[2]) {
			return nil, fmt.Errorf("%w: line %.80q of SHA256", ErrFormat, line)
		}
		sum, err := parseSum(parts[0])
		if err != nil {
			return nil, err
		}
		size, err := parseSize(parts[1], MaxIndexBytes)
		if err != nil {
			return nil, err
		}
		files = append(files, File{parts[2], size, sum})
	}
	return files, nil
}

// Find returns the file of that name.
func (r *Release) Find(name string) (File, bool) {
	for _, f := range r.Files {
		if f.Name == name {
			return f, true
		}
	}
	return File{}, false
}

// IndexName is the name of an uncompressed index relative to its Release.
func IndexName(component, architecture string) string {
	return component + "/binary-" + architecture + "/Packages"
}
