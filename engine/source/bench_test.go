package source

import (
	"context"
	"os"
	"testing"
)

// counting counts what a walk shows.
type counting struct{ entries, bytes int64 }

func (c *counting) Enter(*Dir, string, Entry) error       { c.entries++; return nil }
func (c *counting) Visit(_ *Dir, _ string, e Entry) error { c.entries++; c.bytes += e.Size; return nil }
func (c *counting) Leave(string, Entry, bool) error       { return nil }
func (c *counting) Problem(string, error) error           { return nil }

// BenchmarkWalk walks the directory that SOURCE_WALK_DIR names.
func BenchmarkWalk(b *testing.B) {
	dir := os.Getenv("SOURCE_WALK_DIR")
	if dir == "" {
		b.Skip("SOURCE_WALK_DIR names no directory")
	}
	b.ReportAllocs()
	for b.Loop() {
		var c counting
		if err := Walk(context.Background(), dir, "", &c); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(c.entries), "entries")
	}
}
