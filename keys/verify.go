package keys

import (
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// MaxSignatureSize bounds a detached signature, in bytes.
	MaxSignatureSize = 64 << 10

	// MaxSkew is how far in the future a signature may lie.
	MaxSkew = 5 * time.Minute

	maxSignatures = 16
)

// A Policy says what has to be true of a signed thing.
type Policy struct {
	Signers   []Fingerprint // whose signatures count
	Threshold int           // how many of them must have signed, at least 1
	Now       time.Time     // certificates must be valid at this time
	NotBefore time.Time     // older signatures are refused; zero: any age
}

// A Signature is one good signature on a Verified thing.
type Signature struct {
	Signer  Fingerprint
	Created time.Time
}

// Verified is a message that satisfied a Policy. Only this package makes one.
type Verified struct {
	message    []byte
	signatures []Signature
}

// Message returns the bytes that were signed. They must not be changed.
func (v *Verified) Message() []byte { return v.message }

// Signatures returns the good signatures, one for each signer.
func (v *Verified) Signatures() []Signature { return append([]Signature(nil), v.signatures...) }

// VerifyDetached checks a detached signature, armored or binary, over message.
// The message must not be changed afterwards. The errors are those of this
// package.
func VerifyDetached(message, signature []byte, ring Keyring, policy Policy) (*Verified, error) {
	return verify(message, message, signature, packet.SigTypeBinary, ring, policy)
}

// VerifyCleartext checks a document of the cleartext signature framework as
// FormatCleartext writes it, and nothing more liberal. The errors are those of
// this package.
func VerifyCleartext(document []byte, ring Keyring, policy Policy) (*Verified, error) {
	message, signature, err := parseCleartext(document)
	if err != nil {
		return nil, err
	}
	canonical, err := CanonicalText(message)
	if err != nil {
		return nil, err
	}
	return verify(message, canonical, signature, packet.SigTypeText, ring, policy)
}

// verify counts the signatures of distinct signers over the signed bytes.
func verify(message, signed, signature []byte, kind packet.SignatureType, ring Keyring, policy Policy) (*Verified, error) {
	if policy.Threshold < 1 || policy.Threshold > len(policy.Signers) || policy.Now.IsZero() {
		return nil, ErrPolicy
	}
	packets, err := signaturePackets(signature)
	if err != nil {
		return nil, err
	}
	v := &Verified{message: message}
	for _, p := range packets {
		if p.tag == tagSignature && len(p.body) > 0 && p.body[0] != keyVersion {
			continue // of another age, such as v6; ours are beside it
		}
		sig, err := parseSignature(p)
		if err != nil {
			return nil, err
		}
		signer := policy.signer(ring, sig)
		if signer == nil {
			continue
		}
		if sig.SigType != kind {
			return nil, fmt.Errorf("%w: type %#x", ErrBadSignature, uint8(sig.SigType))
		}
		if err := checkSignature(signed, sig, signer, policy); err != nil {
			return nil, err
		}
		v.add(Signature{signer.fingerprint, sig.CreationTime})
	}
	if len(v.signatures) < policy.Threshold {
		return nil, fmt.Errorf("%w: %d of %d", ErrNotSigned, len(v.signatures), policy.Threshold)
	}
	return v, nil
}

// signaturePackets cuts a signature file, armored or binary, into packets.
func signaturePackets(signature []byte) ([]rawPacket, error) {
	if len(signature) > MaxSignatureSize {
		return nil, fmt.Errorf("%w: signature of %d bytes", ErrTooLarge, len(signature))
	}
	if isArmored(signature) {
		var err error
		if signature, err = ParseArmor(ArmorSignature, signature); err != nil {
			return nil, err
		}
	}
	return splitPackets(signature, maxSignatures)
}

// signer returns the certificate that the signature claims to be of, if it
// is one that the policy names, else nil.
func (p Policy) signer(ring Keyring, sig *packet.Signature) *Certificate {
	for _, f := range p.Signers {
		if string(f[:]) == string(sig.IssuerFingerprint) {
			return ring.Find(f)
		}
	}
	return nil
}

// checkSignature verifies one signature and its times.
func checkSignature(signed []byte, sig *packet.Signature, signer *Certificate, policy Policy) error {
	h, err := sig.PrepareVerify()
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBadSignature, err)
	}
	h.Write(signed)
	if err := signer.key.VerifySignature(h, sig); err != nil {
		return fmt.Errorf("%w of %s", ErrBadSignature, signer.fingerprint)
	}
	if err := signer.usable(policy.Now); err != nil {
		return err
	}
	made := sig.CreationTime
	if made.Before(signer.created) || made.Before(policy.NotBefore) || made.After(policy.Now.Add(MaxSkew)) || expired(sig, policy.Now) {
		return fmt.Errorf("%w: %s made it at %s", ErrSignatureTime, signer.fingerprint, made.UTC().Format(time.RFC3339))
	}
	return nil
}

// expired says whether the signature itself, not its key, has ended.
func expired(sig *packet.Signature, now time.Time) bool {
	secs := sig.SigLifetimeSecs
	return secs != nil && *secs > 0 && !now.Before(sig.CreationTime.Add(time.Duration(*secs)*time.Second))
}

// add counts a signature unless its signer is counted already.
func (v *Verified) add(s Signature) {
	for _, have := range v.signatures {
		if have.Signer == s.Signer {
			return
		}
	}
	v.signatures = append(v.signatures, s)
}
