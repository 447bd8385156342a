package packaging_test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again")

// volatile are the tags whose values depend on the Go version that built the
// program, or on compression: the golden says that they are there.
var volatile = regexp.MustCompile(`(?s)(<rpmTag name="(?:Sigsize|Rsaheader|Sha256header|Payloadsha256|Archivesize|Longarchivesize|Size|Filesizes|Filedigests)">).*?(\n?\s*</rpmTag>)`)

// oldNames are what rpm up to 4.20 calls tags that rpm 6 names for their hash.
var oldNames = strings.NewReplacer(`"Payloaddigest"`, `"Payloadsha256"`, `"Payloaddigestalgo"`, `"Payloadsha256algo"`)

func TestEveryTagOfEveryRPMIsThatOfTheGolden(t *testing.T) {
	r := toy(t)
	for _, name := range []string{"toy-0.3.1-1.x86_64", "toy-archive-keyring-0.3.1-1.noarch", "toy-archive-keyring-zypp-0.3.1-1.noarch"} {
		out := accepted(t, "rpm", "-qp", "--nosignature", "--xml", r.file(t, name, ".rpm"))
		out = out[strings.Index(out, "<rpmHeader>"):] // Debian's rpm speaks first
		got := volatile.ReplaceAllString(oldNames.Replace(strings.ReplaceAll(out, r.source.Commit, "COMMIT")), "$1 … $2")
		golden := filepath.Join("testdata", name+".xml")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s:\n%s", name, golden, got)
		}
	}
}

func TestRPMsNeedNothingButRPM(t *testing.T) {
	r := toy(t)
	for _, f := range r.release.Select("rpm") {
		name := filepath.Join(r.folder, f.Name)
		for line := range strings.Lines(accepted(t, "rpm", "-qp", "--nosignature", "--requires", name)) {
			if !strings.HasPrefix(line, "rpmlib(") && !strings.HasPrefix(line, "rpm: ") {
				t.Errorf("%s requires %s", f.Name, line)
			}
		}
		if out := accepted(t, "rpm", "-qp", "--nosignature", "--scripts", "--triggers", name); strings.Contains(out, "scriptlet") {
			t.Errorf("%s has scripts:\n%s", f.Name, out)
		}
	}
}

func TestRPMSignaturesVerifyUntilOneByteIsFlipped(t *testing.T) {
	r := toy(t)
	db := t.TempDir()
	accepted(t, "rpmkeys", "--dbpath", db, "--import", r.file(t, "RPM-GPG-KEY-", "toy"))
	for _, f := range r.release.Select("rpm") {
		name := filepath.Join(r.folder, f.Name)
		out := accepted(t, "rpmkeys", "--dbpath", db, "-Kv", name)
		if n := strings.Count(strings.ToLower(out), "signature, key"); n != 1 || !strings.Contains(out, "RSA/SHA512") || !strings.Contains(out, "Payload SHA256 digest: OK") {
			t.Errorf("%s has %d signatures:\n%s", f.Name, n, out)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for what, at := range map[string]int{"payload": len(data) - 100, "header": 1500} {
			bad := filepath.Join(t.TempDir(), "bad.rpm")
			data[at] ^= 0x10
			if err := os.WriteFile(bad, data, 0o600); err != nil {
				t.Fatal(err)
			}
			data[at] ^= 0x10
			if out, err := output(t, "rpmkeys", "--dbpath", db, "-Kv", bad); err == nil {
				t.Errorf("%s with a flipped bit in its %s:\n%s", f.Name, what, out)
			}
		}
	}
}

func TestUnpackingAnRPMWritesIntoTheFolderWhereItHappens(t *testing.T) {
	client(t, "rpm2cpio")
	for line := range strings.Lines(accepted(t, "sh", "-c", "rpm2cpio '"+toy(t).file(t, "toy-0", ".rpm")+"' | cpio -t --quiet")) {
		if !strings.HasPrefix(line, "./") {
			t.Errorf("name %q in the payload", line)
		}
	}
}

func TestRPMsInstallIntoAnEmptyRootAndLeaveItEmpty(t *testing.T) {
	asRoot := rootsRights(t)
	r, root := toy(t), t.TempDir()
	t.Cleanup(func() { // what rpm made belongs to root
		words := append(asRoot, "rm", "-rf", root)
		if err := exec.Command(words[0], words[1:]...).Run(); err != nil {
			t.Error(err)
		}
	})
	rpm := func(args ...string) string {
		t.Helper()
		words := append(append(asRoot, "rpm", "--root", root, "--dbpath", "/db"), args...)
		return accepted(t, words[0], words[1:]...)
	}
	var installed []string
	for _, f := range r.release.Select("rpm") {
		installed = append(installed, filepath.Join(r.folder, f.Name))
	}
	rpm(append([]string{"--nosignature", "-i"}, installed...)...)
	if _, err := os.Stat(filepath.Join(root, "usr", "share", "man", "man1", "toy.1.gz")); err != nil {
		t.Error(err)
	}
	if out := rpm("-Va"); strings.Contains(out, "/") && !strings.HasPrefix(out, "rpm: ") {
		t.Errorf("rpm -Va: %s", out)
	}
	rpm("-e", "toy", "toy-archive-keyring", "toy-archive-keyring-zypp")
	var left []string
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(root, name); rel != "db" && !strings.HasPrefix(rel, "db/") && !strings.HasPrefix(rel, "var") {
			left = append(left, rel)
		}
		return err
	})
	base := []string{".", "etc", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/licenses", "usr/share/man", "usr/share/man/man1"}
	if err != nil || !slices.Equal(left, base) {
		t.Errorf("left behind: %v, want only what every system has: %v (%v)", left, base, err)
	}
}

func TestDEBsSayWhatTheyShould(t *testing.T) {
	r := toy(t)
	program, keyring := r.file(t, "toy_", ".deb"), r.file(t, "toy-archive", ".deb")
	for field, want := range map[string]string{
		"Package": "toy", "Version": "0.3.1", "Architecture": "amd64", "Depends": "", "Pre-Depends": "", "Recommends": "toy-archive-keyring",
		"Section": "utils", "Maintainer": "Toy makers <makers@toy.example>", "Multi-Arch": "foreign", "Homepage": "https://toy.example/",
		"Description": "something to play with\n The toy says what it is, and nothing else.\n .\n That is enough for a test.",
	} {
		if got := strings.TrimRight(accepted(t, "dpkg-deb", "-f", program, field), "\n"); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if got := accepted(t, "dpkg-deb", "-f", keyring, "Package", "Architecture", "Depends"); got != "Package: toy-archive-keyring\nArchitecture: all\n" {
		t.Errorf("the keyring says %q", got)
	}
	if got := accepted(t, "dpkg-deb", "-I", keyring, "conffiles"); got != "/etc/apt/keyrings/toy-archive-keyring.pgp\n/etc/apt/sources.list.d/toy.sources\n" {
		t.Errorf("conffiles %q", got)
	}
	for _, name := range []string{program, keyring} {
		list := accepted(t, "dpkg-deb", "-I", name)
		for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
			if strings.Contains(list, script) {
				t.Errorf("%s has a %s", name, script)
			}
		}
	}
	contents := accepted(t, "dpkg-deb", "-c", program)
	for _, want := range []string{
		"-rwxr-xr-x root/root", "./usr/bin/toy", "./usr/share/man/man1/toy.1.gz", "./usr/share/bash-completion/completions/toy",
		"./usr/share/zsh/vendor-completions/_toy", "./usr/share/fish/vendor_completions.d/toy.fish", "./usr/share/doc/toy/changelog.gz",
		"./usr/share/doc/toy/copyright", "2026-03-04",
	} {
		if !strings.Contains(contents, want) {
			t.Errorf("no %s in\n%s", want, contents)
		}
	}
}

func TestTheKeyringPackagesHoldTheKeyFilesOfTheSite(t *testing.T) {
	r, dir := toy(t), t.TempDir()
	accepted(t, "dpkg-deb", "-x", r.file(t, "toy-archive", ".deb"), dir)
	accepted(t, "sh", "-c", "cd '"+dir+"' && rpm2cpio '"+r.file(t, "toy-archive-keyring-0", ".rpm")+"' | cpio -id --quiet")
	for inside, outside := range map[string]string{
		"etc/apt/keyrings/toy-archive-keyring.pgp": "toy-archive-keyring.pgp",
		"etc/pki/rpm-gpg/RPM-GPG-KEY-toy":          "RPM-GPG-KEY-toy",
	} {
		got, err1 := os.ReadFile(filepath.Join(dir, inside))
		want, err2 := os.ReadFile(filepath.Join(r.folder, "keys", outside))
		if err := errors.Join(err1, err2); err != nil || string(got) != string(want) {
			t.Errorf("%s differs from keys/%s: %v", inside, outside, err)
		}
	}
	entry, err1 := os.ReadFile(filepath.Join(dir, "etc/yum.repos.d/toy.repo"))
	want, err2 := r.config.YumEntry()
	if err := errors.Join(err1, err2); err != nil || string(entry) != string(want) {
		t.Errorf("toy.repo: %q, %v", entry, err)
	}
}

func TestLintianFindsNoError(t *testing.T) {
	r := toy(t)
	for _, f := range r.release.Select("deb") {
		out, err := output(t, "lintian", "--allow-root", "--fail-on", "error,warning", filepath.Join(r.folder, f.Name))
		if err != nil {
			t.Errorf("%s: %v\n%s", f.Name, err, out)
		}
	}
}

func TestRpmlintFindsNoError(t *testing.T) {
	r := toy(t)
	config, err := filepath.Abs(filepath.Join("assets", "rpmlint.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.release.Select("rpm") {
		out, err := output(t, "rpmlint", "--config", config, filepath.Join(r.folder, f.Name))
		if err != nil || !strings.Contains(out, " 0 errors") || !strings.Contains(out, "1 packages") {
			t.Errorf("%s: %v\n%s", f.Name, err, out)
		}
	}
}

func TestArchivesHoldProgramManualAndLicence(t *testing.T) {
	r := toy(t)
	f, err := os.Open(r.file(t, "toy_0.3.1_linux_amd64", ".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var inside []string
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != r.release.Epoch || h.Uname != "root" {
			t.Errorf("%s is of %s, %s", h.Name, h.Uname, h.ModTime)
		}
		inside = append(inside, h.FileInfo().Mode().String()+" "+h.Name)
	}
	top := "toy_0.3.1_linux_amd64/"
	want := []string{
		"-rwxr-xr-x " + top + "toy", "-rw-r--r-- " + top + "LICENSE", "-rw-r--r-- " + top + "README.md", "-rw-r--r-- " + top + "completions/bash/toy",
		"-rw-r--r-- " + top + "completions/fish/toy.fish", "-rw-r--r-- " + top + "completions/zsh/_toy", "-rw-r--r-- " + top + "man/toy.1",
	}
	if !slices.Equal(inside, want) {
		t.Errorf("tar.gz holds %q\nwant %q", inside, want)
	}
	z, err := zip.OpenReader(r.file(t, "toy_0.3.1_windows_amd64", ".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	inside = nil
	for _, file := range z.File {
		inside = append(inside, file.Name)
	}
	top = "toy_0.3.1_windows_amd64/"
	if want := []string{top + "toy.exe", top + "LICENSE", top + "README.md"}; !slices.Equal(inside, want) {
		t.Errorf("zip holds %q, want %q", inside, want)
	}
}

func TestTheChangelogTellsTheNewsOfTheVersion(t *testing.T) {
	out := accepted(t, "sh", "-c", "dpkg-deb --fsys-tarfile '"+toy(t).file(t, "toy_", ".deb")+"' | tar -xO ./usr/share/doc/toy/changelog.gz | gzip -d")
	want := `toy (0.3.1) stable; urgency=medium

  * The toy says what it is, in a sentence that is long enough to have to be
    broken into two lines of a changelog.
  * It has a manual.
  * Commit ` + toy(t).source.Commit + `.

 -- Toy makers <makers@toy.example>  Wed, 04 Mar 2026 05:06:07 +0000
`
	if out != want {
		t.Errorf("changelog\n%s\nwant\n%s", out, want)
	}
}
