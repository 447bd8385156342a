package signing_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
)

// broken is a token that fails, or answers with nonsense.
type broken struct {
	crypto.Signer
	answer []byte
	err    error
}

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.answer, b.err }

var errToken = errors.New("the token was pulled out")

func TestASignatureThatATokenBotchedIsNeverReturned(t *testing.T) {
	_, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good, err := signing.New(secret, signing.Spec{UserID: "x <x@holm.example>", Created: vectorBorn})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token broken
		want  error
	}{
		"fails":         {broken{secret, nil, errToken}, errToken},
		"wrong length":  {broken{secret, make([]byte, 3), nil}, signing.ErrSelfCheck},
		"wrong numbers": {broken{secret, bytes.Repeat([]byte{7}, ed25519.SignatureSize), nil}, signing.ErrSelfCheck},
		"zeros":         {broken{secret, make([]byte, ed25519.SignatureSize), nil}, signing.ErrSelfCheck},
	} {
		key, err := signing.Attach(c.token, good.Certificate())
		if err != nil {
			t.Fatal(err)
		}
		if out, err := signerOf(t, key).SignDetached([]byte("x"), vectorTime); !errors.Is(err, c.want) || out != nil {
			t.Errorf("%s: detached %q, %v, want %v", name, out, err, c.want)
		}
		if out, err := signerOf(t, key).SignCleartext([]byte("x\n"), vectorTime); !errors.Is(err, c.want) || out != nil {
			t.Errorf("%s: cleartext %q, %v, want %v", name, out, err, c.want)
		}
		if _, err := signing.New(c.token, signing.Spec{UserID: "x <x@holm.example>", Created: vectorBorn}); !errors.Is(err, c.want) {
			t.Errorf("%s: certificate: %v, want %v", name, err, c.want)
		}
	}
}

func TestAKeyOfAnotherCertificateIsRefused(t *testing.T) {
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing.Attach(other, vectorKey(t, "ed25519").Certificate()); !errors.Is(err, signing.ErrMismatch) {
		t.Errorf("error %v, want ErrMismatch", err)
	}
}

// doubtful is a witness that accepts nothing.
type doubtful struct{}

func (doubtful) CheckDetached(keys.Keyring, []byte, []byte) error { return errToken }
func (doubtful) CheckCleartext(keys.Keyring, []byte) error        { return errToken }

func TestAWitnessThatDisagreesStopsTheSignature(t *testing.T) {
	s, err := signing.NewSigner([]signing.Witness{doubtful{}}, vectorKey(t, "ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.SignDetached([]byte("x"), vectorTime); !errors.Is(err, signing.ErrSelfCheck) || out != nil {
		t.Errorf("detached %q, %v", out, err)
	}
	if out, err := s.SignCleartext([]byte("x\n"), vectorTime); !errors.Is(err, signing.ErrSelfCheck) || out != nil {
		t.Errorf("cleartext %q, %v", out, err)
	}
}

func TestTheMachinesWitnessesAcceptGoodSignaturesAndNoOthers(t *testing.T) {
	client(t, "gpgv")
	client(t, "sqv")
	key := vectorKey(t, "rsa")
	signature := vector(t, "message.rsa.asc")
	ring := keys.Keyring{key.Certificate()}
	for _, w := range signing.FindWitnesses() {
		if err := w.CheckDetached(ring, []byte(vectorMessage), signature); err != nil {
			t.Error(err)
		}
		if err := w.CheckDetached(ring, []byte(vectorMessage+"x"), signature); err == nil {
			t.Errorf("%T accepts other bytes", w)
		}
		if err := w.CheckDetached(keys.Keyring{vectorKey(t, "ed25519").Certificate()}, []byte(vectorMessage), signature); err == nil {
			t.Errorf("%T accepts a key that is not in the ring", w)
		}
	}
}

func TestTheMachinesWitnessesReadCleartext(t *testing.T) {
	client(t, "gpgv")
	client(t, "sqv")
	ring := keys.Keyring{vectorKey(t, "rsa").Certificate(), vectorKey(t, "ed25519").Certificate()}
	document := vector(t, "message.both.cleartext")
	for _, w := range signing.FindWitnesses() {
		if err := w.CheckCleartext(ring, document); err != nil {
			t.Error(err)
		}
		for name, bad := range map[string][]byte{
			"other bytes":   bytes.Replace(document, []byte("From"), []byte("Form"), 1),
			"an added line": bytes.Replace(document, []byte("From"), []byte("added\nFrom"), 1),
			"no signature":  []byte(vectorMessage),
			"nothing":       nil,
		} {
			if err := w.CheckCleartext(ring, bad); err == nil {
				t.Errorf("%T accepts %s", w, name)
			}
		}
		if err := w.CheckCleartext(keys.Keyring{}, document); err == nil {
			t.Errorf("%T accepts keys that are not in the ring", w)
		}
	}
}

func TestAKeySignsNothingBeforeItsBirth(t *testing.T) {
	key := vectorKey(t, "ed25519")
	out, err := signerOf(t, key).SignDetached([]byte("x"), vectorBorn.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	policy := keys.Policy{Signers: []keys.Fingerprint{key.Certificate().Fingerprint()}, Threshold: 1, Now: vectorTime}
	v, err := keys.VerifyDetached([]byte("x"), out, keys.Keyring{key.Certificate()}, policy)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Signatures()[0].Created; !got.Equal(vectorBorn.Add(time.Second)) {
		t.Errorf("signed at %s, want one second after birth", got)
	}
}

func TestSignaturesOfEveryLengthVerify(t *testing.T) {
	key := vectorKey(t, "ed25519")
	signer := signerOf(t, key)
	for n := range 200 { // EdDSA numbers with leading zeros turn up, and armor of every length modulo 3
		if _, err := signer.SignDetached(fmt.Appendf(nil, "message %d", n), vectorTime); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
}

func TestMessagesThatCleartextWouldChangeAreRefused(t *testing.T) {
	signer := signerOf(t, vectorKey(t, "ed25519"))
	for _, message := range []string{"", "no newline", "blank \n", "tab\t\n", "carriage\r\n", "nul\x00\n"} {
		if _, err := signer.SignCleartext([]byte(message), vectorTime); !errors.Is(err, keys.ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", message, err)
		}
	}
}

func TestBrokenKeyFilesAreRefused(t *testing.T) {
	good := vector(t, "ed25519.key")
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1 // another letter of base64, or none
	for name, data := range map[string][]byte{
		"empty": nil, "truncated": good[:len(good)/2], "a certificate": vector(t, "ed25519.asc"), "a bit flipped": flipped,
		"too long": bytes.Repeat([]byte{'a'}, signing.MaxSecretKeySize+1), "two keys": append(bytes.Clone(good), good...),
	} {
		if _, err := signing.ParseKey(data, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, name := range []string{"ed25519.key", "ed25519.asc", "message.ed25519.asc"} {
		f.Add(vector(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := signing.ParseKey(data, nil)
		if err != nil {
			return
		}
		out, err := key.Format(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := signing.ParseKey(out, nil)
		if err != nil || again.Certificate().Fingerprint() != key.Certificate().Fingerprint() {
			t.Fatalf("written and read again: %v", err)
		}
	})
}
