package apt_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/repo/apt"
)

func TestAPackageIsDescribedByItsOwnControlFile(t *testing.T) {
	for _, compression := range []string{"", ".gz", ".xz", ".zst"} {
		t.Run("control.tar"+compression, func(t *testing.T) {
			data := debSpec{compression: compression}.build(t)
			p, err := apt.ReadPackage(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != "holm" || p.Version != "1.2.3" || p.Architecture != "amd64" || p.Size != int64(len(data)) || p.SHA256 != sha256.Sum256(data) {
				t.Errorf("read %q %q %q, %d bytes, %x", p.Name, p.Version, p.Architecture, p.Size, p.SHA256)
			}
			want := control + fmt.Sprintf("Filename: pool/main/h/holm/holm_1.2.3_amd64.deb\nSize: %d\nSHA256: %x\n", len(data), sha256.Sum256(data))
			if got := string(p.Stanza().Text); got != want {
				t.Errorf("stanza\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestEveryTruncationOfAPackageIsRefused(t *testing.T) {
	for _, compression := range []string{".gz", ".xz", ".zst"} {
		data := debSpec{compression: compression}.build(t)
		for n := range len(data) {
			if _, err := apt.ReadPackage(bytes.NewReader(data[:n])); !errors.Is(err, apt.ErrFormat) {
				t.Fatalf("%d of %d bytes with %s: %v", n, len(data), compression, err)
			}
		}
	}
}

func TestHostilePackagesAreRefused(t *testing.T) {
	withField := func(field string) debSpec { return debSpec{compression: ".gz", control: control + field} }
	replaced := func(old, new string) debSpec {
		return debSpec{compression: ".gz", control: strings.Replace(control, old, new, 1)}
	}
	for name, tc := range map[string]struct {
		spec debSpec
		want error
	}{
		"version 3 of the format":       {debSpec{version: "3.0\n"}, apt.ErrFormat},
		"unknown compression":           {debSpec{controlName: "control.tar.lzma"}, apt.ErrFormat},
		"compression that is not there": {debSpec{controlName: "control.tar.gz"}, apt.ErrFormat},
		"members in another order":      {debSpec{controlName: "data.tar.gz"}, apt.ErrFormat},
		"bytes after the end":           {debSpec{tail: "more"}, apt.ErrFormat},
		"no control":                    {debSpec{entry: "./kontrol"}, apt.ErrFormat},
		"control elsewhere":             {debSpec{entry: "../control"}, apt.ErrFormat},
		"name that climbs":              {replaced("Package: holm", "Package: ../../etc"), apt.ErrFormat},
		"name with a slash":             {replaced("Package: holm", "Package: a/b"), apt.ErrFormat},
		"version that climbs":           {replaced("1.2.3", "1/../../x"), apt.ErrFormat},
		"version with a line break":     {replaced("1.2.3", "1\n 2"), apt.ErrFormat},
		"architecture that climbs":      {replaced("amd64", "../amd64"), apt.ErrFormat},
		"no version":                    {replaced("Version: 1.2.3\n", ""), apt.ErrFormat},
		"own Filename":                  {withField("Filename: pool/evil.deb\n"), apt.ErrFormat},
		"own SHA256, other case":        {withField("sha256: 00\n"), apt.ErrFormat},
		"field twice":                   {withField("Package: other\n"), apt.ErrFormat},
		"second paragraph":              {withField("\nPackage: other\n"), apt.ErrFormat},
		"carriage return":               {withField("X: a\rPackage: b\n"), apt.ErrFormat},
		"control of two megabytes":      {withField("X: " + strings.Repeat("x", 2<<20) + "\n"), apt.ErrTooLarge},
		"gzip bomb":                     {debSpec{compression: ".gz", padding: 1 << 28}, apt.ErrTooLarge},
		"zstd bomb":                     {debSpec{compression: ".zst", padding: 1 << 28}, apt.ErrTooLarge},
		"control.tar of nine megabytes": {debSpec{padding: 9 << 20}, apt.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := apt.ReadPackage(bytes.NewReader(tc.spec.build(t))); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestAnXzDictionaryOfFourGigabytesIsRefused(t *testing.T) {
	data := debSpec{compression: ".xz"}.build(t)
	at := bytes.Index(data, []byte("\xfd7zXZ\x00")) + 12
	filter := bytes.Index(data[at:], []byte{0x21, 0x01})
	data[at+filter+2] = 40 // 4 GiB - 1
	if _, err := apt.ReadPackage(bytes.NewReader(data)); !errors.Is(err, apt.ErrFormat) {
		t.Error(err)
	}
}

func TestPlacesInThePool(t *testing.T) {
	for want, control := range map[string]string{
		"pool/main/h/holm/holm_1.2.3_amd64.deb":      "Package: holm\nVersion: 1.2.3\nArchitecture: amd64\n",
		"pool/main/libh/libholm/libholm_1-2_all.deb": "Package: libholm\nVersion: 4:1-2\nArchitecture: all\n",
	} {
		p, err := apt.ReadPackage(bytes.NewReader(debSpec{control: control}.build(t)))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.PoolPath(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzReadPackage(f *testing.F) {
	for _, compression := range []string{"", ".gz", ".xz", ".zst"} {
		f.Add(debSpec{compression: compression}.build(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := apt.ReadPackage(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, apt.ErrFormat) && !errors.Is(err, apt.ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		s := p.Stanza()
		again, err := apt.ParseIndex(apt.FormatIndex([]apt.Stanza{s}))
		if err != nil || len(again) != 1 || !again[0].Same(s) || again[0].SHA256 != s.SHA256 || !bytes.Equal(again[0].Text, s.Text) {
			t.Fatalf("stanza does not read back: %v\n%s", err, s.Text)
		}
	})
}

// need returns the path of a program, and skips the test without it, except
// in continuous integration.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", program)
	}
	t.Skipf("client %s is missing", program)
	return ""
}

func TestDpkgSaysTheSameOfItsOwnPackages(t *testing.T) {
	dpkg := need(t, "dpkg-deb")
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, compression := range []string{"gzip", "xz", "none"} {
		t.Run(compression, func(t *testing.T) {
			file := filepath.Join(dir, compression+".deb")
			if out, err := exec.Command(dpkg, "-Z"+compression, "--build", root, file).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := apt.ReadPackage(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			want, err := exec.Command(dpkg, "--field", file).Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := string(p.Control.Format()); got != string(want) {
				t.Errorf("read\n%s\ndpkg-deb reads\n%s", got, want)
			}
		})
	}
}
