package catalog

import (
	"bytes"
	"errors"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// store commits a pack of those chunks and returns their ids.
func (d *writer) store(chunks ...[]byte) (ids []seal.Hash) {
	d.w.t.Helper()
	var spool bytes.Buffer
	id := vault.PackID{Device: d.head.Device, Seq: d.head.Seq + 1, Random: id(7)}
	p, err := d.w.v.NewPackWriter(id, &spool)
	if err != nil {
		d.w.t.Fatal(err)
	}
	for _, content := range chunks {
		ids = append(ids, d.w.v.Keys.ChunkKey().ID(content))
		if err := p.Add(ids[len(ids)-1], content); err != nil {
			d.w.t.Fatal(err)
		}
	}
	add, err := p.Finish()
	if err == nil {
		err = d.w.v.Store.Put(d.w.t.Context(), id.Name(), storage.Body(spool.Bytes()))
	}
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.commit(add)
	return ids
}

// listOf is a list chunk of n times those ids.
func listOf(n int, ids ...seal.Hash) (piece []byte) {
	for range n {
		for _, id := range ids {
			piece = append(piece, id[:]...)
		}
	}
	return piece
}

func TestFileWhoseListAndSizeDisagreeIsDamaged(t *testing.T) {
	w := newWorld(t)
	d := w.device(100)
	leaves := d.store([]byte("hello"), []byte("oak"))
	lists := d.store(listOf(1, leaves...), listOf(vault.ListPiece, leaves[0]), listOf(vault.ListPiece+1, leaves[0]), make([]byte, 33))
	upper := d.store(listOf(2, lists[0]))
	w.follow(w.c)
	for name, c := range map[string]struct {
		size  uint64
		level int
		ids   []seal.Hash
		calls int
		want  error
	}{
		"empty":                           {0, 0, nil, 0, nil},
		"empty, with a level":             {0, 3, nil, 0, nil},
		"two chunks":                      {8, 0, leaves, 2, nil},
		"a list where none was needed":    {8, 1, lists[:1], 2, nil},
		"lists of lists":                  {16, 2, upper, 4, nil},
		"a full list":                     {5 * vault.ListPiece, 1, lists[1:2], vault.ListPiece, nil},
		"shorter than its size":           {9, 0, leaves, 2, ErrSize},
		"longer than its size":            {7, 0, leaves, 1, ErrSize},
		"nothing for something":           {1, 0, nil, 0, ErrSize},
		"a list far longer than its size": {10, 1, lists[1:2], 2, ErrSize},
		"a size without end":              {1<<64 - 1, 0, leaves, 2, ErrSize},
		"a chunk that no pack has":        {5, 0, []seal.Hash{{1}}, 0, vault.ErrDamaged},
		"a list that no pack has":         {5, 1, []seal.Hash{{1}}, 0, vault.ErrDamaged},
		"a list that is too long":         {5 * (vault.ListPiece + 1), 1, lists[2:3], 0, vault.ErrDamaged},
		"a list of 33 bytes":              {5, 1, lists[3:4], 0, vault.ErrDamaged},
		"content taken for a list":        {5, 1, leaves, 0, vault.ErrDamaged},
	} {
		calls := 0
		n := &vault.Node{Kind: vault.KindFile, SizeBytes: c.size, Chunks: vault.Chunks{Level: c.level, IDs: c.ids}}
		var end uint64
		err := w.c.EachChunk(t.Context(), w.v, n, func(_ seal.Hash, a Address, offset uint64) error {
			if offset != end {
				t.Errorf("%s: chunk at %d, want %d", name, offset, end)
			}
			end += uint64(a.SizeBytes)
			calls++
			return nil
		})
		if !errors.Is(err, c.want) || c.want != nil && !errors.Is(err, vault.ErrDamaged) || calls != c.calls {
			t.Errorf("%s: %d chunks, %v, want %d, %v", name, calls, err, c.calls, c.want)
		}
	}
}
