package repo

import "errors"

// Publishing.
var (
	// ErrConflict: the same name, version and architecture is there with
	// other bytes. It is refused for ever.
	ErrConflict = errors.New("already published with other bytes")
	// ErrUnsigned: a package is not signed, or not by an active package key
	// of the channel.
	ErrUnsigned = errors.New("package is not signed by the package key of the channel")
	// ErrForeign: what is published does not verify under our keys, or is not what
	// its signed pointer names. Nothing is signed on top of it.
	ErrForeign = errors.New("what is published does not verify")
	// ErrOlder: the site was set back to an earlier state. What was published
	// since would be lost, and clients refuse to go back.
	ErrOlder = errors.New("the site is older than what was published last")
	// ErrWriteOnce: a field that apt's users would have to confirm differs
	// from what is published.
	ErrWriteOnce = errors.New("must never change after the first publish")
	// ErrMoved: the site was published for another base URL, where its clients
	// look for it, and Options.Moved does not say that it moves.
	ErrMoved = errors.New("the site would move to another base URL")
	// ErrClock: the clock is behind what is published.
	ErrClock = errors.New("the clock is behind the published Release")
	// ErrArtifact: a file of the release is not what the release says.
	ErrArtifact = errors.New("artifact is not what the release says")
	// ErrConfig: the options make no sense.
	ErrConfig = errors.New("wrong options of a publish")
)

// Verifying.
var (
	// ErrRefused: a client would refuse something of the site.
	ErrRefused = errors.New("clients would refuse this site")
	// ErrNotPublished: there is nothing to verify.
	ErrNotPublished = errors.New("nothing is published there")
)
