package signing

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"

	"holm.example/keys"
)

// An Algorithm is a kind of key that we make.
type Algorithm string

// The kinds of keys that every client of ours reads.
const (
	RSA4096 Algorithm = "rsa4096"
	Ed25519 Algorithm = "ed25519" // as EdDSA, algorithm 22, which gpg 2.2 reads
)

const (
	rsaBits = 4096

	// MaxSecretKeySize bounds a secret key file, in bytes.
	MaxSecretKeySize = 64 << 10

	// s2kCount is how many bytes a passphrase is stretched over: the most
	// that the format can say, a quarter of a second of work.
	s2kCount = 65011712
)

// A Spec is what a new certificate says.
type Spec struct {
	UserID   string        // for example "holm stable archive key 1 <keys@holm.example>"
	Created  time.Time     // to the second
	Lifetime time.Duration // to the second; 0: the key never expires
}

// A Key is a secret key with its certificate.
type Key struct {
	signer crypto.Signer
	cert   *keys.Certificate
}

// Generate makes a new key.
func Generate(algorithm Algorithm, spec Spec) (*Key, error) {
	switch algorithm {
	case RSA4096:
		secret, err := rsa.GenerateKey(rand.Reader, rsaBits)
		if err != nil {
			return nil, fmt.Errorf("making an RSA key: %w", err)
		}
		return New(secret, spec)
	case Ed25519:
		_, secret, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making an Ed25519 key: %w", err)
		}
		return New(secret, spec)
	}
	return nil, fmt.Errorf("%w: unknown algorithm %q", ErrMalformed, algorithm)
}

// New certifies the key that signer holds. The public key is an
// *rsa.PublicKey or an ed25519.PublicKey; the signer may be anything, a token
// for example.
func New(signer crypto.Signer, spec Spec) (*Key, error) {
	public, err := publicBody(signer.Public(), spec.Created)
	if err != nil {
		return nil, err
	}
	extra := appendSubpacket(nil, subpacketFlags, []byte{flagCertify | flagSign})
	if spec.Lifetime > 0 {
		extra = appendTime(extra, subpacketKeyExpires, uint32(spec.Lifetime/time.Second))
	}
	extra = appendSubpacket(extra, subpacketDigests, []byte{digestSHA512, digestSHA384, digestSHA256})
	sig := signatureSpec{signaturePositive, spec.Created, extra, signer, fingerprintOf(public)}
	signed := hashedKey(public)
	signed = binary.BigEndian.AppendUint32(append(signed, 0xB4), uint32(len(spec.UserID)))
	selfSignature, err := sig.sign(append(signed, spec.UserID...))
	if err != nil {
		return nil, err
	}
	raw := appendPacket(nil, tagPublicKey, public)
	raw = append(appendPacket(raw, tagUserID, []byte(spec.UserID)), selfSignature...)
	cert, err := keys.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: own certificate: %w", ErrSelfCheck, err)
	}
	return &Key{signer, cert}, nil
}

// Attach joins a signer to the certificate that was made for it. The error is
// ErrMismatch if it was not.
func Attach(signer crypto.Signer, cert *keys.Certificate) (*Key, error) {
	public, err := publicBody(signer.Public(), cert.Created())
	if err != nil {
		return nil, err
	}
	if fingerprintOf(public) != cert.Fingerprint() {
		return nil, fmt.Errorf("%w: %s", ErrMismatch, cert.Fingerprint())
	}
	return &Key{signer, cert}, nil
}

// Certificate returns the public part.
func (k *Key) Certificate() *keys.Certificate { return k.cert }

// Format returns the key as an armored OpenPGP secret key, which gpg and sq
// read. A passphrase, unless empty, protects it with AES-256 and iterated S2K.
// Keys of other signers than *rsa.PrivateKey and ed25519.PrivateKey have no
// such form: ErrMalformed.
func (k *Key) Format(passphrase []byte) ([]byte, error) {
	public, err := publicBody(k.signer.Public(), k.cert.Created())
	if err != nil {
		return nil, err
	}
	body, err := secretBody(k.signer, public)
	if err != nil {
		return nil, err
	}
	secret := appendPacket(nil, tagSecretKey, body)
	if len(passphrase) > 0 {
		if secret, err = protect(secret, passphrase); err != nil {
			return nil, err
		}
	}
	rest := k.cert.Binary()[len(appendPacket(nil, tagPublicKey, public)):]
	return keys.FormatArmor(keys.ArmorSecretKey, append(secret, rest...)), nil
}

// protect encrypts an unprotected secret key packet.
func protect(secret, passphrase []byte) ([]byte, error) {
	parsed, err := packet.Read(bytes.NewReader(secret))
	if err != nil {
		return nil, fmt.Errorf("protecting a secret key: %w", err)
	}
	key, ok := parsed.(*packet.PrivateKey)
	if !ok {
		return nil, ErrMalformed
	}
	config := &packet.Config{
		DefaultCipher: packet.CipherAES256,
		S2KConfig:     &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: s2kCount},
	}
	if err := key.EncryptWithConfig(passphrase, config); err != nil {
		return nil, fmt.Errorf("protecting a secret key: %w", err)
	}
	var out bytes.Buffer
	if err := key.Serialize(&out); err != nil {
		return nil, fmt.Errorf("protecting a secret key: %w", err)
	}
	return out.Bytes(), nil
}

// ParseKey reads what Format wrote, or gpg exported for a key without
// subkeys. The errors are ErrPassphrase, ErrMalformed and those of package
// keys.
func ParseKey(data, passphrase []byte) (*Key, error) {
	if len(data) > MaxSecretKeySize {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(data))
	}
	raw, err := keys.ParseArmor(keys.ArmorSecretKey, data)
	if err != nil {
		return nil, err
	}
	rest := bytes.NewReader(raw)
	parsed, err := packet.Read(rest)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	secret, ok := parsed.(*packet.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: no secret key packet", ErrMalformed)
	}
	signer, err := openSecret(secret, passphrase)
	if err != nil {
		return nil, err
	}
	public, err := publicBody(signer.Public(), secret.CreationTime)
	if err != nil {
		return nil, err
	}
	cert, err := keys.ParseCertificate(append(appendPacket(nil, tagPublicKey, public), raw[len(raw)-rest.Len():]...))
	if err != nil {
		return nil, err
	}
	return Attach(signer, cert)
}

// openSecret decrypts a secret key packet and returns its key as Go's own.
func openSecret(secret *packet.PrivateKey, passphrase []byte) (crypto.Signer, error) {
	if secret.Encrypted {
		if err := secret.Decrypt(passphrase); err != nil || len(passphrase) == 0 {
			return nil, ErrPassphrase
		}
	}
	switch key := secret.PrivateKey.(type) {
	case *rsa.PrivateKey:
		if err := key.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		return key, nil
	case *eddsa.PrivateKey:
		if len(key.D) == ed25519.SeedSize {
			return ed25519.NewKeyFromSeed(key.D), nil
		}
	}
	return nil, fmt.Errorf("%w: key of type %T", ErrMalformed, secret.PrivateKey)
}
