package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/repo"
)

// find returns the only file of the site whose name has all the parts.
func find(t *testing.T, s *memory, parts ...string) string {
	t.Helper()
	found := ""
	for name := range s.files {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(name, p) }) && (found == "" || name < found) {
			found = name
		}
	}
	if found == "" {
		t.Fatalf("no file with %v", parts)
	}
	return found
}

func flip(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(data)/2] ^= 1
	return data
}

func gone([]byte) []byte { return nil }

// A tampering changes one file of a site; client is one that must tell it, in
// the words of problem.
type tampering struct {
	story   string
	parts   []string // of the name of the file
	change  func([]byte) []byte
	client  string
	problem string
}

// from takes the file from another site.
func from(t *testing.T, other *memory, parts ...string) func([]byte) []byte {
	return func([]byte) []byte { return other.files[find(t, other, parts...)] }
}

func twoPackets(t *testing.T) func([]byte) []byte {
	return func(data []byte) []byte {
		raw, err := keys.ParseArmor(keys.ArmorSignature, data)
		if err != nil {
			t.Fatal(err)
		}
		return keys.FormatArmor(keys.ArmorSignature, append(bytes.Clone(raw), raw...))
	}
}

func twice(data []byte) []byte { return append(bytes.Clone(data), data...) }

func withoutCRC(data []byte) []byte {
	lines := strings.SplitAfter(string(data), "\n")
	return []byte(strings.Join(append(lines[:len(lines)-3:len(lines)-3], lines[len(lines)-2:]...), ""))
}

// aptTamperings are those that apt meets.
func aptTamperings(own, strange *memory, t *testing.T) []tampering {
	return []tampering{
		{"flipped byte in InRelease", []string{"/InRelease"}, flip, repo.ClientAPT, ""},
		{"InRelease of a stranger", []string{"/InRelease"}, from(t, strange, "/InRelease"), repo.ClientAPT, "not signed by enough"},
		{"no InRelease", []string{"/InRelease"}, gone, repo.ClientAPT, "is not there"},
		{"text before InRelease", []string{"/InRelease"}, func(b []byte) []byte { return append([]byte("x\n"), b...) }, repo.ClientAPT, "malformed"},
		{"text after InRelease", []string{"/InRelease"}, func(b []byte) []byte { return append(bytes.Clone(b), "x\n"...) }, repo.ClientAPT, "malformed"},
		{"armor of InRelease without checksum", []string{"/InRelease"}, withoutCRC, repo.ClientAPT, "without checksum"},
		{"flipped byte in Release", []string{"dists/stable/Release"}, flip, repo.ClientAPT, ""},
		{"Release.gpg of a stranger", []string{"/Release.gpg"}, from(t, strange, "/Release.gpg"), repo.ClientAPT, "not signed by enough"},
		{"binary Release.gpg", []string{"/Release.gpg"}, func([]byte) []byte { return []byte{0x88, 1} }, repo.ClientAPT, "is not armored"},
		{"flipped byte in an index", []string{"binary-amd64/by-hash/"}, flip, repo.ClientAPT, "signed pointer"},
		{"no by-hash", []string{"binary-amd64/by-hash/"}, gone, repo.ClientAPT, "Acquire-By-Hash"},
		{"index under its plain name", []string{"binary-amd64/Packages.gz"}, flip, repo.ClientAPT, "signed pointer"},
		{"flipped byte in a DEB", []string{"pool/", "amd64.deb"}, flip, repo.ClientAPT, ""},
		{"cut DEB", []string{"pool/", "amd64.deb"}, func(b []byte) []byte { return b[:len(b)-1] }, repo.ClientAPT, ""},
		{"no DEB", []string{"pool/", "i386.deb"}, gone, repo.ClientAPT, "is not there"},
	}
}

// yumTamperings are those that dnf and zypper meet.
func yumTamperings(own, strange *memory, t *testing.T) []tampering {
	return []tampering{
		{"no mirror list", []string{"x86_64/mirrorlist"}, gone, repo.ClientDNF, "is not there"},
		{"mirror list to elsewhere", []string{"x86_64/mirrorlist"}, func(b []byte) []byte { return bytes.Replace(b, []byte("127.0.0.1"), []byte("127.0.0.2"), 1) }, repo.ClientDNF, "leads to"},
		{"mirror list that climbs", []string{"x86_64/mirrorlist"}, func(b []byte) []byte { return bytes.Replace(b, []byte("/r/"), []byte("/r/../r/"), 1) }, repo.ClientDNF, "signed pointer"},
		{"flipped byte in repomd.xml", []string{"x86_64/r/", "repomd.xml"}, flip, repo.ClientZypper, "bad signature"},
		{"repomd.xml of a stranger", []string{"x86_64/r/", "repomd.xml.asc"}, from(t, strange, "x86_64/r/", "repomd.xml.asc"), repo.ClientDNF, "not signed by enough"},
		{"two signatures in one block", []string{"x86_64/r/", "repomd.xml.asc"}, twoPackets(t), repo.ClientDNFRPM, "2 signatures"},
		{"two armor blocks", []string{"x86_64/r/", "repomd.xml.asc"}, twice, repo.ClientZypper, "2 armor blocks"},
		{"armor without checksum", []string{"x86_64/r/", "repomd.xml.asc"}, withoutCRC, repo.ClientDNF, "without checksum"},
		{"flipped byte in primary", []string{"x86_64/r/", "-primary.xml.gz"}, flip, repo.ClientDNF, "digest"},
		{"no filelists", []string{"x86_64/r/", "-filelists.xml.gz"}, gone, repo.ClientDNF, "is not there"},
		{"flipped byte in an RPM", []string{"pkgs/", "x86_64.rpm"}, flip, repo.ClientZypper, ""},
		{"RPM of a stranger", []string{"pkgs/", "x86_64.rpm"}, from(t, strange, "pkgs/", "x86_64.rpm"), repo.ClientDNF, "another size or SHA-256"},
	}
}

// otherTamperings are those of keys, downloads and the landing page.
func otherTamperings(own, strange *memory, t *testing.T) []tampering {
	return []tampering{
		{"flipped byte in a keyring", []string{"keys/holm-archive-keyring.pgp"}, flip, repo.ClientAPT, ""},
		{"armored keyring for apt", []string{"keys/holm-archive-keyring.pgp"}, from(t, own, "keys/RPM-GPG-KEY-holm"), repo.ClientAPT, "no binary keyring"},
		{"binary keyring for rpm", []string{"keys/RPM-GPG-KEY-holm"}, from(t, own, "keys/holm-archive-keyring.pgp"), repo.ClientDNF, "no armored keyring"},
		{"no keyring", []string{"keys/RPM-GPG-KEY-holm"}, gone, repo.ClientZypper, "is not there"},
		{"release key of a stranger", []string{"keys/stable-release-1.asc"}, from(t, strange, "keys/stable-release-1.asc"), repo.ClientPerson, "not signed by enough"},
		{"one release key less", []string{"keys/stable-release-1.asc"}, gone, repo.ClientPerson, ""},
		{"flipped byte in the sums", []string{"releases/1.0.0/SHA256SUMS"}, flip, repo.ClientPerson, "bad signature"},
		{"no signature of the sums", []string{"releases/1.0.0/current/SHA256SUMS.asc"}, gone, repo.ClientPerson, "is not there"},
		{"flipped byte in a download", []string{"releases/1.0.0/current/holm_linux"}, flip, repo.ClientPerson, "another SHA-256"},
		{"fingerprint missing on the page", []string{"index.html"}, func(b []byte) []byte { return b[:100] }, repo.ClientPerson, "does not show the fingerprint"},
	}
}

func TestEveryKindOfTamperingIsToldByTheClientThatMeetsIt(t *testing.T) {
	w := newWorkshop(t)
	base := newMemory()
	publish(t, base, w.options(), w.version("1.0.0"), now())
	stranger := newWorkshop(t)
	strange := newMemory()
	publish(t, strange, stranger.options(), stranger.version("1.0.0"), now())
	for _, tc := range slices.Concat(aptTamperings(base, strange, t), yumTamperings(base, strange, t), otherTamperings(base, strange, t)) {
		t.Run(tc.story, func(t *testing.T) {
			s := base.clone()
			name := find(t, s, tc.parts...)
			if changed := tc.change(s.files[name]); changed == nil {
				delete(s.files, name)
			} else if bytes.Equal(changed, s.files[name]) {
				t.Fatal("the change changes nothing")
			} else {
				s.files[name] = changed
			}
			v := verdict(t, s, now())
			told := slices.ContainsFunc(v.Findings, func(f repo.Finding) bool {
				return slices.Contains(f.Clients, tc.client) && strings.Contains(f.Problem, tc.problem)
			})
			if !told || !v.Refused() {
				t.Errorf("%s of %s is not told: %+v", tc.client, name, v.Findings)
			}
		})
	}
}

// An endless site never stops sending the files whose names have a suffix.
type endless struct {
	*memory
	suffix string
	sent   int64
}

func (e *endless) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := e.memory.Open(ctx, name)
	if err != nil || !strings.HasSuffix(name, e.suffix) {
		return f, err
	}
	return io.NopCloser(io.TeeReader(io.MultiReader(f, zeros{}), e)), nil
}

func (e *endless) Write(b []byte) (int, error) { e.sent += int64(len(b)); return len(b), nil }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestNoMoreOfAPackageIsReadThanItsIndexSays(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	for suffix, folder := range map[string]string{"_amd64.deb": "/pool/", "-1.x86_64.rpm": "/pkgs/"} {
		size := int64(len(s.files[find(t, s, folder, suffix)]))
		e := &endless{memory: s.clone(), suffix: "1.0.0" + suffix}
		// The same file as a download: no list says how long those are.
		maps.DeleteFunc(e.files, func(name string, _ []byte) bool { return strings.HasPrefix(name, "releases/") })
		v := verdict(t, e, now())
		if e.sent == 0 || e.sent > size+64<<10 || !v.Refused() {
			t.Errorf("%s: %d bytes were read: %+v", suffix, e.sent, v.Findings)
		}
	}
}

func TestWhatIsNoPackageAtAllIsNotParsed(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	for suffix, folder := range map[string]string{"amd64.deb": "/pool/", "x86_64.rpm": "/pkgs/"} {
		forged, name := s.clone(), find(t, s, folder, suffix)
		forged.files[name] = bytes.Repeat([]byte("x"), len(s.files[name]))
		v := verdict(t, forged, now())
		if !slices.ContainsFunc(v.Findings, func(f repo.Finding) bool {
			return f.File == name && strings.Contains(f.Problem, "another size or SHA-256")
		}) {
			t.Errorf("%s: %+v", suffix, v.Findings)
		}
	}
}

func TestDatesAreReadByTheClockOfTheClient(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	for at, problem := range map[time.Time]string{
		now().Add(31 * 24 * time.Hour): "was valid until",
		now().Add(-2 * time.Minute):    "in the future",
		now().Add(-30 * time.Minute):   "signature time",
	} {
		v := verdict(t, s, at)
		if !v.Refused() || !slices.ContainsFunc(v.Findings, func(f repo.Finding) bool {
			return slices.Contains(f.Clients, repo.ClientAPT) && strings.Contains(f.Problem, problem)
		}) {
			t.Errorf("at %s not told %q: %+v", at, problem, v.Findings)
		}
	}
	accepted(t, s, now().Add(29*24*time.Hour))
}

func TestTrustedKeysStandInForThoseOfTheSite(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	ring := func(w *workshop) keys.Keyring {
		var ring keys.Keyring
		for _, k := range append(append(w.release, w.pack), w.archive...) {
			ring = append(ring, k.Certificate())
		}
		return ring
	}
	for _, tc := range []struct {
		keys    keys.Keyring
		refused bool
	}{{ring(w), false}, {ring(newWorkshop(t)), true}} {
		all, err := repo.Verify(context.Background(), s, repo.VerifyOptions{Keys: tc.keys}, now())
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Refused() != tc.refused {
			t.Errorf("refused %t: %+v", all[0].Refused(), all[0].Findings)
		}
	}
}

func TestARevokedReleaseKeyLeavesAGapInTheNumbers(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	o := w.options()
	for i := range o.Certificates {
		if o.Certificates[i].Role == repo.Release {
			o.Certificates[i].Number += 2
		}
	}
	publish(t, s, o, w.version("1.0.0"), now())
	accepted(t, s, now())
}

func TestThereIsNothingToVerifyOnAnEmptySite(t *testing.T) {
	if _, err := repo.Verify(context.Background(), newMemory(), repo.VerifyOptions{}, now()); !errors.Is(err, repo.ErrNotPublished) {
		t.Error(err)
	}
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	if _, err := repo.Verify(context.Background(), s, repo.VerifyOptions{Channel: "beta"}, now()); !errors.Is(err, repo.ErrNotPublished) {
		t.Error(err)
	}
}
