package keys_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
)

var (
	born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // of the keys in testdata
	then = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) // of the signatures there
)

const message = "Origin: holm\n- a dash\n-----BEGIN nothing-----\n\nFrom here\n"

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "v1", name))
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

func vectorRing(t testing.TB) keys.Keyring {
	t.Helper()
	ring, err := keys.ParseKeyring(vector(t, "both.pgp"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// everyone asks for a signature of each certificate.
func everyone(ring keys.Keyring) keys.Policy {
	return keys.Policy{Signers: ring.Fingerprints(), Threshold: len(ring), Now: then}
}

func TestEveryCommittedVectorVerifies(t *testing.T) {
	both := vectorRing(t)
	for name, ring := range map[string]keys.Keyring{"rsa": both[:1], "ed25519": both[1:], "both": both} {
		detached, err := keys.VerifyDetached([]byte(message), vector(t, "message."+name+".asc"), both, everyone(ring))
		if err != nil {
			t.Errorf("%s: detached: %v", name, err)
			continue
		}
		cleartext, err := keys.VerifyCleartext(vector(t, "message."+name+".cleartext"), both, everyone(ring))
		if err != nil {
			t.Errorf("%s: cleartext: %v", name, err)
			continue
		}
		for form, v := range map[string]*keys.Verified{"detached": detached, "cleartext": cleartext} {
			if string(v.Message()) != message || len(v.Signatures()) != len(ring) || !v.Signatures()[0].Created.Equal(then) {
				t.Errorf("%s, %s: %q signed by %v", name, form, v.Message(), v.Signatures())
			}
		}
	}
}

func TestCertificatesSayWhatTheyAre(t *testing.T) {
	ring := vectorRing(t)
	for i, want := range []string{"rsa4096", "ed25519"} {
		c := ring[i]
		if c.Algorithm() != want || !c.Created().Equal(born) || !c.Expires().Equal(born.Add(signing.Lifetime)) || len(c.UserIDs()) != 1 {
			t.Errorf("%s: %s, created %s, expires %s, user IDs %q", want, c.Algorithm(), c.Created(), c.Expires(), c.UserIDs())
		}
		again, err := keys.ParseFingerprint(c.Fingerprint().String())
		if err != nil || again != c.Fingerprint() {
			t.Errorf("%s: fingerprint read again: %v", want, err)
		}
	}
}

func TestAKeyringReadsAlikeInEveryForm(t *testing.T) {
	ring := vectorRing(t)
	oneBlock := keys.FormatArmor(keys.ArmorPublicKey, ring.Binary())
	windows := bytes.ReplaceAll(ring.Armor(), []byte("\n"), []byte("\r\n"))
	versioned := bytes.Replace(ring.Armor(), []byte("-----\n\n"), []byte("-----\nVersion: GnuPG v1.4.6 (GNU/Linux)\n\n"), 1)
	for name, data := range map[string][]byte{"binary": ring.Binary(), "a block each": ring.Armor(), "one block": oneBlock, "CR LF": windows, "Version:": versioned} {
		got, err := keys.ParseKeyring(data)
		if err != nil || !bytes.Equal(got.Binary(), ring.Binary()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
