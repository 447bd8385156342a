package signing

import (
	"fmt"
	"time"

	"holm.example/keys"
)

// A Signer makes signatures of one key, or of several in one block. It is
// safe for concurrent use if its keys' signers are.
type Signer struct {
	keys      []*Key
	witnesses []Witness
}

// NewSigner returns a signer of at least one key whose signatures every
// witness has to accept.
func NewSigner(witnesses []Witness, all ...*Key) (*Signer, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: a signer needs one", ErrNoKey)
	}
	return &Signer{all, witnesses}, nil
}

// Certificates returns the public parts of the signer's keys.
func (s *Signer) Certificates() keys.Keyring {
	var ring keys.Keyring
	for _, k := range s.keys {
		ring = append(ring, k.cert)
	}
	return ring
}

// SignDetached returns one armor block with one signature of each key over
// message. A key younger than when signs at its first possible second, so
// that the signature counts.
func (s *Signer) SignDetached(message []byte, when time.Time) (armored []byte, err error) {
	binary, err := s.SignBinary(message, when)
	if err != nil {
		return nil, err
	}
	return keys.FormatArmor(keys.ArmorSignature, binary), nil
}

// SignBinary is SignDetached without the armor, as RPM headers hold it.
func (s *Signer) SignBinary(message []byte, when time.Time) ([]byte, error) {
	binary, latest, err := s.sign(signatureBinary, message, when)
	if err != nil {
		return nil, err
	}
	if _, err := keys.VerifyDetached(message, binary, s.Certificates(), s.policy(latest)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSelfCheck, err)
	}
	for _, w := range s.witnesses {
		if err := w.CheckDetached(s.Certificates(), message, keys.FormatArmor(keys.ArmorSignature, binary)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSelfCheck, err)
		}
	}
	return binary, nil
}

// SignCleartext returns message in the cleartext signature framework with one
// signature block of all keys, as apt reads InRelease. Messages that the
// framework would change are refused: see keys.CanonicalText.
func (s *Signer) SignCleartext(message []byte, when time.Time) ([]byte, error) {
	canonical, err := keys.CanonicalText(message)
	if err != nil {
		return nil, err
	}
	binary, latest, err := s.sign(signatureText, canonical, when)
	if err != nil {
		return nil, err
	}
	document, err := keys.FormatCleartext(message, keys.FormatArmor(keys.ArmorSignature, binary))
	if err != nil {
		return nil, err
	}
	if _, err := keys.VerifyCleartext(document, s.Certificates(), s.policy(latest)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSelfCheck, err)
	}
	for _, w := range s.witnesses {
		if err := w.CheckCleartext(s.Certificates(), document); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSelfCheck, err)
		}
	}
	return document, nil
}

// sign returns the signature packets of all keys, and the time of the latest.
func (s *Signer) sign(kind byte, signed []byte, when time.Time) (packets []byte, latest time.Time, err error) {
	for _, k := range s.keys {
		at := k.signingTime(when)
		if at.After(latest) {
			latest = at
		}
		spec := signatureSpec{kind: kind, when: at, signer: k.signer, issuer: k.cert.Fingerprint()}
		p, err := spec.sign(signed)
		if err != nil {
			return nil, latest, fmt.Errorf("key %s: %w", k.cert.Fingerprint(), err)
		}
		packets = append(packets, p...)
	}
	return packets, latest, nil
}

// signingTime returns when, or a second after the birth of the key.
func (k *Key) signingTime(when time.Time) time.Time {
	if first := k.cert.Created().Add(time.Second); when.Before(first) {
		return first
	}
	return when
}

// policy asks for a good signature of every key.
func (s *Signer) policy(now time.Time) keys.Policy {
	signers := s.Certificates().Fingerprints()
	return keys.Policy{Signers: signers, Threshold: len(signers), Now: now}
}
