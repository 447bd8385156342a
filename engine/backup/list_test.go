package backup

import (
	"context"
	"crypto/sha256"
	"maps"
	"reflect"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/testseed"
)

// shelf stores chunks by a hash.
type shelf map[seal.Hash]string

func (s shelf) store(_ context.Context, content []byte) (seal.Hash, error) {
	id := seal.Hash(sha256.Sum256(content))
	s[id] = string(content)
	return id, nil
}

// listOfAll makes the list of ids that are all there: section 6 of
// docs/vault-format.md, word by word.
func listOfAll(ctx context.Context, s shelf, ids []seal.Hash, full, inline int) vault.Chunks {
	level := 0
	for len(ids) > inline {
		level++
		var upper []seal.Hash
		for start := 0; start < len(ids); start += full {
			var piece []byte
			for _, id := range ids[start:min(len(ids), start+full)] {
				piece = append(piece, id[:]...)
			}
			id, _ := s.store(ctx, piece)
			upper = append(upper, id)
		}
		ids = upper
	}
	return vault.Chunks{Level: level, IDs: ids}
}

func TestListOfIDsThatComeOneByOneIsThatOfAllAndHoldsOneChunkALevel(t *testing.T) {
	r := testseed.Rand(t)
	ctx := t.Context()
	for _, size := range []struct{ full, inline, most int }{{vault.ListPiece, vault.MaxInlineChunks, 3*vault.ListPiece + 5}, {7, 3, 2000}, {4, 3, 400}} {
		var got shelf
		l := chunkList{full: size.full, inline: size.inline, store: func(ctx context.Context, b []byte) (seal.Hash, error) { return got.store(ctx, b) }}
		var sizes []int
		for n := 0; n <= 70; n++ {
			sizes = append(sizes, r.IntN(size.most))
			if size.most < vault.ListPiece {
				sizes = append(sizes, n)
			}
		}
		sizes = append(sizes, 0, 1, size.inline, size.inline+1, size.full-1, size.full, size.full+1, 2*size.full, size.most)
		ids := make([]seal.Hash, size.most)
		for i := range ids {
			ids[i][0], ids[i][1], ids[i][2] = byte(i), byte(i>>8), byte(r.IntN(2))
		}
		for _, n := range sizes {
			want := shelf{}
			wanted := listOfAll(ctx, want, ids[:n:n], size.full, size.inline)
			got = shelf{}
			l.reset()
			for _, id := range ids[:n] {
				if err := l.add(ctx, id); err != nil {
					t.Fatal(err)
				}
				for _, v := range l.levels {
					if len(v.piece) >= size.full*len(id) {
						t.Fatalf("%d bytes of ids are held", len(v.piece))
					}
				}
			}
			list, err := l.end(ctx)
			if err != nil || list.Level != wanted.Level || len(list.IDs) != len(wanted.IDs) || n > 0 && !reflect.DeepEqual(list.IDs, wanted.IDs) || !maps.Equal(got, want) {
				t.Fatalf("%d ids: level %d of %d, want level %d of %d, %v", n, list.Level, len(list.IDs), wanted.Level, len(wanted.IDs), err)
			}
		}
	}
}
