package backup

import (
	"errors"
	"strings"
	"testing"

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
