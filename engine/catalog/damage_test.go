package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/testseed"
)

// everything is what a catalog answers, as text.
func everything(t *testing.T, c *Catalog, d *writer, chunks int) string {
	t.Helper()
	marks, err := c.Marks()
	if err != nil || len(marks) == 0 {
		return fmt.Sprint("marks ", marks, err)
	}
	out := fmt.Sprintf("%+v\n", marks)
	sources, err := c.Sources(d.card.Device)
	out += fmt.Sprintf("%+v, %v\n%s\n", sources, err, strings.Join(tree(t, c, d.card.Device, id(1), marks[0].At), " "))
	out += strings.Join(tree(t, c, d.card.Device, id(1), EndOf(99)), " ")
	for n := range chunks {
		a, known, err := c.Chunk(seal.Hash{byte(n), byte(n >> 8)})
		out += fmt.Sprintln(a, known, err)
	}
	return out
}

// One changed byte anywhere in the files is either found or changes nothing.
func TestChangedByteOfTheCatalogIsFoundOrWithoutEffect(t *testing.T) {
	for where, maxOverlayBytes := range map[string]int{"overlay.db": 1 << 30, "0000000000000002.table": 1} {
		t.Run(where, func(t *testing.T) { changeBytes(t, where, maxOverlayBytes) })
	}
}

func changeBytes(t *testing.T, where string, maxOverlayBytes int) {
	w := newWorld(t)
	d := w.device(1)
	const chunks = 600
	add := &vault.PackAdd{Random: id(3), Epoch: 1, SizeBytes: 1000, Frames: []uint32{40}}
	for n := range chunks {
		add.Chunks = append(add.Chunks, vault.ChunkInfo{ID: seal.Hash{byte(n), byte(n >> 8)}, SizeBytes: 5})
	}
	ops := []vault.Operation{src(1), add, dir(1, "d", 2)}
	for n := range 300 {
		ops = append(ops, file(2, fmt.Sprintf("prodigious%d", n)))
	}
	d.commit(append(ops, &vault.Mark{ID: id(8), Sources: []seal.ID{id(1)}})...)
	d.commit(del(2, "prodigious7"), del(2, "prodigious17"))
	dir := filepath.Join(t.TempDir(), "catalog")
	c, err := Open(dir, w.v.ID, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	c.maxOverlayBytes = maxOverlayBytes
	w.follow(c)
	want := everything(t, c, d, chunks)
	if err := errors.Join(c.Verify(t.Context()), c.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, where)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := testseed.Rand(t)
	places := []int{}
	for range 150 {
		places = append(places, random.IntN(len(whole)))
	}
	for at := range whole { // names, and chunk ids with their addresses
		if strings.HasPrefix(string(whole[at:]), "prodigious17") {
			places = append(places, at+3)
		}
	}
	found := 0
	for _, at := range places {
		bad := slices.Clone(whole)
		bad[at] ^= 1 << random.IntN(8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := open(dir, w.v.ID)
		if err == nil {
			c.maxOverlayBytes = maxOverlayBytes
			err = c.Verify(t.Context())
			if err == nil {
				w.follow(c) // a damaged root page gives the state before
				if got := everything(t, c, d, chunks); got != want {
					t.Errorf("byte %d of %d: the catalog answers\n%s", at, len(whole), got)
				}
			}
			if closeErr := c.Close(); closeErr != nil && !errors.Is(closeErr, ErrDamaged) {
				t.Error(closeErr)
			}
		}
		if err != nil {
			found++
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d: %v", at, err)
			}
		}
	}
	if found == 0 {
		t.Errorf("none of %d changes was found", len(places))
	}
}

func TestVerifyThatIsInterruptedFindsNoDamage(t *testing.T) {
	w := newWorld(t)
	d := w.device(1)
	d.commit(src(1), dir(1, "d", 2), file(2, "acorn"))
	c, err := Open(filepath.Join(t.TempDir(), "catalog"), w.v.ID, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.maxOverlayBytes = 1
	w.follow(c)
	if len(c.tables) == 0 {
		t.Fatal("there is no table")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Verify(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestPackThatIsNotFoldedAsItsSegmentHasItIsFound(t *testing.T) {
	add := func() *vault.PackAdd {
		return &vault.PackAdd{Random: id(3), Epoch: 1, SizeBytes: 1000, Frames: []uint32{40, 40},
			Chunks: []vault.ChunkInfo{{ID: seal.Hash{1}, SizeBytes: vault.FrameSize}, {ID: seal.Hash{2}, SizeBytes: 6}, {ID: seal.Hash{1}, SizeBytes: 5}}}
	}
	address := func(pack, offset, size byte) []byte { return []byte{pack, offset, size} }
	forget := func(c *Catalog, b bucket, key []byte) { c.overlay.Delete(item{key: b.full(key)}) }
	for name, change := range map[string]func(c *Catalog, a *vault.PackAdd) error{
		"": func(*Catalog, *vault.PackAdd) error { return nil },
		"offset": func(c *Catalog, _ *vault.PackAdd) error {
			return c.update(func(t *tx) error { return put(t, bucketChunks, hashOf(2), address(1, 7, 6)) })
		},
		"chunk gone": func(c *Catalog, _ *vault.PackAdd) error { forget(c, bucketChunks, hashOf(2)); return nil },
		"pack gone": func(c *Catalog, _ *vault.PackAdd) error {
			forget(c, bucketPacks, binary.BigEndian.AppendUint64(nil, 1))
			return nil
		},
		"frames": func(_ *Catalog, a *vault.PackAdd) error { a.Frames[1]++; return nil },
		"size":   func(_ *Catalog, a *vault.PackAdd) error { a.SizeBytes++; return nil },
		"chunks": func(_ *Catalog, a *vault.PackAdd) error { a.Chunks[1].SizeBytes++; return nil },
	} {
		w := newWorld(t)
		d := w.device(1)
		d.commit(add())
		w.follow(w.c)
		anew := add()
		if err := change(w.c, anew); err != nil {
			t.Fatal(err)
		}
		packs := w.c.PackCheck()
		if err := errors.Join(packs.Add(d.card.Device, 1, anew), packs.Flush()); errors.Is(err, ErrDamaged) != (name != "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func hashOf(n byte) []byte { h := seal.Hash{n}; return h[:] }
