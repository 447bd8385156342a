package backup

import (
	"context"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// chunkList makes the chunk list of a file, of ids that come one by one. What
// is too long for a Put becomes chunks of ids, and a list of those, and so on;
// each is stored as soon as it is full, so that of each level one is held.
type chunkList struct {
	store func(context.Context, []byte) (seal.Hash, error)
	// full is how many ids a list chunk has, and inline how many a Put can
	// have. full is the larger one: then a chunk that is full is needed.
	full, inline int
	levels       []listLevel
}

// listLevel is one level of a list: level 0 are chunks of the file.
type listLevel struct {
	piece  []byte // ids that are in no list chunk yet
	stored bool   // others are in one
}

func newChunkList(store func(context.Context, []byte) (seal.Hash, error)) chunkList {
	return chunkList{store: store, full: vault.ListPiece, inline: vault.MaxInlineChunks}
}

// reset begins the list of another file.
func (l *chunkList) reset() {
	for i := range l.levels {
		l.levels[i] = listLevel{piece: l.levels[i].piece[:0]}
	}
}

// add adds the next chunk of the file.
func (l *chunkList) add(ctx context.Context, id seal.Hash) error { return l.addAt(ctx, 0, id) }

func (l *chunkList) addAt(ctx context.Context, level int, id seal.Hash) error {
	if level == len(l.levels) {
		l.levels = append(l.levels, listLevel{})
	}
	v := &l.levels[level]
	if v.piece = append(v.piece, id[:]...); len(v.piece) < l.full*len(id) {
		return nil
	}
	return l.flush(ctx, level)
}

// flush stores the list chunk of a level.
func (l *chunkList) flush(ctx context.Context, level int) error {
	v := &l.levels[level]
	id, err := l.store(ctx, v.piece)
	if err != nil {
		return err
	}
	v.piece, v.stored = v.piece[:0], true
	return l.addAt(ctx, level+1, id)
}

// end returns the list: the lowest level that a Put can have.
func (l *chunkList) end(ctx context.Context) (list vault.Chunks, err error) {
	for level := 0; level < len(l.levels); level++ {
		v := &l.levels[level]
		if !v.stored && len(v.piece) <= l.inline*len(seal.Hash{}) {
			list.Level = level
			for piece := v.piece; len(piece) > 0; piece = piece[len(seal.Hash{}):] {
				list.IDs = append(list.IDs, seal.Hash(piece[:len(seal.Hash{})]))
			}
			return list, nil
		}
		if len(v.piece) > 0 {
			if err := l.flush(ctx, level); err != nil {
				return list, err
			}
		}
	}
	return list, nil
}
