package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"holm.example/engine"
)

const (
	// plainInterval is the time between lines of progress where there is no
	// terminal to draw on, in a log for example.
	plainInterval = 10 * time.Second
	// objectInterval is the time between objects of progress with --json.
	objectInterval = time.Second
	// frameInterval is the time between frames on a terminal.
	frameInterval = 100 * time.Millisecond
)

// A ui is the only way in which this program prints: answers to standard
// output, everything else to standard error.
type ui struct {
	in      *os.File
	out     *bufio.Writer
	err     io.Writer
	drawing bool       // standard error is a terminal that can be drawn on
	width   func() int // of that terminal
	now     func() time.Time

	json, quiet, verbose bool

	mu sync.Mutex // over the fields below: work reports from its goroutines
	// bar is what is drawn, if something is; meter is of the progress that is
	// shown, which was told last at told.
	bar   *bar
	meter meter
	told  time.Time
}

func newUI(in, out, err *os.File) *ui {
	width := func() int {
		if n, _, sizeErr := term.GetSize(int(err.Fd())); sizeErr == nil && n > 0 {
			return n
		}
		return 80
	}
	return &ui{in: in, out: bufio.NewWriter(out), err: err, drawing: canDraw(err), width: width, now: time.Now}
}

// showsProgress reports whether somebody sees how far the work is at once.
func (u *ui) showsProgress() bool { return u.json || u.drawing && !u.quiet }

// answer prints an answer that was asked for: the object with --json, else
// the text, which ends its lines itself.
func (u *ui) answer(object any, text string) error {
	if !u.json {
		_, err := u.out.WriteString(text)
		return err
	}
	enc := json.NewEncoder(u.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(object)
}

// summary prints what a verb did, which nobody needs who asked for quiet.
func (u *ui) summary(object any, text string) error {
	if u.quiet && !u.json {
		return nil
	}
	return u.answer(object, text)
}

// mute has nothing printed on standard error any more.
func (u *ui) mute() { u.err, u.drawing = io.Discard, false }

// note says something in passing, to people who want to know.
func (u *ui) note(format string, args ...any) {
	if !u.quiet && !u.json {
		u.line("holm: " + fmt.Sprintf(format, args...))
	}
}

// warn says what a person must know even if nothing went wrong in what was
// asked for.
func (u *ui) warn(format string, args ...any) {
	u.line("holm: " + fmt.Sprintf(format, args...))
}

// detail is a note for those who asked for more.
func (u *ui) detail(format string, args ...any) {
	if u.verbose {
		u.line("holm: " + fmt.Sprintf(format, args...))
	}
}

// event prints, with --json, the object of something that happened while the
// work goes on. Who reads along wants it now; that it cannot be written is told
// at the end.
func (u *ui) event(object any) {
	if !u.json {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer(object, "")
	u.out.Flush()
}

// A problemAnswer is the JSON of a problem that did not end the work.
type problemAnswer struct {
	Type string `json:"type"`
	jsonName
	Problem    string `json:"problem"`
	Repairable bool   `json:"repairable,omitempty"`
}

// problem reports what could not be done while the rest was. path may be "".
func (u *ui) problem(path string, err error) {
	text := problemText(path, err)
	if path != "" {
		u.line("holm: problem: " + quoteName(path) + ": " + text)
	} else {
		u.line("holm: problem: " + text)
	}
	u.event(problemAnswer{"problem", nameForJSON(path), text, errors.Is(err, engine.ErrRepairable)})
}

// A skippedAnswer is the JSON of what no backup can have.
type skippedAnswer struct {
	Type string `json:"type"`
	jsonName
	Why string `json:"why"`
}

// skipped says what was left out because no backup can have it: nothing went
// wrong.
func (u *ui) skipped(path, why string) {
	u.note("skipped: %s: %s", quoteName(path), why)
	u.event(skippedAnswer{"skipped", nameForJSON(path), why})
}

// A warningAnswer is the JSON of something that is not as it should be, with
// which nothing is lost.
type warningAnswer struct {
	Type string `json:"type"`
	jsonName
	Warning string `json:"warning"`
}

// warning tells of something with which nothing is lost.
func (u *ui) warning(path string, err error) {
	text := problemText(path, err)
	u.note("warning: %s: %s", quoteName(path), text)
	u.event(warningAnswer{"warning", nameForJSON(path), text})
}

// problemText is the text of a problem without the path, which is told anyhow.
func problemText(path string, err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == path {
		return pe.Err.Error()
	}
	return strings.TrimPrefix(errorText(err), path+": ")
}

// fail prints an error with the next step and returns the exit code.
func (u *ui) fail(err error) int {
	if errors.Is(err, errPartly) {
		return exitPartly
	}
	code, hint := verdict(err)
	text := errorText(err)
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	u.line("holm: error: " + text)
	if hint != "" {
		u.line("holm: hint: " + hint)
	}
	return code
}

// errorText is the text of an error on one line, whatever is in it.
func errorText(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r < ' ' }), "; ")
}

// finish ends the printing: nothing is drawn any more and all answers are
// out. It returns the exit code of the program.
func (u *ui) finish(err error) int {
	u.endProgress()
	if ferr := u.out.Flush(); ferr != nil && err == nil {
		err = fmt.Errorf("writing the answer: %w", ferr)
	}
	if err != nil {
		return u.fail(err)
	}
	return exitDone
}

// line prints a line to standard error, above the bar if one is drawn.
func (u *ui) line(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bar != nil {
		u.bar.print(text)
		return
	}
	fmt.Fprintln(u.err, text)
}

// progress draws how far the work has come, or prints it now and then where
// nothing can be drawn; with --json it is an object each second.
func (u *ui) progress(p progress) {
	if u.quiet && !u.json {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	u.meter.sample(now, &p)
	interval := plainInterval
	switch {
	case u.json:
		interval = objectInterval
	case u.drawing:
		interval = frameInterval
	}
	if u.told.IsZero() && interval != frameInterval {
		u.told = now
	}
	if now.Sub(u.told) < interval {
		return
	}
	u.told = now
	switch {
	case u.json:
		// Who reads along wants it now. That it cannot be written is told at
		// the end.
		u.answer(u.meter.object(now, &p), "")
		u.out.Flush()
	case u.drawing:
		if u.bar == nil {
			u.bar = &bar{w: u.err, width: u.width}
		}
		u.bar.draw(u.meter.barText(&p))
	default:
		fmt.Fprintf(u.err, "holm: %s: %s\n", p.doing, u.meter.plainText(&p))
	}
}

// endProgress takes the bar away.
func (u *ui) endProgress() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bar != nil {
		u.bar.clear()
	}
	u.bar, u.meter, u.told = nil, meter{}, time.Time{}
}

// askPassphrase asks on the terminal, without echo; for a new passphrase
// twice.
func (u *ui) askPassphrase(ctx context.Context, isNew bool) ([]byte, error) {
	if !term.IsTerminal(int(u.in.Fd())) {
		return nil, &usageError{"no passphrase: standard input is no terminal to ask at",
			"give it with --passphrase-file or --passphrase-fd"}
	}
	if !isNew {
		return u.ask(ctx, "Passphrase of the vault: ")
	}
	pass, err := u.ask(ctx, "New passphrase: ")
	if err != nil {
		return nil, err
	}
	again, err := u.ask(ctx, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(pass, again) {
		return nil, &usageError{"the two passphrases differ", "start again and type the same one twice"}
	}
	return pass, nil
}

// ask reads one line without echo. A signal ends the waiting and puts the
// terminal right.
func (u *ui) ask(ctx context.Context, prompt string) ([]byte, error) {
	fd := int(u.in.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("asking for the passphrase: %w", err)
	}
	fmt.Fprint(u.err, prompt)
	pass, err := interruptible(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		term.Restore(fd, state)
	}
	fmt.Fprintln(u.err)
	if err == nil {
		err = checkPassphrase(pass)
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the passphrase: %w", err)
	}
	return pass, nil
}
