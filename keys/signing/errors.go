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

	// ErrLocked: another process changes the store.
	ErrLocked = errors.New("another process changes the keys")

	// ErrAbsent: a secret key that the list names is not in the folder.
	ErrAbsent = errors.New("a secret key is not at hand")

	// ErrExposed: others than the owner may read or change secret keys.
	ErrExposed = errors.New("others may read or change secret keys")

	// ErrExists: the channel has keys of that role already.
	ErrExists = errors.New("the channel has keys already")

	// ErrNoKey: no key of that role and state is in the store.
	ErrNoKey = errors.New("no such key")

	// ErrNoStandby: no key is ready to follow the active one.
	ErrNoStandby = errors.New("no key to rotate to")

	// ErrState: what was asked for is not for keys of that state.
	ErrState = errors.New("the state of the key does not allow that")
)
