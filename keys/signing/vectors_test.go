package signing_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
)

// update writes the vectors again from the secret keys that stand there; new
// bytes mean that released clients meet something new.
var update = flag.Bool("update", false, "write the vectors in ../testdata/v1 again")

const vectorFolder = "../testdata/v1"

// Everything in the vectors happened at one time.
var (
	vectorBorn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	vectorTime = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
)

// vectorMessage has what the cleartext framework has to escape.
const vectorMessage = "Origin: holm\n- a dash\n-----BEGIN nothing-----\n\nFrom here\n"

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectorFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func vectorKey(t testing.TB, name string) *signing.Key {
	t.Helper()
	key, err := signing.ParseKey(vector(t, name+".key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signerOf(t testing.TB, all ...*signing.Key) *signing.Signer {
	t.Helper()
	s, err := signing.NewSigner(nil, all...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// made returns what today's code makes of the committed secret keys.
func made(t *testing.T) map[string][]byte {
	rsaKey, edKey := vectorKey(t, "rsa"), vectorKey(t, "ed25519")
	files := map[string][]byte{
		"rsa.asc": rsaKey.Certificate().Armor(), "ed25519.asc": edKey.Certificate().Armor(),
		"both.pgp": keys.Keyring{rsaKey.Certificate(), edKey.Certificate()}.Binary(),
		"both.asc": keys.Keyring{rsaKey.Certificate(), edKey.Certificate()}.Armor(),
	}
	for name, signer := range map[string]*signing.Signer{"rsa": signerOf(t, rsaKey), "ed25519": signerOf(t, edKey), "both": signerOf(t, rsaKey, edKey)} {
		detached, err := signer.SignDetached([]byte(vectorMessage), vectorTime)
		if err != nil {
			t.Fatal(err)
		}
		cleartext, err := signer.SignCleartext([]byte(vectorMessage), vectorTime)
		if err != nil {
			t.Fatal(err)
		}
		files["message."+name+".asc"], files["message."+name+".cleartext"] = detached, cleartext
	}
	for name, key := range map[string]*signing.Key{"rsa": rsaKey, "ed25519": edKey} {
		secret, err := key.Format(nil)
		if err != nil {
			t.Fatal(err)
		}
		files[name+".key"] = secret
	}
	return files
}

func TestTodaysBytesAreThoseOfTheCommittedVectors(t *testing.T) {
	for name, got := range made(t) {
		if *update {
			if err := os.WriteFile(filepath.Join(vectorFolder, name), got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, vector(t, name)) {
			t.Errorf("%s differs from the vector", name)
		}
	}
}

// wrapped is a key whose Go type nobody knows, like one in a token.
type wrapped struct{ crypto.Signer }

func (w wrapped) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return w.Signer.Sign(rand, digest, opts)
}

func TestTheSameKeyInAnyTypeGivesTheSameBytes(t *testing.T) {
	secret, err := rsa.GenerateKey(nil, 3072) // the smallest that counts: this test makes it anew each time
	if err != nil {
		t.Fatal(err)
	}
	spec := signing.Spec{UserID: "holm test key <test@holm.example>", Created: vectorBorn, Lifetime: signing.Lifetime}
	plain, err := signing.New(secret, spec)
	if err != nil {
		t.Fatal(err)
	}
	file, err := plain.Format([]byte("a passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := signing.ParseKey(file, []byte("a passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signing.New(wrapped{secret}, spec)
	if err != nil {
		t.Fatal(err)
	}
	attached, err := signing.Attach(wrapped{secret}, plain.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	want, err := signerOf(t, plain).SignDetached([]byte(vectorMessage), vectorTime)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*signing.Key{"file": fromFile, "token": token, "attached": attached} {
		if !bytes.Equal(key.Certificate().Binary(), plain.Certificate().Binary()) {
			t.Errorf("%s: another certificate", name)
		}
		got, err := signerOf(t, key).SignDetached([]byte(vectorMessage), vectorTime)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: another signature: %v", name, err)
		}
	}
}

// client returns the path of a program that the test needs. Without it the
// test is left out, but not where all of them must be there.
func client(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// command runs a client in dir and returns its output.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(client(t, name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GNUPGHOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// vectorDir returns a folder with the vectors and the message.
func vectorDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(vectorFolder)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "message"), []byte(vectorMessage), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // gpg leaves an agent behind
		kill := exec.Command("gpgconf", "--homedir", dir, "--kill", "all")
		if err := kill.Run(); err != nil {
			t.Logf("gpgconf: %v", err)
		}
	})
	return dir
}

func TestGPGImportsEveryFileAndSignsWithTheSecretKeys(t *testing.T) {
	dir := vectorDir(t)
	command(t, dir, "gpg", "--batch", "--import", "rsa.asc", "ed25519.asc", "both.pgp", "both.asc", "rsa.key", "ed25519.key")
	ring, err := keys.ParseKeyring(vector(t, "both.pgp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ring.Fingerprints() {
		command(t, dir, "gpg", "--batch", "--yes", "-u", f.String(), "--digest-algo", "SHA512", "--armor", "-o", "by-gpg.asc", "--detach-sign", "message")
		signature, err := os.ReadFile(filepath.Join(dir, "by-gpg.asc"))
		if err != nil {
			t.Fatal(err)
		}
		policy := keys.Policy{Signers: []keys.Fingerprint{f}, Threshold: 1, Now: time.Now()}
		if _, err := keys.VerifyDetached([]byte(vectorMessage), signature, ring, policy); err != nil {
			t.Errorf("gpg's signature by %s: %v", f, err)
		}
	}
}

func TestGPGVAndSQVAcceptEverySignature(t *testing.T) {
	for _, name := range []string{"rsa", "ed25519", "both"} {
		dir := vectorDir(t)
		command(t, dir, "gpgv", "--keyring", "./both.pgp", "message."+name+".asc", "message")
		command(t, dir, "gpgv", "--keyring", "./both.pgp", "message."+name+".cleartext")
		command(t, dir, "sqv", "--keyring", "both.pgp", "message."+name+".asc", "message")
	}
}

func TestSQReadsCertificatesAndSecretKeys(t *testing.T) {
	dir := vectorDir(t)
	for _, name := range []string{"rsa.asc", "ed25519.asc", "both.pgp", "rsa.key", "ed25519.key"} {
		command(t, dir, "sq", "inspect", name)
	}
}

func TestRPMImportsEveryKeyOfAFile(t *testing.T) {
	dir := vectorDir(t)
	command(t, dir, "rpm", "--dbpath", filepath.Join(dir, "db"), "--import", "both.asc")
	listed := command(t, dir, "rpm", "--dbpath", filepath.Join(dir, "db"), "-q", "gpg-pubkey", "--qf", "%{VERSION}\n")
	ring, err := keys.ParseKeyring(vector(t, "both.asc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ring.Fingerprints() {
		if id := f.String()[32:]; !bytes.Contains(bytes.ToUpper([]byte(listed)), []byte(id)) {
			t.Errorf("rpm did not import %s: %s", f, listed)
		}
	}
}

func TestGPGReadsAKeyUnderAPassphrase(t *testing.T) {
	dir := vectorDir(t)
	secret, err := vectorKey(t, "ed25519").Format([]byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "locked.key"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, "gpg", "--batch", "--import", "locked.key")
	command(t, dir, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "open sesame", "--armor", "--detach-sign", "message")
}
