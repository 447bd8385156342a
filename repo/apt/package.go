// Package apt reads DEB packages and writes the index files of an apt
// repository: Packages, Release, and the places where they are stored.
//
// It is pure: bytes in, bytes out; no files, no network, no clock. Equal
// input gives equal bytes. Everything that comes from outside is parsed
// strictly and within the limits named here: what dpkg might accept but no
// tool of the last decade writes is refused with ErrFormat, what is larger
// than it can sensibly be with ErrTooLarge, and nothing panics.
//
// A package is described by its own control file and by nothing else.
//
// Sources: deb(5), deb-control(5), deb-version(7), the repository format
// at wiki.debian.org/DebianRepository/Format, and docs/repo-layout.md.
package apt

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Limits of a package file, in bytes.
const (
	MaxPackageBytes = 4 << 30 // a whole .deb
	maxControlTar   = 8 << 20 // control.tar, compressed and uncompressed
	maxControlFile  = 1 << 20 // the file control in it
	maxDictionary   = 64 << 20
	maxTarEntries   = 1000
)

// A Package is what a .deb says about itself.
type Package struct {
	Control      Control
	Name         string
	Version      string
	Architecture string
	Size         int64    // bytes of the whole file
	SHA256       [32]byte // of the whole file
}

// ReadPackage reads a whole .deb from r, once and from front to back.
// The errors are ErrFormat, ErrTooLarge and those of r.
func ReadPackage(r io.Reader) (*Package, error) {
	in := &counter{r: io.LimitReader(r, MaxPackageBytes+1), sum: sha256.New()}
	control, err := readDeb(in)
	if in.n > MaxPackageBytes {
		return nil, fmt.Errorf("%w: package of more than %d bytes", ErrTooLarge, int64(MaxPackageBytes))
	}
	if err != nil {
		return nil, err
	}
	fields, err := ParseControl(control)
	if err != nil {
		return nil, fmt.Errorf("reading control: %w", err)
	}
	p := &Package{Control: fields, Name: fields.Get("Package"), Version: fields.Get("Version"),
		Architecture: fields.Get("Architecture"), Size: in.n}
	in.sum.Sum(p.SHA256[:0])
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// check refuses names that could not stand in a path, and fields that only
// an index may add.
func (p *Package) check() error {
	switch {
	case !validName(p.Name):
		return fmt.Errorf("%w: package name %q", ErrFormat, p.Name)
	case !validVersion(p.Version):
		return fmt.Errorf("%w: version %q", ErrFormat, p.Version)
	case !validArchitecture(p.Architecture):
		return fmt.Errorf("%w: architecture %q", ErrFormat, p.Architecture)
	}
	for _, name := range []string{"Filename", "Size", "SHA256", "SHA512", "SHA1", "MD5sum"} {
		if p.Control.Has(name) {
			return fmt.Errorf("%w: control has the field %s, which only an index may add", ErrFormat, name)
		}
	}
	return nil
}

// PoolPath is the place of the package below the root of its repository.
func (p *Package) PoolPath() string {
	first := p.Name[:1]
	if strings.HasPrefix(p.Name, "lib") && len(p.Name) > 3 {
		first = p.Name[:4]
	}
	version := p.Version
	if _, rest, ok := strings.Cut(version, ":"); ok { // the epoch is not part of file names
		version = rest
	}
	return "pool/main/" + first + "/" + p.Name + "/" + p.Name + "_" + version + "_" + p.Architecture + ".deb"
}

// A counter counts and hashes what is read through it.
type counter struct {
	r   io.Reader
	n   int64
	sum hash.Hash
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	c.sum.Write(b[:n])
	return n, err
}

// readDeb walks the three members of a .deb and returns the file control.
func readDeb(r io.Reader) ([]byte, error) {
	magic := make([]byte, 8)
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != "!<arch>\n" {
		return nil, fmt.Errorf("%w: no ar archive", ErrFormat)
	}
	version, err := memberBytes(r, func(name string) bool { return name == "debian-binary" }, 16)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(version.data, []byte("2.")) || !bytes.HasSuffix(version.data, []byte("\n")) {
		return nil, fmt.Errorf("%w: debian-binary says %q", ErrFormat, version.data)
	}
	control, err := memberBytes(r, func(name string) bool { return strings.HasPrefix(name, "control.tar") }, maxControlTar)
	if err != nil {
		return nil, err
	}
	file, err := controlFile(control)
	if err != nil {
		return nil, err
	}
	name, size, err := memberHeader(r)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(name, "data.tar") {
		return nil, fmt.Errorf("%w: member %q where data.tar belongs", ErrFormat, name)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(r, size+size%2)); err != nil {
		return nil, err
	} else if n < size {
		return nil, fmt.Errorf("%w: data.tar ends after %d of %d bytes", ErrFormat, n, size)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(r, 1)); err != nil || n != 0 {
		return nil, fmt.Errorf("%w: bytes after data.tar", ErrFormat)
	}
	return file, nil
}

// A member is one file of an ar archive.
type member struct {
	name string
	data []byte
}

// memberBytes reads a whole member that must have a wanted name.
func memberBytes(r io.Reader, wanted func(string) bool, limit int64) (member, error) {
	name, size, err := memberHeader(r)
	if err != nil {
		return member{}, err
	}
	if !wanted(name) {
		return member{}, fmt.Errorf("%w: unexpected member %q", ErrFormat, name)
	}
	if size > limit {
		return member{}, fmt.Errorf("%w: member %s of %d bytes", ErrTooLarge, name, size)
	}
	data := make([]byte, size+size%2)
	if _, err := io.ReadFull(r, data); err != nil {
		return member{}, fmt.Errorf("%w: member %s is cut off", ErrFormat, name)
	}
	return member{name, data[:size]}, nil
}

// memberHeader reads the 60 bytes before a member: name, time, owner, group,
// mode, size in decimal, and two bytes that end it.
func memberHeader(r io.Reader) (name string, size int64, err error) {
	h := make([]byte, 60)
	if _, err := io.ReadFull(r, h); err != nil {
		return "", 0, fmt.Errorf("%w: archive ends within the header of a member", ErrFormat)
	}
	if h[58] != '`' || h[59] != '\n' {
		return "", 0, fmt.Errorf("%w: header of a member does not end as it should", ErrFormat)
	}
	name = strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	size, err = strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("%w: size of member %q", ErrFormat, name)
	}
	return name, size, nil
}

// controlFile unpacks the file control from the member control.tar.
func controlFile(m member) ([]byte, error) {
	plain, err := decompress(m)
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: plain, N: maxControlTar}
	tr := tar.NewReader(limited)
	for range maxTarEntries {
		h, err := tr.Next()
		if limited.N == 0 {
			return nil, fmt.Errorf("%w: %s unpacked", ErrTooLarge, m.name)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s holds no readable control: %v", ErrFormat, m.name, err)
		}
		if path.Clean(h.Name) != "control" || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > maxControlFile {
			return nil, fmt.Errorf("%w: control of %d bytes", ErrTooLarge, h.Size)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return nil, fmt.Errorf("%w: control is cut off: %v", ErrFormat, err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("%w: %s has more than %d entries", ErrTooLarge, m.name, maxTarEntries)
}

// decompress chooses by the name of the member, as dpkg does.
func decompress(m member) (io.Reader, error) {
	in := bytes.NewReader(m.data)
	var out io.Reader
	var err error
	switch strings.TrimPrefix(m.name, "control.tar") {
	case "":
		return in, nil
	case ".gz":
		out, err = gzip.NewReader(in)
	case ".xz":
		if err = checkDictionary(m.data); err == nil {
			out, err = xz.ReaderConfig{SingleStream: true}.NewReader(in)
		}
	case ".zst":
		out, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderMaxMemory(maxDictionary))
	default:
		return nil, fmt.Errorf("%w: unknown compression of %s", ErrFormat, m.name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %v", ErrFormat, m.name, err)
	}
	return out, nil
}

// checkDictionary looks into the header of the first block of an xz stream
// (xz file format 1.1, section 3.1): the dictionary it asks for is reserved
// before a byte is decoded. A block has the header size in its first byte,
// flags in its second, then, if the flags say so, two sizes of up to nine
// bytes, then the filters; only LZMA2 (0x21, one byte of properties) alone is taken.
func checkDictionary(data []byte) error {
	const streamHeader = 12
	if len(data) < streamHeader+8 {
		return fmt.Errorf("xz stream is cut off")
	}
	block := data[streamHeader:]
	flags := block[1]
	if flags&0x3f != 0 {
		return fmt.Errorf("xz block with unknown flags or filters %#x", flags)
	}
	at := 2
	for _, present := range []byte{0x40, 0x80} {
		if flags&present == 0 {
			continue
		}
		_, n := binary.Uvarint(block[at:])
		if n <= 0 {
			return fmt.Errorf("xz block with a broken size")
		}
		at += n
	}
	if len(block) < at+3 || block[at] != 0x21 || block[at+1] != 1 {
		return fmt.Errorf("xz block without LZMA2")
	}
	dictionary, err := lzma.DecodeDictCap(block[at+2])
	if err != nil {
		return err
	}
	if dictionary > maxDictionary {
		return fmt.Errorf("xz dictionary of %d bytes: %w", dictionary, ErrTooLarge)
	}
	return nil
}
