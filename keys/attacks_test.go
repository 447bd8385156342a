package keys_test

import (
	"bytes"
	"crypto"
	"errors"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"holm.example/keys"
	"holm.example/keys/signing"
)

// foreignKey opens a committed secret key with the other library, which signs
// whatever it is asked to.
func foreignKey(t *testing.T, name string) *openpgp.Entity {
	t.Helper()
	list, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(vector(t, name+".key")))
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// foreignSignature signs with settings that our signer does not have.
func foreignSignature(t *testing.T, name string, kind packet.SignatureType, digest crypto.Hash, when time.Time, lifetime uint32) []byte {
	t.Helper()
	entity := foreignKey(t, name)
	sig := &packet.Signature{
		Version: 4, SigType: kind, PubKeyAlgo: entity.PrimaryKey.PubKeyAlgo, Hash: digest, CreationTime: when,
		IssuerKeyId: &entity.PrimaryKey.KeyId, IssuerFingerprint: entity.PrimaryKey.Fingerprint,
	}
	if lifetime > 0 {
		sig.SigLifetimeSecs = &lifetime
	}
	h := digest.New()
	h.Write([]byte(message))
	if err := sig.Sign(h, entity.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := sig.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sign signs with ours.
func sign(t *testing.T, text string, when time.Time, all ...*signing.Key) []byte {
	t.Helper()
	s, err := signing.NewSigner(nil, all...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.SignBinary([]byte(text), when)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tampered returns data with its last byte changed: within the numbers of a
// signature.
func tampered(data []byte) []byte {
	out := bytes.Clone(data)
	out[len(out)-1] ^= 1
	return out
}

func TestEveryAttackOnADetachedSignatureIsRefused(t *testing.T) {
	rsaKey, edKey := vectorKey(t, "rsa"), vectorKey(t, "ed25519")
	ring := vectorRing(t)
	rsaSig, edSig := sign(t, message, then, rsaKey), sign(t, message, then, edKey)
	first := keys.Policy{Signers: ring.Fingerprints()[:1], Threshold: 1, Now: then}
	either := keys.Policy{Signers: ring.Fingerprints(), Threshold: 1, Now: then}
	with := func(p keys.Policy, change func(*keys.Policy)) keys.Policy { change(&p); return p }
	for name, c := range map[string]struct {
		message   string
		signature []byte
		policy    keys.Policy
		want      error
	}{
		"other bytes":                        {message + "x", rsaSig, first, keys.ErrBadSignature},
		"line ends changed":                  {"Origin: holm\r\n", sign(t, "Origin: holm\n", then, rsaKey), first, keys.ErrBadSignature},
		"a flipped bit in the numbers":       {message, tampered(rsaSig), first, keys.ErrBadSignature},
		"a text signature on a file":         {message, foreignSignature(t, "rsa", packet.SigTypeText, crypto.SHA512, then, 0), first, keys.ErrBadSignature},
		"SHA-1":                              {message, vector(t, "weak-sha1-signature.asc"), first, keys.ErrWeak},
		"SHA-224":                            {message, vector(t, "weak-sha224-signature.asc"), first, keys.ErrWeak},
		"a certificate that is not named":    {message, edSig, first, keys.ErrNotSigned},
		"one signature where two are needed": {message, rsaSig, everyone(ring), keys.ErrNotSigned},
		"one signer twice":                   {message, append(bytes.Clone(rsaSig), sign(t, message, then.Add(time.Second), rsaKey)...), everyone(ring), keys.ErrNotSigned},
		"a good signature beside a bad one":  {message, append(bytes.Clone(edSig), tampered(rsaSig)...), either, keys.ErrBadSignature},
		"from before the key":                {message, foreignSignature(t, "rsa", packet.SigTypeBinary, crypto.SHA512, born.Add(-time.Hour), 0), first, keys.ErrSignatureTime},
		"from the future":                    {message, sign(t, message, then.Add(time.Hour), rsaKey), first, keys.ErrSignatureTime},
		"older than the policy wants":        {message, rsaSig, with(first, func(p *keys.Policy) { p.NotBefore = then.Add(time.Second) }), keys.ErrSignatureTime},
		"a signature that has expired":       {message, foreignSignature(t, "rsa", packet.SigTypeBinary, crypto.SHA512, then.Add(-time.Hour), 60), first, keys.ErrSignatureTime},
		"a key that has expired since":       {message, rsaSig, with(first, func(p *keys.Policy) { p.Now = born.Add(signing.Lifetime) }), keys.ErrKeyExpired},
		"no signature at all":                {message, nil, first, keys.ErrNotSigned},
		"truncated":                          {message, rsaSig[:len(rsaSig)-1], first, keys.ErrMalformed},
		"garbage behind":                     {message, append(bytes.Clone(rsaSig), 0x01), first, keys.ErrMalformed},
		"a certificate in its place":         {message, ring.Binary(), first, keys.ErrMalformed},
		"an inline signed document":          {message, vector(t, "message.rsa.cleartext"), first, keys.ErrMalformed},
		"two armor blocks":                   {message, append(vector(t, "message.rsa.asc"), vector(t, "message.rsa.asc")...), first, keys.ErrMalformed},
		"too many signatures":                {message, bytes.Repeat(edSig, 17), either, keys.ErrTooLarge},
		"too many bytes":                     {message, make([]byte, keys.MaxSignatureSize+1), first, keys.ErrTooLarge},
		"a packet that claims 4 GiB":         {message, []byte{0xC2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 4}, first, keys.ErrMalformed},
		"a threshold of none":                {message, rsaSig, with(first, func(p *keys.Policy) { p.Threshold = 0 }), keys.ErrPolicy},
		"a threshold above the signers":      {message, rsaSig, with(first, func(p *keys.Policy) { p.Threshold = 2 }), keys.ErrPolicy},
		"no time":                            {message, rsaSig, with(first, func(p *keys.Policy) { p.Now = time.Time{} }), keys.ErrPolicy},
	} {
		v, err := keys.VerifyDetached([]byte(c.message), c.signature, ring, c.policy)
		if !errors.Is(err, c.want) || v != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestSignaturesOfStrangersAndOfOtherVersionsArePassedOver(t *testing.T) {
	rsaKey, edKey := vectorKey(t, "rsa"), vectorKey(t, "ed25519")
	ring := vectorRing(t)
	policy := keys.Policy{Signers: ring.Fingerprints()[:1], Threshold: 1, Now: then}
	good := sign(t, message, then, rsaKey)
	sixth := []byte{0xC2, 3, 6, 0, 1} // whatever a v6 signature will hold
	for name, other := range map[string][]byte{"stranger": sign(t, message, then, edKey), "a stranger's bad one": tampered(sign(t, message, then, edKey)), "v6": sixth} {
		for _, block := range [][]byte{append(bytes.Clone(good), other...), append(bytes.Clone(other), good...)} {
			if _, err := keys.VerifyDetached([]byte(message), block, ring, policy); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestEveryAttackOnACleartextDocumentIsRefused(t *testing.T) {
	ring := vectorRing(t)
	good := string(vector(t, "message.rsa.cleartext"))
	policy := keys.Policy{Signers: ring.Fingerprints()[:1], Threshold: 1, Now: then}
	replace := func(old, with string) string {
		t.Helper()
		out := string(bytes.Replace([]byte(good), []byte(old), []byte(with), 1))
		if out == good {
			t.Fatalf("the test does not change %q", old)
		}
		return out
	}
	for name, c := range map[string]struct {
		document string
		want     error
	}{
		"other text":                   {replace("Origin: holm", "Origin: hold"), keys.ErrBadSignature},
		"text before":                  {"Suite: evil\n" + good, keys.ErrMalformed},
		"text behind":                  {good + "Suite: evil\n", keys.ErrMalformed},
		"a line before the signature":  {replace("-----BEGIN PGP SIGNATURE", "Suite: evil\n-----BEGIN PGP SIGNATURE"), keys.ErrBadSignature},
		"an unescaped dash":            {replace("- - a dash", "-a dash"), keys.ErrMalformed},
		"a blank at the end of a line": {replace("Origin: holm\n", "Origin: holm \n"), keys.ErrMalformed},
		"another digest in its header": {replace("Hash: SHA512", "Hash: SHA1"), keys.ErrMalformed},
		"a header of its own":          {replace("Hash: SHA512\n", "Hash: SHA512\nComment: hi\n"), keys.ErrMalformed},
		"CR LF line ends":              {string(bytes.ReplaceAll([]byte(good), []byte("\n"), []byte("\r\n"))), keys.ErrMalformed},
		"two documents":                {good + good, keys.ErrMalformed},
		"a detached signature":         {string(vector(t, "message.rsa.asc")), keys.ErrMalformed},
		"without its signature":        {good[:len(good)/8], keys.ErrMalformed},
		"nothing":                      {"", keys.ErrMalformed},
		"too long":                     {good + string(make([]byte, keys.MaxCleartextSize)), keys.ErrTooLarge},
	} {
		if v, err := keys.VerifyCleartext([]byte(c.document), ring, policy); !errors.Is(err, c.want) || v != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	binary := sign(t, message, then, vectorKey(t, "rsa"))
	document, err := keys.FormatCleartext([]byte(message), keys.FormatArmor(keys.ArmorSignature, binary))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.VerifyCleartext(document, ring, policy); !errors.Is(err, keys.ErrBadSignature) {
		t.Errorf("a binary signature in a cleartext document: %v, want ErrBadSignature", err)
	}
}
