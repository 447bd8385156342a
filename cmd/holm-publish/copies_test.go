package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/keys"
	"holm.example/keys/signing"
	"holm.example/packaging"
)

// fingerprintsOf returns the sorted fingerprints of a file of certificates.
func fingerprintsOf(t *testing.T, data []byte) []string {
	t.Helper()
	ring, err := keys.ParseKeyring(data)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range ring.Fingerprints() {
		all = append(all, f.String())
	}
	slices.Sort(all)
	return all
}

// listed returns the sorted fingerprints that key list shows for some roles.
func (b bench) listed(roles ...signing.Role) []string {
	b.t.Helper()
	store, err := signing.OpenStore(filepath.Join(b.dir, "keys"))
	if err != nil {
		b.t.Fatal(err)
	}
	shown := b.run(exitDone, "", "key", "show")
	var all []string
	for _, e := range store.Entries() {
		if !strings.Contains(shown, e.Fingerprint) {
			b.t.Errorf("key show says nothing of %s", e.Fingerprint)
		}
		if slices.Contains(roles, e.Role) {
			all = append(all, e.Fingerprint)
		}
	}
	slices.Sort(all)
	return all
}

// A key stands in many places: in the folder of keys, in the program, in the
// packages, on the site. They must all be the same.
func TestEveryCopyOfTheKeysIsTheSame(t *testing.T) {
	b := toyBench(t)
	b.run(exitDone, "", "key", "new", "--quiet")
	site := filepath.Join(b.dir, "site")
	b.run(exitDone, "", "release", "--quiet", "--targets", "linux/amd64", "--site", site)
	archive, both := b.listed(signing.Archive), b.listed(signing.Archive, signing.Package)
	everything := b.listed(signing.Archive, signing.Package, signing.Release)

	folder := packaging.Folder(filepath.Join(b.dir, "dist"), "0.3.1")
	unpacked := t.TempDir()
	for _, unpack := range []string{
		"dpkg-deb -x '" + filepath.Join(folder, "toy-archive-keyring_0.3.1_all.deb") + "' .",
		"rpm2cpio '" + filepath.Join(folder, "toy-archive-keyring-0.3.1-1.noarch.rpm") + "' | cpio -id --quiet",
	} {
		cmd := exec.Command("sh", "-c", unpack)
		cmd.Dir = unpacked
		if out, err := cmd.CombinedOutput(); err != nil && os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v\n%s", unpack, err, out)
		} else if err != nil {
			t.Skipf("%s: %v\n%s", unpack, err, out)
		}
	}
	for name, want := range map[string][]string{
		filepath.Join(unpacked, "etc/apt/keyrings/toy-archive-keyring.pgp"): archive,
		filepath.Join(site, "keys/toy-archive-keyring.pgp"):                 archive,
		filepath.Join(unpacked, "etc/pki/rpm-gpg/RPM-GPG-KEY-toy"):          both,
		filepath.Join(site, "keys/RPM-GPG-KEY-toy"):                         both,
	} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fingerprintsOf(t, data); !slices.Equal(got, want) {
			t.Errorf("%s holds %v, want %v", name, got, want)
		}
	}
	b.seenBy(t, "the program", filepath.Join(folder, "bin", "linux_amd64", "toy"), everything)
	b.seenBy(t, "the landing page", filepath.Join(site, "index.html"), everything)
	var alone []string
	err := fs.WalkDir(os.DirFS(filepath.Join(site, "keys")), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".asc") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(site, "keys", name))
		alone = append(alone, fingerprintsOf(t, data)...)
		return err
	})
	slices.Sort(alone)
	if err != nil || !slices.Equal(alone, everything) {
		t.Errorf("keys/*.asc hold %v, want %v (%v)", alone, everything, err)
	}
}

// seenBy wants every fingerprint in a file, full and unbroken once blanks are
// taken out. In a program the constants stand as text.
func (b bench) seenBy(t *testing.T, what, name string, want []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if strings.HasSuffix(name, ".html") {
		text = strings.NewReplacer(" ", "", "&nbsp;", "", "\n", "").Replace(text)
	}
	for _, f := range want {
		if !strings.Contains(text, f) {
			t.Errorf("%s does not show %s", what, f)
		}
	}
}
