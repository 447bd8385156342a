package yum

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"holm.example/internal/gzipmember"
)

// Limits of the indexes, in bytes.
const (
	MaxRepomdBytes = 1 << 20
	MaxIndexBytes  = 256 << 20
)

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

// A Data is one index as repomd.xml names it: the sizes, in bytes, and
// SHA-256 of its compressed and its open form.
type Data struct {
	Type            string // "primary", "filelists" or "other"
	Href            string // relative to the revision: repodata/<sha256>-<type>.xml.gz
	Size, OpenSize  int64
	Sum, OpenSum    [32]byte
	compressedBytes []byte
}

// Bytes is the file itself, for data that FormatRepodata made.
func (d Data) Bytes() []byte { return d.compressedBytes }

// A Repodata is one revision: what repomd.xml says.
type Repodata struct {
	Revision int64
	Data     []Data // primary, filelists, other
}

// kinds are the indexes of a revision: name, root element up to the count
// of packages, and end.
func kinds() [3]struct{ name, root, end string } {
	return [3]struct{ name, root, end string }{
		{"primary", `<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="`, "</metadata>"},
		{"filelists", `<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="`, "</filelists>"},
		{"other", `<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="`, "</otherdata>"},
	}
}

func (e Entry) fragment(kind int) []byte { return [...][]byte{e.Primary, e.Filelists, e.Others}[kind] }

// FormatRepodata writes the three indexes of the entries, sorted by name,
// version and architecture. It sorts its argument.
func FormatRepodata(entries []Entry, revision int64) *Repodata {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), compare(a.Epoch, b.Epoch), compare(a.Version, b.Version),
			compare(a.Release, b.Release), strings.Compare(a.Href, b.Href))
	})
	r := &Repodata{Revision: revision}
	for i, kind := range kinds() {
		var open bytes.Buffer
		open.WriteString(xmlHead + kind.root + strconv.Itoa(len(entries)) + "\">\n")
		for _, e := range entries {
			open.Write(e.fragment(i))
		}
		open.WriteString(kind.end)
		open.WriteByte('\n')
		packed := gzipmember.Compress(open.Bytes())
		d := Data{Type: kind.name, Size: int64(len(packed)), OpenSize: int64(open.Len()),
			Sum: sha256.Sum256(packed), OpenSum: sha256.Sum256(open.Bytes()), compressedBytes: packed}
		d.Href = "repodata/" + hex.EncodeToString(d.Sum[:]) + "-" + kind.name + ".xml.gz"
		r.Data = append(r.Data, d)
	}
	return r
}

// Format writes repomd.xml.
func (r *Repodata) Format() []byte {
	var b bytes.Buffer
	b.WriteString(xmlHead + `<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">` + "\n")
	fmt.Fprintf(&b, "  <revision>%d</revision>\n", r.Revision)
	for _, d := range r.Data {
		fmt.Fprintf(&b, `  <data type="%s">
    <checksum type="sha256">%x</checksum>
    <open-checksum type="sha256">%x</open-checksum>
    <location href="%s"/>
    <timestamp>%d</timestamp>
    <size>%d</size>
    <open-size>%d</open-size>
  </data>
`, d.Type, d.Sum, d.OpenSum, d.Href, r.Revision, d.Size, d.OpenSize)
	}
	b.WriteString("</repomd>\n")
	return b.Bytes()
}

// ParseRepomd reads a repomd.xml that Format wrote, and nothing else: what
// does not read back to the same bytes is refused. The errors are ErrFormat and ErrTooLarge.
func ParseRepomd(data []byte) (*Repodata, error) {
	if len(data) > MaxRepomdBytes {
		return nil, fmt.Errorf("%w: repomd.xml of %d bytes", ErrTooLarge, len(data))
	}
	type sum struct {
		Value string `xml:",chardata"`
	}
	var x struct {
		Revision int64 `xml:"revision"`
		Data     []struct {
			Type     string `xml:"type,attr"`
			Sum      sum    `xml:"checksum"`
			OpenSum  sum    `xml:"open-checksum"`
			Location struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
			Size     int64 `xml:"size"`
			OpenSize int64 `xml:"open-size"`
		} `xml:"data"`
	}
	if err := xml.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	r := &Repodata{Revision: x.Revision}
	expected := kinds()
	for i, d := range x.Data {
		if i >= len(expected) || d.Type != expected[i].name {
			return nil, fmt.Errorf("%w: data %.20q in place %d", ErrFormat, d.Type, i)
		}
		out := Data{Type: d.Type, Href: d.Location.Href, Size: d.Size, OpenSize: d.OpenSize}
		for text, into := range map[string]*[32]byte{d.Sum.Value: &out.Sum, d.OpenSum.Value: &out.OpenSum} {
			if b, err := hex.DecodeString(text); err != nil || copy(into[:], b) != 32 || len(b) != 32 {
				return nil, fmt.Errorf("%w: checksum of %s", ErrFormat, d.Type)
			}
		}
		if out.Href != "repodata/"+hex.EncodeToString(out.Sum[:])+"-"+d.Type+".xml.gz" {
			return nil, fmt.Errorf("%w: location %.100q", ErrFormat, out.Href)
		}
		if d.Size < 0 || d.Size > MaxIndexBytes || d.OpenSize < 0 || d.OpenSize > MaxIndexBytes {
			return nil, fmt.Errorf("%w: %s of %d bytes, open %d", ErrTooLarge, d.Type, d.Size, d.OpenSize)
		}
		r.Data = append(r.Data, out)
	}
	if len(r.Data) != len(expected) || r.Revision <= 0 || !bytes.Equal(r.Format(), data) {
		return nil, fmt.Errorf("%w: repomd.xml is not as this program writes it", ErrFormat)
	}
	return r, nil
}

// Open checks the bytes of an index against what repomd.xml says, and unpacks them.
func (d Data) Open(data []byte) ([]byte, error) {
	if int64(len(data)) != d.Size || sha256.Sum256(data) != d.Sum {
		return nil, fmt.Errorf("%w: size or checksum of %s", ErrDigest, d.Href)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	open, err := io.ReadAll(io.LimitReader(r, d.OpenSize+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if int64(len(open)) != d.OpenSize || sha256.Sum256(open) != d.OpenSum {
		return nil, fmt.Errorf("%w: open size or checksum of %s", ErrDigest, d.Href)
	}
	return open, nil
}

// ParseEntries reads the open indexes of one revision, which must list the
// same packages in the same order.
func ParseEntries(primary, filelists, other []byte) ([]Entry, error) {
	var parts [3][][]byte
	for i, data := range [][]byte{primary, filelists, other} {
		var err error
		if parts[i], err = fragments(data, i); err != nil {
			return nil, fmt.Errorf("reading %s: %w", kinds()[i].name, err)
		}
		if len(parts[i]) != len(parts[0]) {
			return nil, fmt.Errorf("%w: %d packages in primary, %d in %s", ErrFormat, len(parts[0]), len(parts[i]), kinds()[i].name)
		}
	}
	entries := make([]Entry, len(parts[0]))
	for i := range entries {
		e, err := parseEntry(parts[0][i])
		if err != nil {
			return nil, fmt.Errorf("reading package %d: %w", i+1, err)
		}
		e.Filelists, e.Others = parts[1][i], parts[2][i]
		for _, fragment := range parts[1:] {
			id := fmt.Sprintf("<package pkgid=\"%x\" name=\"%s\" arch=\"%s\">\n", e.SHA256, e.Name, e.Arch)
			if !bytes.HasPrefix(fragment[i], []byte(id)) {
				return nil, fmt.Errorf("%w: package %d is not the same in every index", ErrFormat, i+1)
			}
		}
		entries[i] = e
	}
	return entries, nil
}

// fragments cuts an index that FormatRepodata wrote into its packages.
func fragments(data []byte, kind int) ([][]byte, error) {
	k := kinds()[kind]
	rest, ok := bytes.CutPrefix(data, []byte(xmlHead+k.root))
	if !ok {
		return nil, fmt.Errorf("%w: unknown begin", ErrFormat)
	}
	count, rest, ok := bytes.Cut(rest, []byte("\">\n"))
	if !ok {
		return nil, fmt.Errorf("%w: no packages", ErrFormat)
	}
	body, ok := bytes.CutSuffix(rest, []byte(k.end+"\n"))
	if !ok {
		return nil, fmt.Errorf("%w: unknown end", ErrFormat)
	}
	var all [][]byte
	end := []byte("\n</package>\n")
	for len(body) > 0 {
		i := bytes.Index(body, end)
		if i < 0 || !bytes.HasPrefix(body, []byte("<package ")) {
			return nil, fmt.Errorf("%w: bytes that are no package", ErrFormat)
		}
		all = append(all, body[:i+len(end)])
		body = body[i+len(end):]
	}
	if string(count) != strconv.Itoa(len(all)) {
		return nil, fmt.Errorf("%w: %d packages, not %.20q", ErrFormat, len(all), count)
	}
	return all, nil
}
