package engine

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// putHeavy commits files of one content with attributes of the largest size.
func (s *scene) putHeavy(files int) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) {
		source, dir, list := s.sourceOf(e)
		if len(list) != 1 {
			s.t.Fatalf("%d entries", len(list))
		}
		node := list[0].Node
		node.Meta.Attributes = []vault.Attribute{{Name: "holm.test", Value: strings.Repeat("x", vault.MaxText)}}
		for i := 0; i < files; {
			var operations []vault.Operation
			for range 100 {
				operations = append(operations, &vault.Put{EntryName: vault.EntryName{Parent: dir, Name: fmt.Sprint("heavy", i)}, Node: node})
				i++
			}
			if i == files {
				operations = append(operations, &vault.Mark{ID: seal.ID{9}, Time: vault.TimeOf(e.now()), Sources: []seal.ID{source}})
			}
			s.commit(e, operations...)
		}
	})
}

func TestRestoreOfFilesWithLargeAttributesStaysSmall(t *testing.T) {
	const files, most = 1500, 48 << 20 // all of their attributes are 94 MiB
	s := newScene(t)
	s.write("light", []byte("content"))
	s.backup(s.data)
	s.putHeavy(files)
	var clock int64
	s.at = func() time.Time { clock++; return time.Now().Add(time.Duration(clock) * time.Second) }
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak, calls := heap(), uint64(0), 0
	r, err := s.restoreTo(RestoreOptions{To: filepath.Join(s.dir, "to"), Progress: func(Progress) {
		if calls++; calls%100 == 0 {
			peak = max(peak, heap())
		}
	}})
	if err != nil || r.ProblemCount > 0 || r.Files != files+1 {
		t.Fatalf("%d files, problems %v, %v", r.Files, r.Problems, err)
	}
	t.Logf("%d KiB before, %d KiB at most, in %d calls", before>>10, peak>>10, calls)
	if calls < files || peak > before+most {
		t.Errorf("the heap grew by %d bytes, asked in %d calls", peak-before, calls)
	}
}
