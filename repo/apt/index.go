package apt

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"holm.example/internal/gzipmember"
)

// MaxIndexBytes bounds a Packages file, compressed or not.
const MaxIndexBytes = 256 << 20

// A Stanza is one package as an index lists it. Text is the paragraph
// itself, without the blank line that ends it; the other fields are read from it.
type Stanza struct {
	Name, Version, Architecture string
	Filename                    string // below the root of the repository
	Size                        int64  // bytes of the package file
	SHA256                      [32]byte
	Text                        []byte
}

// Stanza returns the package as an index lists it.
func (p *Package) Stanza() Stanza {
	c := append(slices.Clone(p.Control),
		Field{"Filename", p.PoolPath()},
		Field{"Size", strconv.FormatInt(p.Size, 10)},
		Field{"SHA256", hex.EncodeToString(p.SHA256[:])})
	return Stanza{p.Name, p.Version, p.Architecture, p.PoolPath(), p.Size, p.SHA256, c.Format()}
}

// Serves reports whether the package belongs into the index of an
// architecture.
func (s Stanza) Serves(architecture string) bool {
	return s.Architecture == architecture || s.Architecture == "all"
}

// Same reports whether two stanzas claim the same name, version and
// architecture, and so must be the same file for ever.
func (s Stanza) Same(t Stanza) bool {
	return s.Name == t.Name && s.Version == t.Version && s.Architecture == t.Architecture
}

// FormatIndex writes a Packages file: the stanzas sorted by name, version
// and architecture. It sorts its argument.
func FormatIndex(stanzas []Stanza) []byte {
	slices.SortFunc(stanzas, func(a, b Stanza) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), CompareVersions(a.Version, b.Version),
			strings.Compare(a.Version, b.Version), strings.Compare(a.Architecture, b.Architecture))
	})
	var b bytes.Buffer
	for _, s := range stanzas {
		b.Write(s.Text)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ParseIndex reads a Packages file. The errors are ErrFormat and ErrTooLarge.
func ParseIndex(data []byte) ([]Stanza, error) {
	if len(data) > MaxIndexBytes {
		return nil, fmt.Errorf("%w: Packages of %d bytes", ErrTooLarge, len(data))
	}
	var stanzas []Stanza
	for len(data) > 0 {
		text, rest, ended := bytes.Cut(data, []byte("\n\n"))
		if !ended {
			text = bytes.TrimSuffix(text, []byte("\n"))
		}
		s, err := parseStanza(append(bytes.Clone(text), '\n'))
		if err != nil {
			return nil, fmt.Errorf("reading stanza %d: %w", len(stanzas)+1, err)
		}
		stanzas = append(stanzas, s)
		data = rest
	}
	return stanzas, nil
}

func parseStanza(text []byte) (Stanza, error) {
	c, err := ParseControl(text)
	if err != nil {
		return Stanza{}, err
	}
	s := Stanza{Name: c.Get("Package"), Version: c.Get("Version"), Architecture: c.Get("Architecture"),
		Filename: c.Get("Filename"), Text: text}
	if !validName(s.Name) || !validVersion(s.Version) || !validArchitecture(s.Architecture) {
		return Stanza{}, fmt.Errorf("%w: name %q, version %q or architecture %q", ErrFormat, s.Name, s.Version, s.Architecture)
	}
	if !ValidPath(s.Filename) {
		return Stanza{}, fmt.Errorf("%w: file name %q of %s", ErrFormat, s.Filename, s.Name)
	}
	if s.Size, err = parseSize(c.Get("Size"), MaxPackageBytes); err != nil {
		return Stanza{}, err
	}
	if s.SHA256, err = parseSum(c.Get("SHA256")); err != nil {
		return Stanza{}, err
	}
	return s, nil
}

// ValidPath reports whether a path from an index stays below the root it is
// relative to and needs no cleaning.
func ValidPath(p string) bool {
	return p != "" && len(p) < 1000 && path.Clean(p) == p && p[0] != '/' && p != ".." && !strings.HasPrefix(p, "../") &&
		only(p, func(b byte) bool { return b > 0x20 && b < 0x7f && b != '\\' })
}

func parseSize(s string, limit int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || s[0] == '+' {
		return 0, fmt.Errorf("%w: size %.40q", ErrFormat, s)
	}
	if n > limit {
		return 0, fmt.Errorf("%w: size %d", ErrTooLarge, n)
	}
	return n, nil
}

func parseSum(s string) (sum [32]byte, err error) {
	if len(s) != 2*sha256.Size || strings.ToLower(s) != s {
		return sum, fmt.Errorf("%w: SHA-256 %.70q", ErrFormat, s)
	}
	if _, err := hex.Decode(sum[:], []byte(s)); err != nil {
		return sum, fmt.Errorf("%w: SHA-256 %q", ErrFormat, s)
	}
	return sum, nil
}

// Compress returns an index as it is stored: equal data, equal bytes.
func Compress(data []byte) []byte { return gzipmember.Compress(data) }

// Decompress undoes Compress. What unpacks to another size, in bytes, than the
// one expected is refused, and no more than that is held in memory.
func Decompress(data []byte, size int64) ([]byte, error) {
	if size > MaxIndexBytes {
		return nil, fmt.Errorf("%w: index of %d bytes", ErrTooLarge, size)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if int64(len(plain)) != size {
		return nil, fmt.Errorf("%w: index does not unpack to %d bytes", ErrFormat, size)
	}
	return plain, nil
}
