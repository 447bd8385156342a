package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/vault"
)

// aChunk is a chunk in the middle of the first pack: its id and where it is in
// the pack, which the vault's key decides.
func (s *scene) aChunk() (id []byte, offset uint64) {
	s.with(s.data, func(e *Engine) {
		g, err := e.vault.ReadSegment(s.t.Context(), e.device.Card, 1)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = g.Each(func(_ int, op vault.Operation) error {
			if add, ok := op.(*vault.PackAdd); ok {
				id = bytes.Clone(add.Chunks[7].ID[:])
				for _, c := range add.Chunks[:7] {
					offset += uint64(c.SizeBytes)
				}
			}
			return nil
		})
	})
	return id, offset
}

// A byte of the catalog that has changed is neither shown nor taken for damage
// of the vault.
func TestChangedByteOfTheCatalogIsMendedFromTheVault(t *testing.T) {
	s := newScene(t)
	s.ahead = 1 << 42
	names := []string{}
	for i := range 20 {
		names = append(names, fmt.Sprintf("prodigious%02d", i))
		s.write("dir/"+names[i], noise(uint64(i), 300))
	}
	want := image(t, s.src)
	s.backup(s.data)
	// As the catalog has it: its id first in the leaf, its value later.
	id, offset := s.aChunk()
	dir := filepath.Join(s.data, "catalog")
	path := filepath.Join(dir, "overlay.db")
	address := binary.AppendUvarint(nil, offset)
	for what, part := range map[string]struct {
		pattern []byte
		skip    int
	}{"a name": {[]byte("prodigious17"), 3}, "a key": {id, 5}, "an address": {append(bytes.Clone(id), append([]byte{1}, address...)...), len(id) + 1}} {
		for verb, do := range map[string]func(){
			"ls": func() {
				s.with(s.data, func(e *Engine) {
					var got []string
					err := e.List(t.Context(), ListOptions{Path: "src/dir"}, func(entry Entry) error {
						got = append(got, entry.Path[strings.LastIndexByte(entry.Path, '/')+1:])
						return nil
					})
					if err != nil || !slices.Equal(got, names) {
						t.Errorf("%s, ls: %q, %v", what, got, err)
					}
				})
			},
			"restore": func() { sameTrees(t, want, image(t, s.restore(s.data, ""))) },
			"check":   func() { s.clean(s.data) },
		} {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if flipEach(b, part.pattern, part.skip) == 0 {
				t.Fatalf("%s, %s: not in the catalog", what, verb)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			do()
			if verb != "ls" { // which does not look for chunks
				if _, err := os.Stat(dir + ".damaged"); err != nil {
					t.Errorf("%s, %s: nothing was found: %v", what, verb, err)
				}
			}
			if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(dir+".damaged")); err != nil {
				t.Fatal(err)
			}
			s.with(s.data, func(*Engine) {})
		}
	}
}

// flipEach changes one bit in every place where a pattern stands, that many
// bytes behind its beginning, and tells how many there are.
func flipEach(b, pattern []byte, skip int) (hits int) {
	for at := 0; ; hits++ {
		n := bytes.Index(b[at:], pattern)
		if n < 0 {
			return hits
		}
		b[at+n+skip] ^= 1
		at += n + len(pattern)
	}
}
