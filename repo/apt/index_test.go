package apt_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/repo/apt"
)

// stanza returns the stanza of a package that needs no file.
func stanza(name, version, arch string) apt.Stanza {
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nFilename: pool/main/h/%s.deb\nSize: 1\nSHA256: %x\n",
		name, version, arch, name, sha256.Sum256([]byte(name+version+arch)))
	all, err := apt.ParseIndex([]byte(text))
	if err != nil {
		panic(err)
	}
	return all[0]
}

func TestAnIndexDoesNotDependOnTheOrderOfItsPackages(t *testing.T) {
	all := []apt.Stanza{stanza("holm", "1.10.0", "amd64"), stanza("holm", "1.9.0", "amd64"), stanza("holm-archive-keyring", "1.0.0", "all"), stanza("holm", "1.9.0~rc1", "amd64")}
	want := apt.FormatIndex(slices.Clone(all))
	for range len(all) {
		all = append(all[1:], all[0])
		if got := apt.FormatIndex(slices.Clone(all)); !bytes.Equal(got, want) {
			t.Fatalf("another order gives\n%s", got)
		}
	}
	again, err := apt.ParseIndex(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := apt.FormatIndex(again); !bytes.Equal(got, want) {
		t.Errorf("read and written again\n%s", got)
	}
	if i, j := bytes.Index(want, []byte("1.9.0~rc1")), bytes.Index(want, []byte("1.10.0")); i < 0 || i > j {
		t.Error("versions are not in the order of dpkg")
	}
}

func TestHostileIndexesAreRefused(t *testing.T) {
	good := string(stanza("holm", "1.0.0", "amd64").Text)
	for name, text := range map[string]string{
		"file name that climbs":   strings.Replace(good, "pool/main/h", "../../h", 1),
		"absolute file name":      strings.Replace(good, "pool/", "/pool/", 1),
		"file name with detours":  strings.Replace(good, "pool/", "pool/../pool/", 1),
		"negative size":           strings.Replace(good, "Size: 1", "Size: -1", 1),
		"signed size":             strings.Replace(good, "Size: 1", "Size: +1", 1),
		"short digest":            strings.Replace(good, "SHA256: ", "SHA256: 0", 1),
		"no digest":               strings.Split(good, "SHA256")[0],
		"blank lines too many":    good + "\n\n" + good,
		"continuation at the top": " " + good,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := apt.ParseIndex([]byte(text)); !errors.Is(err, apt.ErrFormat) {
				t.Errorf("%v for\n%s", err, text)
			}
		})
	}
}

func TestAnIndexThatUnpacksToAnotherSizeIsRefused(t *testing.T) {
	plain := bytes.Repeat([]byte{0}, 1<<20)
	packed := apt.Compress(plain)
	if got, err := apt.Decompress(packed, int64(len(plain))); err != nil || !bytes.Equal(got, plain) {
		t.Fatal(err)
	}
	for _, size := range []int64{0, 1, 1<<20 - 1, 1<<20 + 1} {
		if _, err := apt.Decompress(packed, size); !errors.Is(err, apt.ErrFormat) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	if _, err := apt.Decompress(packed, apt.MaxIndexBytes+1); !errors.Is(err, apt.ErrTooLarge) {
		t.Error(err)
	}
	for n := range len(packed) {
		if _, err := apt.Decompress(packed[:n], int64(len(plain))); !errors.Is(err, apt.ErrFormat) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestCompressedIndexesCarryNeitherNameNorTime(t *testing.T) {
	r, err := gzip.NewReader(bytes.NewReader(apt.Compress([]byte("x"))))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "" || !r.ModTime.IsZero() {
		t.Errorf("name %q, time %s", r.Name, r.ModTime)
	}
}

func release() *apt.Release {
	date := time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)
	return &apt.Release{Origin: "holm", Label: "holm", Suite: "stable", Codename: "stable", Architectures: []string{"amd64", "arm64"},
		Components: []string{"main"}, Description: "holm packages", Date: date, ValidUntil: date.Add(apt.Lifetime),
		Files: []apt.File{{Name: "main/binary-amd64/Packages", Size: 0, SHA256: sha256.Sum256(nil)}, {Name: "main/binary-amd64/Packages.gz", Size: 20, SHA256: sha256.Sum256([]byte("x"))}}}
}

func TestAReleaseReadsBackAsItWasWritten(t *testing.T) {
	text := release().Format()
	r, err := apt.ParseRelease(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Format(); !bytes.Equal(got, text) {
		t.Errorf("\n%s\nwant\n%s", got, text)
	}
	for _, line := range []string{"Date: Mon, 23 Nov 2026 06:30:00 UTC\n", "Valid-Until: Wed, 23 Dec 2026 06:30:00 UTC\n", "Acquire-By-Hash: yes\n",
		"No-Support-for-Architecture-all: Packages\n", "Architectures: amd64 arm64\n"} {
		if !bytes.Contains(text, []byte(line)) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if f, ok := r.Find("main/binary-amd64/Packages.gz"); !ok || !strings.HasPrefix(f.ByHash(), "main/binary-amd64/by-hash/SHA256/2d71") {
		t.Errorf("%+v", f)
	}
}

func TestHostileReleasesAreRefused(t *testing.T) {
	good := string(release().Format())
	for name, text := range map[string]string{
		"no date":         strings.Replace(good, "\nDate:", "\nDatum:", 1),
		"zone":            strings.Replace(good, "06:30:00 UTC\nValid", "06:30:00 +0200\nValid", 1),
		"no expiry":       strings.Replace(good, "Valid-Until", "Valid-For", 1),
		"no by-hash":      strings.Replace(good, "By-Hash: yes", "By-Hash: no", 1),
		"no digests":      strings.Replace(good, "SHA256", "MD5Sum", 1),
		"name climbs":     strings.Replace(good, "main/binary-amd64/Packages.gz", "../Packages.gz", 1),
		"line of digests": good + " and more\n",
		"empty":           "",
		"only blanks":     " \n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := apt.ParseRelease([]byte(text)); !errors.Is(err, apt.ErrFormat) {
				t.Errorf("%v for\n%s", err, text)
			}
		})
	}
	if _, err := apt.ParseRelease(make([]byte, apt.MaxReleaseBytes+1)); !errors.Is(err, apt.ErrTooLarge) {
		t.Error(err)
	}
}

func TestUnknownFieldsOfAReleaseAreKeptForComparison(t *testing.T) {
	r, err := apt.ParseRelease(append(release().Format(), "NotAutomatic: yes\n"...))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Other.Get("NotAutomatic"); got != "yes" {
		t.Errorf("NotAutomatic %q", got)
	}
}

func versionPairs() [][3]string {
	return [][3]string{
		{"1.0.0", "eq", "1.0.0"}, {"1.9.0", "lt", "1.10.0"}, {"1.0~rc1", "lt", "1.0"}, {"1.0", "lt", "1.0-1"}, {"1:0.1", "gt", "9.9"},
		{"1.0a", "gt", "1.0"}, {"1.0+b", "gt", "1.0a"}, {"1.0.a", "gt", "1.0a"}, {"0010", "eq", "10"}, {"1.0-1", "lt", "1.0-1+deb12u1"}, {"1.0~~", "lt", "1.0~"}, {"0:1", "eq", "1"},
	}
}

func sign(word string) int { return map[string]int{"lt": -1, "eq": 0, "gt": 1}[word] }

func TestVersionsAreOrderedAsDpkgOrdersThem(t *testing.T) {
	for _, p := range versionPairs() {
		if got := apt.CompareVersions(p[0], p[2]); got != 0 && got/abs(got) != sign(p[1]) || got == 0 && p[1] != "eq" {
			t.Errorf("%s %s: %d, want %s", p[0], p[2], got, p[1])
		}
		if got := apt.CompareVersions(p[2], p[0]); got != 0 && got/abs(got) != -sign(p[1]) {
			t.Errorf("%s %s: %d, not the reverse", p[2], p[0], got)
		}
	}
	dpkg := need(t, "dpkg")
	for _, p := range versionPairs() {
		if err := exec.Command(dpkg, "--compare-versions", p[0], p[1], p[2]).Run(); err != nil {
			t.Errorf("dpkg does not say %s %s %s", p[0], p[1], p[2])
		}
	}
}

func abs(n int) int { return max(n, -n) }

func FuzzParseControl(f *testing.F) {
	f.Add([]byte(control))
	f.Add([]byte("A:\n b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := apt.ParseControl(data)
		if err != nil {
			return
		}
		again, err := apt.ParseControl(c.Format())
		if err != nil || !slices.Equal(c, again) {
			t.Fatalf("%v: %q is %q, not %q", err, c.Format(), again, c)
		}
	})
}

func FuzzParseRelease(f *testing.F) {
	f.Add(release().Format())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := apt.ParseRelease(data)
		if err != nil {
			return
		}
		text := r.Format()
		again, err := apt.ParseRelease(text)
		if err != nil || !bytes.Equal(again.Format(), text) {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
