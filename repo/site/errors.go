package site

import "errors"

// Errors that callers branch on.
var (
	// ErrLocked: another publisher holds the site.
	ErrLocked = errors.New("another publisher is at work on the site")
	// ErrUnreachable: the site did not answer, or not with the file or its absence.
	ErrUnreachable = errors.New("the site cannot be reached")
	// ErrName: the name is not a clean, relative, slash-separated path.
	ErrName = errors.New("not a name of the site")
)
