package root

import "errors"

// ErrUnavailable says that this machine cannot have roots: a program or the
// rights are missing. The error that wraps it names what.
var ErrUnavailable = errors.New("roots are not available on this machine")
