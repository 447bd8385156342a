package restore

import "errors"

var (
	// ErrRenamed is the problem of an entry that got another name, because its
	// own was taken or is impossible in the target.
	ErrRenamed = errors.New("restored under another name")
	// ErrKept is the problem of a directory that is one of Request.Keep.
	ErrKept = errors.New("not restored into a directory of holm's own")
	// ErrTarget ends a run: the target is full or read-only, and takes nothing
	// more.
	ErrTarget = errors.New("the target takes nothing more")
)
