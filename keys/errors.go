package keys

import "errors"

// Reading certificates and signatures.
var (
	// ErrMalformed: the bytes are no OpenPGP armor, certificate or signature
	// of the shape this package accepts.
	ErrMalformed = errors.New("malformed OpenPGP data")

	// ErrTooLarge: the bytes are longer, or hold more parts, than a limit
	// of this package.
	ErrTooLarge = errors.New("OpenPGP data is too large")

	// ErrWeak: the key or digest is older or shorter than the policy allows.
	ErrWeak = errors.New("key or digest is too weak")
)

// Verifying.
var (
	// ErrBadSignature: a named certificate signed other bytes than these.
	ErrBadSignature = errors.New("bad signature")

	// ErrNotSigned: fewer distinct named certificates signed than the
	// threshold asks for.
	ErrNotSigned = errors.New("not signed by enough of the expected keys")

	// ErrKeyExpired: the certificate of the signer is past its expiry.
	ErrKeyExpired = errors.New("key has expired")

	// ErrKeyRevoked: the certificate of the signer is revoked.
	ErrKeyRevoked = errors.New("key is revoked")

	// ErrSignatureTime: the signature is older than its key or than the
	// policy allows, lies in the future or has expired.
	ErrSignatureTime = errors.New("signature time is not acceptable")

	// ErrPolicy: the caller asked for the impossible, such as a threshold of
	// zero or more signatures than there are signers.
	ErrPolicy = errors.New("verification policy makes no sense")
)
