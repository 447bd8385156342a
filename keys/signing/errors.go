package signing

import "errors"

// Keys.
var (
	// ErrPassphrase: the passphrase of a secret key is missing or wrong.
	ErrPassphrase = errors.New("wrong or missing passphrase of a secret key")

	// ErrMalformed: a file is no secret key of the shape that we make.
	ErrMalformed = errors.New("malformed secret key")

	// ErrMismatch: a signer and a certificate do not belong together.
	ErrMismatch = errors.New("the secret key does not belong to the certificate")

	// ErrSelfCheck: a signature that was just made does not verify.
	ErrSelfCheck = errors.New("a new signature does not verify")
)

// The store.
var (
	// ErrNoStore: the folder holds no key list.
	ErrNoStore = errors.New("no keys here")

	// ErrStore: the key list, or a file that it names, is damaged.
	ErrStore = errors.New("the key folder is damaged")

	// ErrExposed: others than the owner may read or change secret keys.
	ErrExposed = errors.New("others may read or change secret keys")

	// ErrExists: the channel has keys of that role already.
	ErrExists = errors.New("the channel has keys already")

	// ErrNoKey: no key of that role and state is in the store.
	ErrNoKey = errors.New("no such key")
)
