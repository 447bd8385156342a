package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"holm.example/engine/vault"
)

func TestTemporaryFilesOfAKilledRunAreGoneAfterTheNext(t *testing.T) {
	s := newScene(t)
	s.write("file", noise(1, 1000))
	s.backup(s.data)
	var names []string
	s.with(s.data, func(e *Engine) {
		head := e.state.Head()
		pack := vault.PackID{Device: head.Device, Seq: head.Seq + 1}.Name()
		names = []string{filepath.Join(s.vault, filepath.Dir(pack)), filepath.Join(s.vault, filepath.Dir(vault.SegmentName(head.Device, head.Seq+1))), s.data}
	})
	for i, dir := range names {
		names[i] = filepath.Join(dir, ".holm-0123456789abcdef.tmp")
		if err := os.WriteFile(names[i], noise(2, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(names[i], time.Time{}, time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	s.backup(s.data)
	for _, name := range names {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	s.clean(s.data)
}
