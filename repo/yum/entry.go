package yum

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	rpmutils "github.com/sassoftware/go-rpmutils"
)

// An Entry is one package as the three indexes list it. The fragments are
// whole <package> elements, as they stand in the files; the other
// fields are read from them.
type Entry struct {
	Name, Arch                 string
	Epoch, Version, Release    string
	Href                       string   // location, relative to the revision
	Size                       int64    // bytes of the package file
	SHA256                     [32]byte // of the package file
	Primary, Filelists, Others []byte
}

// Same reports whether two entries claim the same name, version and
// architecture, and so must be the same file for ever.
func (e Entry) Same(f Entry) bool {
	return e.Name == f.Name && e.Epoch == f.Epoch && e.Version == f.Version && e.Release == f.Release && e.Arch == f.Arch
}

// Serves reports whether the package belongs into the index of a directory
// named for a $basearch.
func (e Entry) Serves(basearch string) bool {
	return slices.Contains(BaseArchs(e.Arch), basearch)
}

// compare orders versions as rpm does.
func compare(a, b string) int { return rpmutils.Vercmp(a, b) }

// Entry describes the package for the indexes; dir is the directory of
// packages relative to a revision, with a final slash.
func (p *Package) Entry(dir string) (Entry, error) {
	e := Entry{Name: p.Name, Arch: p.Arch, Epoch: strconv.FormatUint(p.Epoch, 10), Version: p.Version, Release: p.Release,
		Href: dir + p.FileName(), Size: p.Size, SHA256: p.SHA256}
	var err error
	if e.Primary, err = p.primaryXML(e); err != nil {
		return e, err
	}
	changes, err := p.main.changes()
	if err != nil {
		return e, err
	}
	var files, others bytes.Buffer
	for _, b := range []*bytes.Buffer{&files, &others} {
		fmt.Fprintf(b, "<package pkgid=\"%x\" name=\"%s\" arch=\"%s\">\n  %s\n", e.SHA256, e.Name, e.Arch, e.versionXML())
	}
	for _, f := range p.files {
		f.write(&files, "  ")
	}
	for _, c := range changes {
		fmt.Fprintf(&others, "  <changelog author=\"%s\" date=\"%d\">%s</changelog>\n", attribute(c.author), c.when, escape(c.text))
	}
	files.WriteString("</package>\n")
	others.WriteString("</package>\n")
	e.Filelists, e.Others = files.Bytes(), others.Bytes()
	return e, nil
}

func (e Entry) versionXML() string {
	return fmt.Sprintf("<version epoch=\"%s\" ver=\"%s\" rel=\"%s\"/>", e.Epoch, e.Version, e.Release)
}

// primaryXML writes the element of primary.xml, in createrepo_c's order.
func (p *Package) primaryXML(e Entry) ([]byte, error) {
	x := &element{h: p.main}
	x.printf("<package type=\"rpm\">\n  <name>%s</name>\n  <arch>%s</arch>\n  %s\n", e.Name, e.Arch, e.versionXML())
	x.printf("  <checksum type=\"sha256\" pkgid=\"YES\">%x</checksum>\n", e.SHA256)
	x.text("  ", "summary", tagSummary)
	x.text("  ", "description", tagDescription)
	x.text("  ", "packager", tagPackager)
	x.text("  ", "url", tagURL)
	built := x.number(tagBuildTime)
	x.printf("  <time file=\"%d\" build=\"%d\"/>\n", built, built)
	archive := p.archive
	if archive == 0 {
		archive = x.number(tagArchiveSize, sigLongArchive)
	}
	x.printf("  <size package=\"%d\" installed=\"%d\" archive=\"%d\"/>\n", e.Size, x.number(tagSize, tagLongSize), archive)
	x.printf("  <location href=\"%s\"/>\n  <format>\n", attribute(e.Href))
	x.text("    ", "rpm:license", tagLicense)
	x.text("    ", "rpm:vendor", tagVendor)
	x.text("    ", "rpm:group", tagGroup)
	x.text("    ", "rpm:buildhost", tagBuildHost)
	x.text("    ", "rpm:sourcerpm", tagSourceRPM)
	x.printf("    <rpm:header-range start=\"%d\" end=\"%d\"/>\n", p.HeaderStart, p.HeaderEnd)
	requires, err := p.requires()
	if err != nil {
		return nil, err
	}
	x.list("provides", p.provides)
	x.list("requires", requires)
	for _, kind := range []struct {
		name string
		tags tagSet
	}{
		{"conflicts", conflictTags()}, {"obsoletes", obsoleteTags()}, {"suggests", suggestTags()},
		{"enhances", enhanceTags()}, {"recommends", recommendTags()}, {"supplements", supplementTags()},
	} {
		all, err := p.main.dependencies(kind.tags)
		if err != nil {
			return nil, err
		}
		x.list(kind.name, all)
	}
	for _, f := range p.files {
		if primary(f.path) {
			f.write(&x.b, "    ")
		}
	}
	x.printf("  </format>\n</package>\n")
	return x.b.Bytes(), x.err
}

// An element is a fragment that is being written; after an error it takes no
// more, and the first error stays.
type element struct {
	h   *header
	b   bytes.Buffer
	err error
}

func (x *element) printf(format string, args ...any) { fmt.Fprintf(&x.b, format, args...) }

func (x *element) text(indent, name string, tag uint32) {
	value, err := x.h.text(tag)
	if err != nil && x.err == nil {
		x.err = err
	}
	x.printf("%s<%s>%s</%s>\n", indent, name, escape(value), name)
}

func (x *element) number(tags ...uint32) uint64 {
	n, err := x.h.number(tags...)
	if err != nil && x.err == nil {
		x.err = err
	}
	return n
}

func (x *element) list(name string, all []dependency) {
	if len(all) == 0 {
		return
	}
	x.printf("    <rpm:%s>\n", name)
	for _, d := range all {
		x.printf("      <rpm:entry name=\"%s\"", attribute(d.name))
		if d.flags != "" {
			x.printf(" flags=\"%s\"", d.flags)
			for _, part := range [][2]string{{"epoch", d.epoch}, {"ver", d.ver}, {"rel", d.rel}} {
				if part[1] != "" {
					x.printf(" %s=\"%s\"", part[0], attribute(part[1]))
				}
			}
		}
		if d.pre && name == "requires" {
			x.printf(" pre=\"1\"")
		}
		x.printf("/>\n")
	}
	x.printf("    </rpm:%s>\n", name)
}

func (f file) write(b *bytes.Buffer, indent string) {
	if f.kind == "" {
		fmt.Fprintf(b, "%s<file>%s</file>\n", indent, escape(f.path))
		return
	}
	fmt.Fprintf(b, "%s<file type=\"%s\">%s</file>\n", indent, f.kind, escape(f.path))
}

// escape writes text for the inside of an element; a carriage return would
// be lost on reading.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(s)
}

// attribute writes text for the value of an attribute in double quotes.
func attribute(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;", "\n", "&#10;", "\t", "&#9;", "\r", "&#13;").Replace(s)
}

// parseEntry reads what names the package from its element of primary.xml.
func parseEntry(fragment []byte) (Entry, error) {
	var x struct {
		Type    string `xml:"type,attr"`
		Name    string `xml:"name"`
		Arch    string `xml:"arch"`
		Version struct {
			Epoch string `xml:"epoch,attr"`
			Ver   string `xml:"ver,attr"`
			Rel   string `xml:"rel,attr"`
		} `xml:"version"`
		Checksum struct {
			Type  string `xml:"type,attr"`
			Value string `xml:",chardata"`
		} `xml:"checksum"`
		Size struct {
			Package int64 `xml:"package,attr"`
		} `xml:"size"`
		Location struct {
			Href string `xml:"href,attr"`
		} `xml:"location"`
	}
	if err := xml.Unmarshal(fragment, &x); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	e := Entry{Name: x.Name, Arch: x.Arch, Epoch: x.Version.Epoch, Version: x.Version.Ver, Release: x.Version.Rel,
		Href: x.Location.Href, Size: x.Size.Package, Primary: fragment}
	if x.Type != "rpm" || x.Checksum.Type != "sha256" || len(x.Checksum.Value) != 64 {
		return Entry{}, fmt.Errorf("%w: package without type rpm and checksum sha256", ErrFormat)
	}
	if _, err := hex.Decode(e.SHA256[:], []byte(x.Checksum.Value)); err != nil {
		return Entry{}, fmt.Errorf("%w: checksum of %.40q", ErrFormat, e.Name)
	}
	if !validName(e.Name) || !validArch(e.Arch) || !validVersion(e.Version) || !validVersion(e.Release) {
		return Entry{}, fmt.Errorf("%w: package %.40q %.40q-%.40q %.40q", ErrFormat, e.Name, e.Version, e.Release, e.Arch)
	}
	if e.Size < 0 || e.Size > MaxPackageBytes {
		return Entry{}, fmt.Errorf("%w: package of %d bytes", ErrTooLarge, e.Size)
	}
	// The way up to the packages is the only one that may leave the
	// revision; after it comes a plain name.
	if dir, base := path.Split(e.Href); base == "" || strings.Trim(dir, "./") != "pkgs" || path.Clean(e.Href) != e.Href {
		return Entry{}, fmt.Errorf("%w: location %.80q", ErrFormat, e.Href)
	}
	return e, nil
}
