package yum

import "errors"

// Errors that callers branch on.
var (
	// ErrFormat: the bytes are not what their format asks for.
	ErrFormat = errors.New("not in the format expected")
	// ErrTooLarge: a length exceeds a limit of this package.
	ErrTooLarge = errors.New("larger than allowed")
	// ErrDigest: the bytes are not those that the package's own header names.
	ErrDigest = errors.New("digest in the package does not match its bytes")
)
