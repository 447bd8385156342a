package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"holm.example/engine/source"
)

func TestPossibleNameIsOneThatWindowsTakes(t *testing.T) {
	for name, want := range map[string]string{
		"plain.txt": "plain.txt", "d/a:b": "d/a_b", "d/<>\"|?*\\": "d/_______", "bell\x07": "bell_",
		"con": "_con_", "CON.txt": "_CON.txt_", "nul .c": "_nul .c_", "com1": "_com1_", "LPT³.x": "_LPT³.x_", "com10": "com10", "console": "console",
		"dot.": "_dot_", "blank ": "_blank_", " ...": "__", "caf\xe9": "caf\uFFFD",
	} {
		if got := possible(name); got != want {
			t.Errorf("possible(%q) = %q, want %q", name, got, want)
		}
		if again := possible(possible(name)); again != want {
			t.Errorf("possible(possible(%q)) = %q, want %q", name, again, want)
		}
	}
}

func TestNumberedNameIsNoLongerThanNamesAre(t *testing.T) {
	for _, name := range []string{strings.Repeat("n", 255), strings.Repeat("\u00e9", 127), "d/" + strings.Repeat("\U0001F333", 63)} {
		got := numbered(name, 4711)
		last := got[strings.LastIndexByte(got, '/')+1:]
		if len(last) > 255 || !utf8.ValidString(got) || !strings.HasSuffix(got, "~4711") || len(last) < 250 {
			t.Errorf("numbered(%.10q…) = %q", name, got)
		}
	}
}

// picky is a target that refuses names, each in its own way, and tells case
// apart only if told to.
func picky(limit int, refused string) (do func(string) error, made map[string]bool) {
	made = map[string]bool{}
	return func(path string) error {
		switch {
		case len(path) > limit:
			return errors.New("name too long")
		case strings.ContainsAny(path, refused):
			return fs.ErrNotExist
		case made[strings.ToLower(path)]:
			return fmt.Errorf("making %s: %w", path, fs.ErrExist)
		}
		made[strings.ToLower(path)] = true
		return nil
	}, made
}

func TestWhateverATargetRefusesOfNamesNoEntryIsLost(t *testing.T) {
	do, made := picky(143, ":?")
	r := &run{report: &Report{}}
	long := strings.Repeat("x", 200)
	names := []string{"a", "A", "a:b", "a?b", "a_b", long, long + "y", strings.ToUpper(long), "caf\u00e9"}
	for _, name := range names {
		if at, err := r.place(name, do); err != nil || !made[strings.ToLower(at)] {
			t.Errorf("%.10q is at %q, %v", name, at, err)
		}
	}
	if len(made) != len(names) {
		t.Errorf("%d names were made of %d", len(made), len(names))
	}
	if len(r.report.Problems) != 7 {
		t.Errorf("problems %v, want one for each name that changed", r.report.Problems)
	}
	for _, p := range r.report.Problems {
		if !errors.Is(p.Err, ErrRenamed) {
			t.Errorf("%v, want ErrRenamed", p.Err)
		}
	}
}

func TestErrorOfTheWantedNameIsToldIfNoOtherHelps(t *testing.T) {
	first := errors.New("the disk is on fire")
	r := &run{report: &Report{}}
	if at, err := r.place("a:b", func(path string) error {
		if path == "a:b" {
			return first
		}
		return errors.New("another")
	}); err != first || at != "a:b" {
		t.Errorf("at %q: %v", at, err)
	}
}

func TestOwnersThatCannotBeSetAreToldOnceAndEverythingElseEachTime(t *testing.T) {
	r := &run{report: &Report{}}
	owner := errors.Join(nil, &fs.PathError{Op: "setting the security descriptor", Path: "x", Err: source.ErrOwner})
	for range 1000 {
		r.refused("a", owner)
	}
	r.refused("b", errors.Join(owner, source.ErrTime))
	r.refused("c", source.ErrTime)
	r.refused("d", nil)
	if len(r.report.Problems) != 3 || r.report.Problems[1].Path != "b" || r.strangers != 1000 {
		t.Errorf("problems %v, %d owners", r.report.Problems, r.strangers)
	}
	r = &run{report: &Report{}}
	for range 2 {
		r.refused("a", errors.Join(&fs.PathError{Op: "chmod", Path: "x", Err: source.ErrSetID}))
	}
	if len(r.report.Problems) != 1 || r.strangers != 2 || r.strange != source.ErrSetID {
		t.Errorf("problems %v, %d owners, %v", r.report.Problems, r.strangers, r.strange)
	}
}
