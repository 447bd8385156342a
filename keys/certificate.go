package keys

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// MaxCertificateSize bounds one certificate, in bytes of binary packets.
	MaxCertificateSize = 64 << 10

	// MinRSABits is the shortest RSA key that counts.
	MinRSABits = 3072

	maxCertificatePackets = 64
	maxUserID             = 512 // bytes
	keyVersion            = 4
)

// A Fingerprint names a certificate: the full v4 fingerprint of its primary
// key (RFC 9580, 5.5.4.2).
type Fingerprint [20]byte

// ParseFingerprint reads 40 hexadecimal digits; blanks between them, as gpg
// prints them, are allowed. The error is ErrMalformed.
func ParseFingerprint(text string) (Fingerprint, error) {
	var f Fingerprint
	raw, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil || len(raw) != len(f) {
		return f, fmt.Errorf("%w: %q is no full v4 fingerprint", ErrMalformed, text)
	}
	copy(f[:], raw)
	return f, nil
}

// String returns 40 upper case hexadecimal digits.
func (f Fingerprint) String() string { return strings.ToUpper(hex.EncodeToString(f[:])) }

// A Certificate is the public part of a key that passed the checks of this
// package. It is immutable.
type Certificate struct {
	raw         []byte
	key         *packet.PublicKey
	fingerprint Fingerprint
	userIDs     []string
	created     time.Time
	expires     time.Time // zero: never
	revoked     bool
}

// ParseCertificate reads exactly one certificate, armored or binary. The
// errors are ErrMalformed, ErrTooLarge and ErrWeak.
func ParseCertificate(data []byte) (*Certificate, error) {
	ring, err := ParseKeyring(data)
	if err != nil {
		return nil, err
	}
	if len(ring) != 1 {
		return nil, fmt.Errorf("%w: %d certificates where one is expected", ErrMalformed, len(ring))
	}
	return ring[0], nil
}

// Fingerprint returns the full fingerprint of the primary key.
func (c *Certificate) Fingerprint() Fingerprint { return c.fingerprint }

// UserIDs returns the names of the key's holder.
func (c *Certificate) UserIDs() []string { return append([]string(nil), c.userIDs...) }

// Created returns when the key was made.
func (c *Certificate) Created() time.Time { return c.created }

// Expires returns when the certificate ends; the zero time means never.
func (c *Certificate) Expires() time.Time { return c.expires }

// Algorithm returns the kind of key: "rsa4096" or "ed25519" and their like.
func (c *Certificate) Algorithm() string {
	bits, err := c.key.BitLength()
	if c.key.PubKeyAlgo == packet.PubKeyAlgoRSA && err == nil {
		return fmt.Sprintf("rsa%d", bits)
	}
	return "ed25519"
}

// Binary returns the certificate as OpenPGP packets, as they were read.
func (c *Certificate) Binary() []byte { return append([]byte(nil), c.raw...) }

// Armor returns the certificate as one armor block, which gpg, sq and
// rpm --import read.
func (c *Certificate) Armor() []byte { return FormatArmor(ArmorPublicKey, c.raw) }

// usable returns an error if the certificate does not count at that time.
func (c *Certificate) usable(at time.Time) error {
	if c.revoked {
		return fmt.Errorf("%w: %s", ErrKeyRevoked, c.fingerprint)
	}
	if !c.expires.IsZero() && !at.Before(c.expires) {
		return fmt.Errorf("%w: %s on %s", ErrKeyExpired, c.fingerprint, c.expires.UTC().Format(time.DateOnly))
	}
	return nil
}

// newCertificate checks the packets of one certificate.
func newCertificate(packets []rawPacket) (*Certificate, error) {
	c := &Certificate{}
	for _, p := range packets {
		c.raw = append(c.raw, p.raw...)
	}
	if len(c.raw) > MaxCertificateSize {
		return nil, fmt.Errorf("%w: certificate of %d bytes", ErrTooLarge, len(c.raw))
	}
	if err := c.readPrimary(packets[0]); err != nil {
		return nil, err
	}
	packets = packets[1:]
	for len(packets) > 0 && packets[0].tag == tagSignature {
		if err := c.readRevocation(packets[0]); err != nil {
			return nil, err
		}
		packets = packets[1:]
	}
	for len(packets) > 0 {
		n := 1
		for n < len(packets) && packets[n].tag == tagSignature {
			n++
		}
		if err := c.readUserID(packets[0], packets[1:n]); err != nil {
			return nil, err
		}
		packets = packets[n:]
	}
	if len(c.userIDs) == 0 {
		return nil, fmt.Errorf("%w: certificate without a user ID", ErrMalformed)
	}
	return c, nil
}

// readPrimary takes over the primary key.
func (c *Certificate) readPrimary(p rawPacket) error {
	parsed, err := p.parse()
	if err != nil {
		return err
	}
	key, ok := parsed.(*packet.PublicKey)
	if !ok || key.IsSubkey || key.Version != keyVersion || len(key.Fingerprint) != len(c.fingerprint) {
		return fmt.Errorf("%w: no v4 primary key", ErrMalformed)
	}
	if err := checkAlgorithm(key); err != nil {
		return err
	}
	c.key, c.created = key, key.CreationTime
	copy(c.fingerprint[:], key.Fingerprint)
	return nil
}

// checkAlgorithm accepts RSA of at least MinRSABits and Ed25519 as EdDSA.
func checkAlgorithm(key *packet.PublicKey) error {
	switch key.PubKeyAlgo {
	case packet.PubKeyAlgoRSA:
		bits, err := key.BitLength()
		if err != nil || bits < MinRSABits {
			return fmt.Errorf("%w: RSA of %d bits", ErrWeak, bits)
		}
		return nil
	case packet.PubKeyAlgoEdDSA:
		if curve, err := key.Curve(); err == nil && curve == packet.Curve25519 {
			return nil
		}
	}
	return fmt.Errorf("%w: public key algorithm %d", ErrWeak, key.PubKeyAlgo)
}

// readRevocation takes over a signature that stands before the user IDs;
// only the revocation of the key itself may.
func (c *Certificate) readRevocation(p rawPacket) error {
	sig, err := parseSignature(p)
	if err != nil {
		return err
	}
	if sig.SigType != packet.SigTypeKeyRevocation {
		return fmt.Errorf("%w: signature of type %#x on a key", ErrMalformed, uint8(sig.SigType))
	}
	if err := c.key.VerifyRevocationSignature(sig); err != nil {
		return fmt.Errorf("%w: revocation of %s: %v", ErrMalformed, c.fingerprint, err)
	}
	c.revoked = true
	return nil
}

// readUserID takes over a user ID with its self-signatures, of which the
// newest counts. The earliest expiry that any user ID gives is that of the
// certificate.
func (c *Certificate) readUserID(p rawPacket, sigs []rawPacket) error {
	parsed, err := p.parse()
	if err != nil {
		return err
	}
	uid, ok := parsed.(*packet.UserId)
	if !ok {
		return fmt.Errorf("%w: packet of type %d in a certificate", ErrMalformed, p.tag)
	}
	if len(uid.Id) > maxUserID {
		return fmt.Errorf("%w: user ID of %d bytes", ErrTooLarge, len(uid.Id))
	}
	newest, err := c.newestSelfSignature(uid.Id, sigs)
	if err != nil {
		return err
	}
	if !newest.FlagsValid || !newest.FlagSign {
		return fmt.Errorf("%w: %s may not sign", ErrMalformed, c.fingerprint)
	}
	if secs := newest.KeyLifetimeSecs; secs != nil && *secs > 0 {
		end := c.created.Add(time.Duration(*secs) * time.Second)
		if c.expires.IsZero() || end.Before(c.expires) {
			c.expires = end
		}
	}
	c.userIDs = append(c.userIDs, uid.Id)
	return nil
}

// newestSelfSignature verifies every signature on a user ID as one of the
// key itself and returns the newest.
func (c *Certificate) newestSelfSignature(uid string, sigs []rawPacket) (*packet.Signature, error) {
	var newest *packet.Signature
	for _, p := range sigs {
		sig, err := parseSignature(p)
		if err != nil {
			return nil, err
		}
		if sig.SigType < packet.SigTypeGenericCert || sig.SigType > packet.SigTypePositiveCert {
			return nil, fmt.Errorf("%w: signature of type %#x on a user ID", ErrMalformed, uint8(sig.SigType))
		}
		if err := c.key.VerifyUserIdSignature(uid, c.key, sig); err != nil {
			return nil, fmt.Errorf("%w: self-signature of %s: %v", ErrMalformed, c.fingerprint, err)
		}
		if newest == nil || sig.CreationTime.After(newest.CreationTime) {
			newest = sig
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("%w: user ID without a self-signature", ErrMalformed)
	}
	return newest, nil
}

// parseSignature reads a signature packet and refuses other versions than 4
// and digests below SHA-256.
func parseSignature(p rawPacket) (*packet.Signature, error) {
	if p.tag != tagSignature {
		return nil, fmt.Errorf("%w: packet of type %d where a signature is expected", ErrMalformed, p.tag)
	}
	parsed, err := p.parse()
	if err != nil {
		return nil, err
	}
	sig, ok := parsed.(*packet.Signature)
	if !ok || sig.Version != keyVersion {
		return nil, fmt.Errorf("%w: no v4 signature", ErrMalformed)
	}
	switch sig.Hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
		return sig, nil
	}
	return nil, fmt.Errorf("%w: signature with digest %v", ErrWeak, sig.Hash)
}
