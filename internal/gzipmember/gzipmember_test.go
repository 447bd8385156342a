package gzipmember_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"holm.example/internal/gzipmember"
)

func TestAMemberHoldsItsContentAndNothingElse(t *testing.T) {
	want := bytes.Repeat([]byte("Package: holm\n"), 1000)
	packed := gzipmember.Compress(want)
	if again := gzipmember.Compress(want); !bytes.Equal(packed, again) {
		t.Error("the same data gives other bytes")
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if !r.ModTime.IsZero() || r.Name != "" || r.Comment != "" || len(r.Extra) > 0 {
		t.Errorf("the header says time %v, name %q, comment %q, extra %q", r.ModTime, r.Name, r.Comment, r.Extra)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes come back, %v", len(got), err)
	}
}
