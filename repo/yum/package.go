// Package yum reads RPM packages and writes the index files of a yum
// repository: primary, filelists and other, and the repomd.xml that names
// them.
//
// It is pure: bytes in, bytes out; no files, no network, no clock. Equal
// input gives equal bytes. Everything that comes from outside is parsed
// strictly and within the limits named here; nothing panics. The header
// reader of go-rpmutils takes offsets and counts on trust, therefore headers
// are read here; its version order is used.
//
// A package is described by its own headers and by nothing else. Their
// digests of header and payload are checked while reading; signatures are
// handed to the caller, who knows the keys.
//
// Sources: rpm's docs/manual/format_v4.md, createrepo_c 0.17.3 and 2.0 for
// the XML, and docs/repo-layout.md.
package yum

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// Limits of a package file.
const (
	MaxPackageBytes = 4 << 30
	maxString       = 1 << 20
	maxFiles        = 1 << 18
	leadBytes       = 96
)

// Tags of the signature header (rpm's rpmtag.h).
const (
	sigRSAHeader   = 268
	sigLongArchive = 271
	sigSHA256      = 273
	sigPGP         = 1002 // over header and payload, OpenPGP v3 or v4, for EL7
	sigArchiveSize = 1007
)

// Tags of the main header (rpm's rpmtag.h).
const (
	tagName           = 1000
	tagVersion        = 1001
	tagRelease        = 1002
	tagEpoch          = 1003
	tagSummary        = 1004
	tagDescription    = 1005
	tagBuildTime      = 1006
	tagBuildHost      = 1007
	tagSize           = 1009
	tagVendor         = 1011
	tagLicense        = 1014
	tagPackager       = 1015
	tagGroup          = 1016
	tagURL            = 1020
	tagArch           = 1022
	tagFileModes      = 1030
	tagFileFlags      = 1037
	tagSourceRPM      = 1044
	tagArchiveSize    = 1046
	tagChangelogTime  = 1080
	tagChangelogName  = 1081
	tagChangelogText  = 1082
	tagSourcePackage  = 1106
	tagDirIndexes     = 1116
	tagBaseNames      = 1117
	tagDirNames       = 1118
	tagLongSize       = 5009
	tagPayloadDigest  = 5092
	tagPayloadDigestA = 5093
)

const digestSHA256 = 8 // OpenPGP's number of SHA-256, RFC 9580 section 9.5

// A Package is what an RPM says about itself.
type Package struct {
	Name, Version, Release, Arch string
	Epoch                        uint64
	Size                         int64    // bytes of the whole file
	SHA256                       [32]byte // of the whole file
	Header                       []byte   // the main header, which Signature covers
	HeaderStart, HeaderEnd       int64    // where it lies in the file
	Signature                    []byte   // binary OpenPGP signature over Header, nil if there is none
	LegacySignature              []byte   // the same over everything from HeaderStart on, nil if there is none

	main     *header
	archive  uint64 // bytes of the unpacked payload
	files    []file
	provides []dependency
}

// ReadPackage reads a whole RPM from r, once and from front to back. The
// digests of header and payload, both SHA-256, must be there and be right.
// The errors are ErrFormat, ErrTooLarge, ErrDigest and those of r.
func ReadPackage(r io.Reader) (*Package, error) {
	whole := sha256.New()
	in := &counter{r: io.TeeReader(io.LimitReader(r, MaxPackageBytes+1), whole)}
	lead := make([]byte, leadBytes)
	if _, err := io.ReadFull(in, lead); err != nil || binary.BigEndian.Uint32(lead) != 0xedabeedb {
		return nil, fmt.Errorf("%w: no RPM package", ErrFormat)
	}
	signatures, err := readHeader(in, true)
	if err != nil {
		return nil, fmt.Errorf("reading signature header: %w", err)
	}
	p := &Package{HeaderStart: in.n, Signature: signatures.binary(sigRSAHeader), LegacySignature: signatures.binary(sigPGP)}
	if p.main, err = readHeader(in, false); err != nil {
		return nil, fmt.Errorf("reading header: %w", err)
	}
	p.Header, p.HeaderEnd = p.main.raw, in.n
	payload := sha256.New()
	if _, err := io.Copy(payload, in); err != nil {
		return nil, err
	}
	if in.n > MaxPackageBytes {
		return nil, fmt.Errorf("%w: package of more than %d bytes", ErrTooLarge, int64(MaxPackageBytes))
	}
	p.Size = in.n
	whole.Sum(p.SHA256[:0])
	if err := p.checkDigests(signatures, payload.Sum(nil)); err != nil {
		return nil, err
	}
	if p.archive, err = signatures.number(sigArchiveSize, sigLongArchive); err != nil {
		return nil, err
	}
	return p, p.describe()
}

// checkDigests compares the digests that the package carries with its bytes.
func (p *Package) checkDigests(signatures *header, payload []byte) error {
	claimed, err := signatures.text(sigSHA256)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(p.Header); claimed != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%w: header", ErrDigest)
	}
	algorithm, err := p.main.number(tagPayloadDigestA)
	if err != nil {
		return err
	}
	if claimed, err = p.main.text(tagPayloadDigest); err != nil {
		return err
	}
	if algorithm != digestSHA256 || claimed != hex.EncodeToString(payload) {
		return fmt.Errorf("%w: payload", ErrDigest)
	}
	return nil
}

// describe takes from the header what names the package, and checks it.
func (p *Package) describe() error {
	for _, f := range []struct {
		tag  uint32
		into *string
		ok   func(string) bool
	}{
		{tagName, &p.Name, validName},
		{tagVersion, &p.Version, validVersion},
		{tagRelease, &p.Release, validVersion},
		{tagArch, &p.Arch, validArch},
	} {
		var err error
		if *f.into, err = p.main.text(f.tag); err != nil {
			return err
		}
		if !f.ok(*f.into) {
			return fmt.Errorf("%w: tag %d is %.40q", ErrFormat, f.tag, *f.into)
		}
	}
	if _, source := p.main.entries[tagSourceRPM]; !source {
		return fmt.Errorf("%w: a source package", ErrFormat)
	}
	var err error
	if p.Epoch, err = p.main.number(tagEpoch); err != nil {
		return err
	}
	if p.files, err = p.main.files(); err != nil {
		return err
	}
	p.provides, err = p.main.dependencies(provideTags())
	return err
}

// FileName is the name of the package in the directory of packages.
func (p *Package) FileName() string {
	return p.Name + "-" + p.Version + "-" + p.Release + "." + p.Arch + ".rpm"
}

// SignedBytes is what LegacySignature covers, given the whole file.
func (p *Package) SignedBytes(file []byte) []byte { return file[p.HeaderStart:] }

// BaseArchs returns what dnf and zypper put in place of $basearch on machines
// that install packages of an architecture; none if there is no directory
// for it. zypper calls armv6hl what dnf calls armhfp.
func BaseArchs(arch string) []string {
	switch arch {
	case "x86_64", "aarch64":
		return []string{arch}
	case "i386", "i486", "i586", "i686":
		return []string{"i386"}
	case "armv7hl":
		return []string{"armhfp", "armv6hl"}
	case "noarch":
		return []string{"x86_64", "i386", "aarch64", "armhfp", "armv6hl"}
	}
	return nil
}

// A counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func validName(s string) bool {
	return valid(s, "+._-") && s[0] != '.' && s[0] != '-' && s[0] != '+'
}
func validVersion(s string) bool { return valid(s, "._+~^") && s[0] != '.' }
func validArch(s string) bool    { return valid(s, "_") }

func valid(s, more string) bool {
	if s == "" || len(s) > 200 {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if !('0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z' || bytes.IndexByte([]byte(more), b) >= 0) {
			return false
		}
	}
	return true
}
