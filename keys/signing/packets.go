package signing

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"

	"holm.example/keys"
)

// Numbers of RFC 9580 and RFC 4880 that we write.
const (
	version = 4

	tagSignature = 2
	tagSecretKey = 5
	tagPublicKey = 6
	tagUserID    = 13

	algorithmRSA   = 1
	algorithmEdDSA = 22
	digestSHA256   = 8
	digestSHA384   = 9
	digestSHA512   = 10

	signatureBinary   = 0x00
	signatureText     = 0x01
	signaturePositive = 0x13

	subpacketCreated     = 2
	subpacketKeyExpires  = 9
	subpacketIssuer      = 16
	subpacketDigests     = 21
	subpacketFlags       = 27
	subpacketFingerprint = 33

	flagCertify = 0x01
	flagSign    = 0x02

	unprotected = 0 // a secret key without a passphrase
)

// oidEd25519 names the curve of EdDSA keys (RFC 9580, 9.2).
const oidEd25519 = "\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"

// appendPacket adds a packet with an old-format header, which every rpm reads.
func appendPacket(out []byte, tag byte, body []byte) []byte {
	if len(body) < 256 {
		out = append(out, 0x80|tag<<2, byte(len(body)))
	} else {
		out = binary.BigEndian.AppendUint16(append(out, 0x81|tag<<2), uint16(len(body)))
	}
	return append(out, body...)
}

// appendMPI adds a number with its exact length in bits (RFC 9580, 3.2).
// Sequoia refuses numbers whose length counts leading zeros.
func appendMPI(out []byte, n *big.Int) []byte {
	return append(binary.BigEndian.AppendUint16(out, uint16(n.BitLen())), n.Bytes()...)
}

// publicBody returns the body of the public key packet of a signer's key.
func publicBody(public crypto.PublicKey, created time.Time) ([]byte, error) {
	out := binary.BigEndian.AppendUint32([]byte{version}, uint32(created.Unix()))
	switch key := public.(type) {
	case *rsa.PublicKey:
		out = appendMPI(append(out, algorithmRSA), key.N)
		return appendMPI(out, big.NewInt(int64(key.E))), nil
	case ed25519.PublicKey:
		out = append(append(out, algorithmEdDSA, byte(len(oidEd25519))), oidEd25519...)
		return appendMPI(out, new(big.Int).SetBytes(append([]byte{0x40}, key...))), nil
	}
	return nil, fmt.Errorf("%w: keys of type %T", ErrMalformed, public)
}

// hashedKey returns a public key packet as it enters fingerprints and
// signatures.
func hashedKey(body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x99}, uint16(len(body))), body...)
}

// fingerprintOf returns the v4 fingerprint of a public key packet.
func fingerprintOf(body []byte) keys.Fingerprint { return sha1.Sum(hashedKey(body)) }

// appendSubpacket adds a signature subpacket, never a critical one.
func appendSubpacket(out []byte, kind byte, body []byte) []byte {
	return append(append(out, byte(1+len(body)), kind), body...)
}

// appendTime adds a subpacket that holds seconds.
func appendTime(out []byte, kind byte, seconds uint32) []byte {
	return appendSubpacket(out, kind, binary.BigEndian.AppendUint32(nil, seconds))
}

// A signatureSpec is what a signature says besides the bytes it covers.
type signatureSpec struct {
	kind   byte
	when   time.Time
	extra  []byte // further hashed subpackets
	signer crypto.Signer
	issuer keys.Fingerprint
}

// sign returns a signature packet over signed.
func (s signatureSpec) sign(signed []byte) ([]byte, error) {
	algorithm := byte(algorithmRSA)
	if _, ok := s.signer.Public().(ed25519.PublicKey); ok {
		algorithm = algorithmEdDSA
	}
	hashed := appendSubpacket(nil, subpacketFingerprint, append([]byte{version}, s.issuer[:]...))
	hashed = appendTime(hashed, subpacketCreated, uint32(s.when.Unix()))
	hashed = append(hashed, s.extra...)
	body := []byte{version, s.kind, algorithm, digestSHA512}
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(hashed))), hashed...)

	h := crypto.SHA512.New()
	h.Write(signed)
	h.Write(body)
	h.Write(binary.BigEndian.AppendUint32([]byte{version, 0xFF}, uint32(len(body))))
	digest := h.Sum(nil)

	unhashed := appendSubpacket(nil, subpacketIssuer, s.issuer[12:])
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(unhashed))), unhashed...)
	body = append(body, digest[:2]...)
	numbers, err := signDigest(s.signer, digest)
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		body = appendMPI(body, n)
	}
	return appendPacket(nil, tagSignature, body), nil
}

// signDigest asks the signer for the numbers of a signature over a SHA-512
// digest: one for RSA (PKCS #1 v1.5), R and S for EdDSA, which signs the
// digest as its message.
func signDigest(signer crypto.Signer, digest []byte) ([]*big.Int, error) {
	var opts crypto.SignerOpts = crypto.SHA512
	_, edwards := signer.Public().(ed25519.PublicKey)
	if edwards {
		opts = crypto.Hash(0)
	}
	raw, err := signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if !edwards {
		return []*big.Int{new(big.Int).SetBytes(raw)}, nil
	}
	if len(raw) != ed25519.SignatureSize {
		return nil, fmt.Errorf("%w: Ed25519 signature of %d bytes", ErrSelfCheck, len(raw))
	}
	half := len(raw) / 2
	return []*big.Int{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])}, nil
}

// secretBody returns the body of an unprotected secret key packet.
func secretBody(signer crypto.Signer, public []byte) ([]byte, error) {
	var secret []byte
	switch key := signer.(type) {
	case *rsa.PrivateKey:
		if len(key.Primes) != 2 {
			return nil, fmt.Errorf("%w: RSA key of %d primes", ErrMalformed, len(key.Primes))
		}
		p, q := key.Primes[0], key.Primes[1]
		if p.Cmp(q) > 0 { // RFC 9580, 5.5.5.1: p is the smaller
			p, q = q, p
		}
		for _, n := range []*big.Int{key.D, p, q, new(big.Int).ModInverse(p, q)} {
			secret = appendMPI(secret, n)
		}
	case ed25519.PrivateKey:
		secret = appendMPI(secret, new(big.Int).SetBytes(key.Seed()))
	default:
		return nil, fmt.Errorf("%w: keys of type %T cannot be written to a file", ErrMalformed, signer)
	}
	var sum uint16
	for _, b := range secret {
		sum += uint16(b)
	}
	body := append(append(bytes.Clone(public), unprotected), secret...)
	return binary.BigEndian.AppendUint16(body, sum), nil
}
