package seal

import "errors"

var (
	// ErrSealed is returned when a sealed part does not open: its bytes, its
	// key, its name or its place are not those it was sealed with.
	ErrSealed = errors.New("sealed part does not open")
	// ErrSignature is returned when a signature is not the expected key's.
	ErrSignature = errors.New("signature does not verify")
	// ErrPassphrase is returned when a wrapped key is intact and the
	// passphrase is not the one it was wrapped for.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrOtherVault is returned for a wrapped key of another vault.
	ErrOtherVault = errors.New("key belongs to another vault")
	// ErrMalformed is returned for bytes that break the format.
	ErrMalformed = errors.New("malformed key object")
	// ErrDerivation is returned for Argon2id parameters outside the bounds.
	ErrDerivation = errors.New("key derivation parameters out of bounds")
	// ErrNoEpoch is returned when the keyring lacks the epoch of an object.
	ErrNoEpoch = errors.New("key epoch not in the keyring")
)
