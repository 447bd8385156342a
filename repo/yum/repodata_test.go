package yum_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/nfpm/v2"

	"holm.example/repo/yum"
)

const href = "../../../pkgs/"

func entryOf(t testing.TB, data []byte) yum.Entry {
	t.Helper()
	p, err := yum.ReadPackage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Entry(href)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestARevisionDoesNotDependOnTheOrderOfItsPackages(t *testing.T) {
	var all []yum.Entry
	for _, version := range []string{"1.10.0", "1.9.0", "1.9.1"} {
		all = append(all, entryOf(t, buildRPM(t, func(i *nfpm.Info) { i.Version = version })))
	}
	want := yum.FormatRepodata(slices.Clone(all), 7).Format()
	slices.Reverse(all)
	md := yum.FormatRepodata(all, 7)
	if got := md.Format(); !bytes.Equal(got, want) {
		t.Errorf("another order gives\n%s", got)
	}
	again, err := yum.ParseRepomd(want)
	if err != nil || again.Revision != 7 {
		t.Fatalf("%v, %+v", err, again)
	}
	primary, err := again.Data[0].Open(md.Data[0].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if i, j := bytes.Index(primary, []byte(`ver="1.9.0"`)), bytes.Index(primary, []byte(`ver="1.10.0"`)); i < 0 || i > j {
		t.Error("versions are not in the order of rpm")
	}
}

func TestARevisionWithoutPackagesReadsBack(t *testing.T) {
	md := yum.FormatRepodata(nil, 1)
	var open [3][]byte
	for i, d := range md.Data {
		var err error
		if open[i], err = d.Open(d.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := yum.ParseEntries(open[0], open[1], open[2]); err != nil || len(entries) != 0 {
		t.Errorf("%v, %d packages", err, len(entries))
	}
}

func TestHostileRepomdIsRefused(t *testing.T) {
	good := string(yum.FormatRepodata(nil, 7).Format())
	for name, text := range map[string]string{
		"empty":              "",
		"no XML":             "repomd",
		"cut off":            good[:len(good)/2],
		"without a revision": strings.Replace(good, "<revision>7", "<revision>0", 1),
		"negative revision":  strings.Replace(good, "<revision>7", "<revision>-7", 1),
		"other path":         strings.Replace(good, `href="repodata/`, `href="../repodata/`, 1),
		"negative size":      strings.Replace(good, "<size>", "<size>-", 1),
		"a kind twice":       strings.Replace(good, `"filelists"`, `"primary"`, 1),
		"something more":     good + " ",
		"a comment":          strings.Replace(good, "<revision>", "<!-- x --><revision>", 1),
		"an entity":          strings.Replace(good, "<repomd", `<!DOCTYPE x [<!ENTITY a "b">]><repomd`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := yum.ParseRepomd([]byte(text)); !errors.Is(err, yum.ErrFormat) && !errors.Is(err, yum.ErrTooLarge) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := yum.ParseRepomd(make([]byte, yum.MaxRepomdBytes+1)); !errors.Is(err, yum.ErrTooLarge) {
		t.Error(err)
	}
}

func TestAnIndexWithAnotherByteIsRefused(t *testing.T) {
	md := yum.FormatRepodata([]yum.Entry{entryOf(t, buildRPM(t, nil))}, 7)
	for _, d := range md.Data {
		data := bytes.Clone(d.Bytes())
		data[len(data)/2] ^= 1
		if _, err := d.Open(data); !errors.Is(err, yum.ErrDigest) {
			t.Errorf("%s: %v", d.Type, err)
		}
	}
}

func TestHostileEntriesAreRefused(t *testing.T) {
	e := entryOf(t, buildRPM(t, nil))
	good := e.Primary
	for name, change := range map[string][2]string{
		"location that climbs":   {href, "../../../../etc/"},
		"location with detours":  {href, "../../../pkgs/../pkgs/"},
		"location without name":  {"pkgs/holm-1.2.3-1.x86_64.rpm", "pkgs/"},
		"name that climbs":       {"<name>holm", "<name>../holm"},
		"other checksum":         {`type="sha256"`, `type="md5"`},
		"checksum too short":     {fmt.Sprintf("%x", e.SHA256), "00"},
		"negative size":          {`<size package="`, `<size package="-`},
		"not the same in others": {fmt.Sprintf("%x", e.SHA256), strings.Repeat("00", 32)},
	} {
		t.Run(name, func(t *testing.T) {
			e.Primary = bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
			if bytes.Equal(e.Primary, good) {
				t.Fatal("the change changes nothing")
			}
			md := yum.FormatRepodata([]yum.Entry{e}, 7)
			var open [3][]byte
			for i, d := range md.Data {
				var err error
				if open[i], err = d.Open(d.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := yum.ParseEntries(open[0], open[1], open[2]); !errors.Is(err, yum.ErrFormat) && !errors.Is(err, yum.ErrTooLarge) {
				t.Errorf("%v", err)
			}
		})
	}
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

const spec = `Name: built
Version: 2.0~rc1
Release: 3%{?nothing}
Epoch: 1
Summary: A package <made> by "rpmbuild" & nobody else
License: MIT
URL: https://holm.example/?a=b&c=d
Vendor: The holm authors
BuildArch: noarch
Requires: libfoo >= 1:2.0-1
Requires: /usr/bin/env
Requires: built-self
Requires(pre): early
Requires(post): middle
Requires(preun): late
Provides: built-self
Provides: virtual = 3
Conflicts: enemy < 1
Obsoletes: ancient <= 0.9
Recommends: nice
Suggests: nicer >= 4
Supplements: (big and small)
Enhances: other = 1-1

%description
Several lines,
with < and &.

%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/built %{buildroot}/usr/share/built/empty
echo x > %{buildroot}/usr/bin/built
echo x > %{buildroot}/etc/built/conf
echo x > "%{buildroot}/usr/share/built/a & b"
ln -s built %{buildroot}/usr/bin/alias

%files
/usr/bin/*
%dir /etc/built
%config /etc/built/conf
/usr/share/built
%ghost /etc/built/ghost
%ghost %dir /etc/built/ghostdir

%changelog
* Mon Nov 23 2026 The holm authors <packages@holm.example> - 2.0-3
- third & last
* Sun Nov 22 2026 The holm authors <packages@holm.example> - 2.0-2
- second
- with two lines
* Sun Nov 22 2026 Somebody "Else" <x@holm.example> - 2.0-1b
- still the first
* Sun Nov 22 2026 Somebody "Else" <x@holm.example> - 2.0-1
- first
`

// rpmbuilt makes a package with all kinds of dependencies the way that
// distributions do.
func rpmbuilt(t *testing.T) []byte {
	t.Helper()
	program := need(t, "rpmbuild")
	dir := t.TempDir()
	name := filepath.Join(dir, "built.spec")
	if err := os.WriteFile(name, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	// Format 4 is what this package reads, and what rpm 6 writes only if asked.
	out, err := exec.Command(program, "-bb", "--quiet", "--define", "_rpmformat 4", "--define", "_topdir "+dir, "--define", "_rpmdir "+dir, name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "noarch", "*.rpm"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v: %v", err, found)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestIndexesAreThoseOfCreaterepoFieldByField(t *testing.T) {
	program := need(t, "createrepo_c")
	for name, data := range map[string][]byte{"nfpm": buildRPM(t, nil), "rpmbuild": rpmbuilt(t)} {
		t.Run(name, func(t *testing.T) {
			e := entryOf(t, data)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(e.Href)), data, 0o644); err != nil {
				t.Fatal(err)
			}
			// Later versions write zstd unless they are told otherwise.
			if out, err := exec.Command(program, "--quiet", "--no-database", "--general-compress-type=gz", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			md := yum.FormatRepodata([]yum.Entry{e}, 7)
			for _, d := range md.Data {
				ours, err := d.Open(d.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				theirs := unpackOne(t, filepath.Join(dir, "repodata", "*-"+d.Type+".xml.gz"))
				compareXML(t, d.Type, ours, theirs)
			}
		})
	}
}

func unpackOne(t *testing.T, pattern string) []byte {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v: %v", err, found)
	}
	out, err := exec.Command("gzip", "-dc", found[0]).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compareXML compares two documents element by element; the two fields that
// docs/repo-layout.md wants otherwise are left out.
func compareXML(t *testing.T, kind string, ours, theirs []byte) {
	t.Helper()
	a, b := flatten(t, ours), flatten(t, theirs)
	if len(a) < 3 {
		t.Fatalf("%s: only %d elements", kind, len(a))
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%s, element %d:\nours   %s\ntheirs %s", kind, i, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Errorf("%s: %d elements, createrepo_c has %d", kind, len(a), len(b))
	}
}

func flatten(t *testing.T, document []byte) []string {
	t.Helper()
	var all []string
	for d := xml.NewDecoder(bytes.NewReader(document)); ; {
		token, err := d.Token()
		if token == nil {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			line := token.Name.Space + " " + token.Name.Local
			for _, a := range token.Attr {
				if token.Name.Local == "time" && a.Name.Local == "file" || token.Name.Local == "location" {
					continue
				}
				line += " " + a.Name.Local + "=" + a.Value
			}
			all = append(all, line)
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				all = append(all, text)
			}
		}
	}
	return all
}

func FuzzParseRepomd(f *testing.F) {
	f.Add(yum.FormatRepodata(nil, 7).Format())
	f.Fuzz(func(t *testing.T, data []byte) {
		if md, err := yum.ParseRepomd(data); err == nil && !bytes.Equal(md.Format(), data) {
			t.Fatal("does not read back")
		}
	})
}

func FuzzParseEntries(f *testing.F) {
	e := entryOf(f, buildRPM(f, nil))
	md := yum.FormatRepodata([]yum.Entry{e}, 7)
	var open [3][]byte
	for i, d := range md.Data {
		var err error
		if open[i], err = d.Open(d.Bytes()); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(open[0], open[1], open[2])
	f.Fuzz(func(t *testing.T, primary, filelists, other []byte) {
		entries, err := yum.ParseEntries(primary, filelists, other)
		if err != nil {
			return
		}
		for _, e := range entries {
			if strings.Contains(strings.TrimPrefix(e.Href, href), "/") && strings.HasPrefix(e.Href, href) {
				t.Fatalf("location %q", e.Href)
			}
		}
	})
}
