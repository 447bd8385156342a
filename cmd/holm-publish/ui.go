package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
	"holm.example/packaging"
	"holm.example/repo"
	"holm.example/repo/site"
)

// Exit codes, the same in all programs of the product.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitPartly   = 3 // done, but not everything
	exitVerify   = 4 // a signature, a checksum or stored bytes are wrong
	exitRunning  = 5 // another instance holds the lock
	exitNoStore  = 6 // the store or the site cannot be reached
	exitWrongKey = 7 // wrong passphrase or key
	exitRefused  = 8 // a package manager owns this installation
)

// A ui is the only printer of the program: answers go to stdout, everything
// else to stderr.
type ui struct {
	stdout, stderr io.Writer
	quiet, asJSON  bool
}

func newUI(stdout, stderr io.Writer) *ui { return &ui{stdout: stdout, stderr: stderr} }

func (u *ui) configure(quiet, asJSON bool) { u.quiet, u.asJSON = quiet, asJSON }

// answer prints one result: v as one JSON object with --json, else the text.
func (u *ui) answer(v any, format string, args ...any) error {
	if !u.asJSON {
		_, err := fmt.Fprintf(u.stdout, format+"\n", args...)
		return err
	}
	encoder := json.NewEncoder(u.stdout) // ends each object with a newline
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// bytes writes an answer that is a file.
func (u *ui) bytes(data []byte) error {
	_, err := u.stdout.Write(data)
	return err
}

// progress prints one line about what happens now, unless --quiet.
func (u *ui) progress(format string, args ...any) {
	if !u.quiet {
		fmt.Fprintf(u.stderr, format+"\n", args...)
	}
}

// count is a number with its noun, in the plural where it needs one.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// step starts the time of a step; the function it returns prints what was done
// and how long it took.
func (u *ui) step(now func() time.Time, format string, args ...any) func() {
	what, start := fmt.Sprintf(format, args...), now()
	return func() { u.progress("%s (%.1f s)", what, now().Sub(start).Seconds()) }
}

// warn prints what a person should know though the work goes on.
func (u *ui) warn(format string, args ...any) {
	fmt.Fprintf(u.stderr, "holm-publish: warning: "+format+"\n", args...)
}

// failure prints the error and, where there is one, what can be done next.
func (u *ui) failure(err error) {
	fmt.Fprintf(u.stderr, "holm-publish: error: %v\n", err)
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(u.stderr, "holm-publish: hint: %s\n", hint)
	}
}

// A usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage marks err as wrong usage; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// A hintedError carries what the person can do next.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// withHint adds to err what the person can do next; nil stays nil.
func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return hintedError{err, hint}
}

// occasions says for errors that callers branch on which exit code and which
// hint they get; the first that matches counts.
func occasions() []occasion {
	return []occasion{
		{signing.ErrPassphrase, exitWrongKey, "--passphrase-file names the file with the passphrase of the keys"},
		{signing.ErrNoStore, exitFailed, "holm-publish key new --channel stable makes the keys of a rehearsal"},
		{signing.ErrNoKey, exitFailed, "holm-publish key list shows the keys, key new makes those of a channel"},
		{signing.ErrExists, exitFailed, "holm-publish key list shows them; key rotate activates the standby"},
		{signing.ErrNoStandby, exitFailed, "holm-publish key standby takes an offline key that was brought back; key new --role makes another"},
		{signing.ErrState, exitFailed, "holm-publish key list shows the states; key rotate or key new --role brings another active key first"},
		{signing.ErrLocked, exitRunning, "wait for it; the lock ends with its process"},
		{signing.ErrAbsent, exitFailed, "bring that file back from where it is kept: every active key must be in the key folder to publish"},
		{signing.ErrExposed, exitFailed, "chmod -R go= takes the rights of others away; if they had them for long, rotate the keys"},
		{signing.ErrSelfCheck, exitVerify, "the key or the machine is at fault: nothing was signed"},
		{packaging.ErrTarget, exitUsage, "--targets takes all, host, or a list such as linux/amd64,windows/arm64"},
		{packaging.ErrVersion, exitUsage, "--version takes three numbers, such as 1.2.3"},
		{packaging.ErrNoGit, exitFailed, "run in a git clone of the source, with git installed"},
		{packaging.ErrShallow, exitFailed, "git fetch --unshallow brings the missing commits; --version names one without counting"},
		{packaging.ErrDirty, exitFailed, "commit the changes, or say --allow-dirty for a rehearsal"},
		{packaging.ErrNotBuilt, exitFailed, "holm-publish build makes it, with the same --url and --version"},
		{packaging.ErrChanged, exitVerify, "holm-publish build and package make the files again"},
		{keys.ErrBadSignature, exitVerify, "the file is damaged or forged: do not use it"},
		{keys.ErrNotSigned, exitVerify, "holm-publish key list shows whose signatures are expected"},
		{site.ErrLocked, exitRunning, "wait for it; the lock ends with its process"},
		{site.ErrUnreachable, exitNoStore, "check the address, and that the site is served: holm-publish serve"},
		{repo.ErrForeign, exitVerify, "somebody else wrote there, or a file was lost: holm-publish site verify says what is wrong; put it back from the newest copy of the site"},
		{repo.ErrOlder, exitVerify, "put the newest copy of the site back: what was published since would be lost"},
		{repo.ErrUnsigned, exitVerify, "holm-publish package makes and signs the packages"},
		{repo.ErrArtifact, exitVerify, "holm-publish build and package make the files again"},
		{repo.ErrRefused, exitVerify, "the lines above say which client refuses what"},
		{repo.ErrConflict, exitFailed, "a published version never changes: release under a higher one, --version says which"},
		{repo.ErrMoved, exitFailed, "--url says which base URL the release is for; --moved, that the site moves there"},
		{repo.ErrWriteOnce, exitFailed, "restore the value in release.yaml, or publish to a new site"},
		{repo.ErrClock, exitFailed, "set the clock; if it is right, wait until it has passed that time"},
		{repo.ErrNotPublished, exitFailed, "holm-publish publish puts a release there"},
		{os.ErrPermission, exitFailed, "check the owner and the permissions of that path"},
		{signing.ErrStore, exitFailed, "restore the key folder from its backup; no command makes a lost key again"},
	}
}

// An occasion is one kind of failure.
type occasion struct {
	sentinel error
	code     int
	hint     string
}

func hintFor(err error) string {
	var hinted hintedError
	if errors.As(err, &hinted) {
		return hinted.hint
	}
	var use usageError
	if errors.As(err, &use) {
		return "holm-publish help lists the commands and their flags"
	}
	for _, o := range occasions() {
		if errors.Is(err, o.sentinel) {
			return o.hint
		}
	}
	return ""
}

func exitCode(err error) int {
	var use usageError
	if errors.As(err, &use) {
		return exitUsage
	}
	for _, o := range occasions() {
		if errors.Is(err, o.sentinel) {
			return o.code
		}
	}
	return exitFailed
}
