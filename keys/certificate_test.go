package keys_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"holm.example/keys"
)

// serialize returns the public part of a foreign key.
func serialize(t *testing.T, entity *openpgp.Entity) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := entity.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// foreignEntity makes a key as the other library likes it: with a subkey.
func foreignEntity(t *testing.T, config *packet.Config) *openpgp.Entity {
	t.Helper()
	config.Time = func() time.Time { return born }
	entity, err := openpgp.NewEntity("stranger", "", "x@holm.example", config)
	if err != nil {
		t.Fatal(err)
	}
	return entity
}

func TestCertificatesOfOtherShapesAreRefused(t *testing.T) {
	withSubkey := foreignEntity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	weak := foreignEntity(t, &packet.Config{RSABits: 2048})
	weak.Subkeys = nil
	sixth := foreignEntity(t, &packet.Config{V6Keys: true, Algorithm: packet.PubKeyAlgoEd25519})
	sixth.Subkeys = nil
	noFlags := foreignEntity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	noFlags.Subkeys = nil
	for _, identity := range noFlags.Identities {
		identity.SelfSignature.FlagSign = false
		if err := identity.SelfSignature.SignUserId(identity.UserId.Id, noFlags.PrimaryKey, noFlags.PrivateKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	good := vector(t, "rsa.asc")
	ring := vectorRing(t)
	rsaCert, edCert := ring[0].Binary(), ring[1].Binary()
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"with a subkey":                   {serialize(t, withSubkey), keys.ErrMalformed},
		"RSA of 2048 bits":                {serialize(t, weak), keys.ErrWeak},
		"version 6":                       {serialize(t, sixth), keys.ErrMalformed},
		"not allowed to sign":             {serialize(t, noFlags), keys.ErrMalformed},
		"self-signed with SHA-1":          {vector(t, "weak-sha1-certificate.asc"), keys.ErrWeak},
		"a changed user ID":               {bytes.Replace(rsaCert, []byte("holm test"), []byte("holm best"), 1), keys.ErrMalformed},
		"another's self-signature":        {append(bytes.Clone(edCert[:51+2+50]), rsaCert[len(rsaCert)-566:]...), keys.ErrMalformed},
		"without a user ID":               {rsaCert[:3+525], keys.ErrMalformed},
		"a secret key":                    {vector(t, "rsa.key"), keys.ErrMalformed},
		"truncated":                       {rsaCert[:len(rsaCert)-1], keys.ErrMalformed},
		"truncated armor":                 {good[:len(good)/2], keys.ErrMalformed},
		"a wrong checksum":                {replaceChecksum(good), keys.ErrMalformed},
		"two where one is wanted":         {ring.Binary(), keys.ErrMalformed},
		"the same twice":                  {append(bytes.Clone(rsaCert), rsaCert...), keys.ErrMalformed},
		"text around":                     {append([]byte("Hello\n"), good...), keys.ErrMalformed},
		"nothing":                         {nil, keys.ErrMalformed},
		"too long":                        {bytes.Repeat(edCert, keys.MaxKeyringSize/len(edCert)+1), keys.ErrTooLarge},
		"a partial length":                {[]byte{0xC6, 0xE1, 4, 0}, keys.ErrMalformed},
		"an indeterminate length":         {[]byte{0x9B, 4, 0}, keys.ErrMalformed},
		"a packet that is longer than it": {[]byte{0x99, 0xFF, 0xFF, 4}, keys.ErrMalformed},
	} {
		if cert, err := keys.ParseCertificate(c.data); !errors.Is(err, c.want) || cert != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// replaceChecksum gives armor the checksum of other bytes.
func replaceChecksum(armor []byte) []byte {
	at := bytes.LastIndex(armor, []byte("\n="))
	out := bytes.Clone(armor)
	copy(out[at+2:], "AAAA")
	return out
}

func TestARevokedKeySignsNothing(t *testing.T) {
	entity := foreignKey(t, "ed25519")
	signature := sign(t, message, then, vectorKey(t, "ed25519"))
	for _, reason := range []packet.ReasonForRevocation{packet.NoReason, packet.KeySuperseded, packet.KeyCompromised, packet.KeyRetired} {
		revoked := *entity
		revoked.Revocations = nil
		if err := revoked.RevokeKey(reason, "", &packet.Config{Time: func() time.Time { return then.Add(time.Hour) }}); err != nil {
			t.Fatal(err)
		}
		ring, err := keys.ParseKeyring(serialize(t, &revoked))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.VerifyDetached([]byte(message), signature, ring, everyone(ring)); !errors.Is(err, keys.ErrKeyRevoked) {
			t.Errorf("reason %d: %v, want ErrKeyRevoked", reason, err)
		}
	}
}

func TestFingerprintsAreFullOrRefused(t *testing.T) {
	full := strings.Repeat("0123456789ABCDEF0123", 2)
	for _, good := range []string{full, strings.ToLower(full), "0123 4567 89AB CDEF 0123  0123 4567 89AB CDEF 0123"} {
		if f, err := keys.ParseFingerprint(good); err != nil || f.String() != full {
			t.Errorf("%q: %v %v", good, f, err)
		}
	}
	for _, bad := range []string{"", full[:39], full + "00", full[24:], strings.Replace(full, "A", "G", 1)} {
		if _, err := keys.ParseFingerprint(bad); !errors.Is(err, keys.ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", bad, err)
		}
	}
}

func TestArmorOfEveryLengthHasChecksumAndNewline(t *testing.T) {
	for n := range 200 {
		data := bytes.Repeat([]byte{byte(n)}, n)
		text := keys.FormatArmor(keys.ArmorSignature, data)
		got, err := keys.ParseArmor(keys.ArmorSignature, text)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		lines := strings.Split(string(text), "\n")
		if lines[len(lines)-1] != "" || !strings.HasPrefix(lines[len(lines)-3], "=") {
			t.Errorf("%d bytes: armor ends %q", n, lines[len(lines)-3:])
		}
		for _, line := range lines {
			if len(line) > 64 {
				t.Errorf("%d bytes: line of %d columns", n, len(line))
			}
		}
	}
}

func FuzzParseKeyring(f *testing.F) {
	for _, name := range []string{"both.asc", "both.pgp", "ed25519.asc", "rsa.key", "message.both.asc"} {
		f.Add(vector(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ring, err := keys.ParseKeyring(data)
		if err != nil {
			return
		}
		for _, form := range [][]byte{ring.Binary(), ring.Armor()} {
			again, err := keys.ParseKeyring(form)
			if err != nil || !bytes.Equal(again.Binary(), ring.Binary()) {
				t.Fatalf("written and read again: %v", err)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	for _, name := range []string{"message.both.asc", "message.rsa.cleartext", "message.both.cleartext", "both.pgp"} {
		f.Add(vector(f, name))
	}
	ring := vectorRing(f)
	policy := keys.Policy{Signers: ring.Fingerprints(), Threshold: 1, Now: then}
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := keys.VerifyCleartext(data, ring, policy); err == nil && string(v.Message()) != message {
			t.Fatalf("a forged message: %q", v.Message())
		}
		if v, err := keys.VerifyDetached([]byte("never signed"), data, ring, policy); err == nil {
			t.Fatalf("a forged signature by %v", v.Signatures())
		}
	})
}
