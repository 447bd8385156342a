package restore

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/source"
)

func TestDirectoryOfMoreNamesThanAreHeldIsKnownAndRemoved(t *testing.T) {
	to := t.TempDir()
	mine, dir := filepath.Join(to, "mine"), filepath.Join(to, "dir")
	if err := errors.Join(os.WriteFile(mine, nil, 0o600), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(3000) {
		var group seal.ID
		binary.BigEndian.PutUint32(group[:], i)
		if err := os.Link(mine, filepath.Join(dir, hex.EncodeToString(group[:]))); err != nil {
			t.Skip("no hard links here: ", err)
		}
	}
	tree, err := source.OpenTree(to, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	most := 0
	if err := tree.SomeNames("dir", func(names []string) error { most = max(most, len(names)); return nil }); err != nil || most == 0 || most >= 3000 {
		t.Errorf("%d names were read at once, %v", most, err)
	}
	l := links{run: &run{tree: tree}}
	if !l.leftBehind("dir") {
		t.Error("it is not taken for one of a killed run")
	}
	if err := l.remove("dir"); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(to)
	if err != nil || len(left) != 1 || left[0].Name() != "mine" {
		t.Errorf("left are %v, %v", left, err)
	}
}
