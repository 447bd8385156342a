package backup

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// alone is a scanner of an empty directory that nothing is known of. It has no
// writer: whatever it puts panics.
func alone() *scanner {
	return &scanner{source: catalog.Source{Path: "/home"}, tell: func(string) {}, report: &Report{}, frames: []*frame{{end: true}, {path: "", end: true}}}
}

func TestEntryThatTheFormatHasNoRoomForIsUnreadableAndTheScanGoesOn(t *testing.T) {
	long := strings.Repeat("n", vault.MaxName+1)
	s := alone()
	for _, err := range []error{
		s.Visit(nil, "link", source.Entry{Name: "link", Kind: source.Symlink, Target: strings.Repeat("t", vault.MaxText+1)}),
		s.Visit(nil, long, source.Entry{Name: long, Kind: source.File}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Enter(nil, long, source.Entry{Name: long, Kind: source.Directory}); !errors.Is(err, source.SkipDir) {
		t.Errorf("%v, want that the directory is left out", err)
	}
	if s.report.Unreadable != 3 || len(s.report.Problems) != 3 {
		t.Fatalf("report %+v", s.report)
	}
	for _, p := range s.report.Problems {
		if !errors.Is(p.Err, ErrTooLarge) {
			t.Errorf("%.20s: %v, want ErrTooLarge", p.Path, p.Err)
		}
	}
}

func TestAttributesBeyondASegmentAreLeftOutAndTold(t *testing.T) {
	var list []source.Attribute
	for i := range 40 {
		list = append(list, source.Attribute{Name: "user." + string(rune('a'+i)), Value: strings.Repeat("v", vault.MaxText)})
	}
	var d details
	var n vault.Node
	problems := d.describe(seal.ChunkKey{}, &n, source.Entry{Kind: source.Directory}, list)
	size := 0
	for _, a := range n.Meta.Attributes {
		size += len(a.Name) + len(a.Value)
	}
	if size > source.MaxAttributeBytes || len(n.Meta.Attributes) != 15 || len(problems) != 25 || !errors.Is(problems[0], ErrTooLarge) {
		t.Errorf("%d attributes of %d bytes, problems %v", len(n.Meta.Attributes), size, problems)
	}
}

func TestWhatVanishedSinceItWasListedIsDeletedWhateverItWas(t *testing.T) {
	dir, err := source.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	s := alone()
	s.w = &Writer{Now: time.Now}
	for _, name := range []string{"directory", "fifo", "file", "link"} {
		s.top().known = append(s.top().known, catalog.Entry{Name: name})
	}
	gone := &fs.PathError{Op: "open", Path: "directory", Err: fs.ErrNotExist}
	for _, err := range []error{
		s.Problem("directory", gone),
		s.Visit(dir, "fifo", source.Entry{Name: "fifo", Kind: source.Special, Special: source.FIFO}),
		s.Visit(dir, "file", source.Entry{Name: "file", Kind: source.File}),
		s.Visit(dir, "link", source.Entry{Name: "link", Kind: source.Symlink}),
		s.Problem("new directory", gone),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.report.Unreadable != 0 || len(s.report.Problems) > 0 || s.report.Others != 0 {
		t.Errorf("report %+v, want no problem", s.report)
	}
	if want := []string{"directory", "fifo", "file", "link"}; !slices.Equal(s.top().missing, want) {
		t.Errorf("to be deleted %q, want %q", s.top().missing, want)
	}
}

func TestSourceThatVanishedIsAProblemAndKeepsItsState(t *testing.T) {
	s := alone()
	s.frames = s.frames[:1]
	if err := s.Problem("", fs.ErrNotExist); err != nil || s.report.Unreadable != 1 || len(s.top().missing) > 0 {
		t.Errorf("%v, report %+v, to be deleted %q", err, s.report, s.top().missing)
	}
}
