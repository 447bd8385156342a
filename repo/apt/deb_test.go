package apt_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// A debSpec describes a .deb that a test wants; the zero value of a field
// asks for the usual.
type debSpec struct {
	version     string // content of debian-binary
	compression string // "", ".gz", ".xz", ".zst"
	control     string
	controlName string // of the member, with its compression
	entry       string // name of the file in control.tar
	padding     int64  // zeros in a file before control
	data        string // content of data.tar
	tail        string // after data.tar
}

const control = `Package: holm
Version: 1.2.3
Architecture: amd64
Maintainer: The holm authors <packages@holm.example>
Description: client-side encrypted backup
 One line.
 .
 Another line.
`

func (s debSpec) build(t testing.TB) []byte {
	t.Helper()
	if s.version == "" {
		s.version = "2.0\n"
	}
	if s.control == "" {
		s.control = control
	}
	if s.entry == "" {
		s.entry = "./control"
	}
	if s.controlName == "" {
		s.controlName = "control.tar" + s.compression
	}
	if s.data == "" {
		s.data = "data"
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	member(&out, "debian-binary", []byte(s.version))
	member(&out, s.controlName, pack(t, s.compression, controlTar(t, s)))
	member(&out, "data.tar.gz", []byte(s.data))
	out.WriteString(s.tail)
	return out.Bytes()
}

func member(out *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(data))
	out.Write(data)
	if len(data)%2 == 1 {
		out.WriteByte('\n')
	}
}

func controlTar(t testing.TB, s debSpec) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, body io.Reader, size int64) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if s.padding > 0 {
		add("./md5sums", io.LimitReader(zeros{}, s.padding), s.padding)
	}
	add(s.entry, bytes.NewReader([]byte(s.control)), int64(len(s.control)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func pack(t testing.TB, compression string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch compression {
	case ".gz":
		w = gzip.NewWriter(&out)
	case ".xz":
		w, err = xz.NewWriter(&out)
	case ".zst":
		w, err = zstd.NewWriter(&out)
	default:
		return data
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
