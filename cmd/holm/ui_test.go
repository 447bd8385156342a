package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

// fixture is a ui whose standard error is a buffer and no terminal.
func fixture(t *testing.T) (u *ui, stdout func() string, stderr *bytes.Buffer) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	u = newUI(os.Stdin, out, out)
	stderr = &bytes.Buffer{}
	u.err = stderr
	return u, func() string {
		u.out.Flush()
		data, _ := os.ReadFile(out.Name())
		return string(data)
	}, stderr
}

func TestEveryErrorOfTheEngineHasItsExitCodeAndAHint(t *testing.T) {
	want := map[error]int{
		engine.ErrWrongPassphrase: 7,
		engine.ErrOtherVault:      7,
		engine.ErrAlreadyRunning:  5,
		engine.ErrUnreachable:     6,
		engine.ErrDenied:          6,
		engine.ErrLocation:        2,
		engine.ErrNoVault:         6,
		engine.ErrDamaged:         4,
		engine.ErrLost:            4,
		engine.ErrNotJoined:       1,
		engine.ErrJoined:          1,
		engine.ErrVaultExists:     1,
		engine.ErrNewer:           1,
		engine.ErrNotCreateOnly:   1,
		engine.ErrNoSnapshot:      1,
		engine.ErrNoneYet:         1,
		engine.ErrAmbiguous:       1,
		engine.ErrNoPath:          1,
		engine.ErrState:           1,
		engine.ErrOwnPlace:        2,
		engine.ErrNothing:         1,
		engine.ErrNoTarget:        1,
		context.Canceled:          1,
		syscall.ENOSPC:            1,
	}
	for err, code := range want {
		u, _, stderr := fixture(t)
		if got := u.fail(fmt.Errorf("doing something: %w", err)); got != code {
			t.Errorf("%v: exit code %d, expected %d", err, got, code)
		}
		if lines := strings.Split(stderr.String(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "holm: error: ") || !strings.HasPrefix(lines[1], "holm: hint: ") {
			t.Errorf("%v is told as %q", err, stderr)
		}
	}
	denied, _, hint := fixture(t)
	if got := denied.fail(fmt.Errorf("%w: %w: %w", engine.ErrLost, engine.ErrDamaged, engine.ErrDenied)); got != 6 || !strings.Contains(hint.String(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("a store that denies, whatever it is taken for: exit code %d, told as %q", got, hint)
	}
	u, _, stderr := fixture(t)
	if got := u.fail(errors.New("anything else")); got != 1 || stderr.String() != "holm: error: anything else\n" {
		t.Errorf("an error without an occasion: exit code %d, told as %q", got, stderr)
	}
	if len(occasions())+1 != len(want) {
		t.Errorf("%d occasions, %d are tested", len(occasions()), len(want)-1)
	}
}

func TestRestoreThatEndsEarlySaysHowToGetTheRest(t *testing.T) {
	a := newApp()
	for _, args := range [][]string{{"restore", "--to", "my dir"}, {"restore", "--to", "my dir", "--overwrite"}} {
		a.args = args
		for _, err := range []error{context.Canceled, engine.ErrTarget} {
			u, _, stderr := fixture(t)
			got := u.fail(a.endedEarly(fmt.Errorf("doing something: %w", err), engine.RestoreReport{Files: 1234}))
			if got != 1 || !strings.Contains(stderr.String(), "hint: the 1,234 files that are complete stay; ") ||
				!strings.Contains(stderr.String(), "holm restore --to 'my dir' --overwrite") || strings.Count(stderr.String(), "--overwrite") != 1 {
				t.Errorf("exit code %d, told as %q", got, stderr)
			}
		}
	}
	if err := a.endedEarly(engine.ErrNoPath, engine.RestoreReport{}); err != engine.ErrNoPath {
		t.Errorf("another error becomes %v", err)
	}
}

func TestErrorsAreOneLineWhateverIsInThem(t *testing.T) {
	u, _, stderr := fixture(t)
	u.fail(errors.Join(errors.New("first\x1b[31m"), errors.New("second")))
	if got := stderr.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") {
		t.Errorf("told as %q", got)
	}
}

func TestJSONIsOneObjectALine(t *testing.T) {
	u, stdout, _ := fixture(t)
	u.json = true
	u.summary(backupAnswer{Type: "backup", Snapshot: "<&>"}, "text")
	u.problem("/a\nb", errors.New("two\nlines"))
	lines := strings.Split(strings.TrimSuffix(stdout(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("printed %q", lines)
	}
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || object["type"] == nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestObjectOfAProblemIsWrittenAtOnce(t *testing.T) {
	u, _, _ := fixture(t)
	u.json = true
	u.problem("/a", errors.New("broken"))
	if n := u.out.Buffered(); n > 0 {
		t.Errorf("%d bytes wait for the end", n)
	}
}

func TestStandardOutputThatIsFullIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no device that is always full")
	}
	defer full.Close()
	u, _, stderr := fixture(t)
	full2 := newUI(os.Stdin, full, full)
	u.out = full2.out
	u.answer(nil, "an answer\n")
	if code := u.finish(nil); code != exitFailed || !strings.Contains(stderr.String(), "writing the answer") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestEveryHelpTextHasExamplesOfItsOwnVerb(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: the examples are %q", cmd.CommandPath(), cmd.Example)
		}
		if cmd.Short == "" || cmd.Long == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short %q, long %q", cmd.CommandPath(), cmd.Short, cmd.Long)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 81 {
				t.Errorf("%s: %q is too long for a terminal", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(newApp()))
}
