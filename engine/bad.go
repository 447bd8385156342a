package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/upkeep"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// The file of bad packs: magic, for each pack its device, seq (8 bytes),
// random and depth (1), with the highest bit set if parity makes it good, and
// the hash of all that (32).
const (
	badMagic = "holmbadp\x01"
	badSize  = 16 + 8 + 16 + 1

	badRepairable = 0x80
)

func badPath(dir string) string { return filepath.Join(dir, "bad-packs") }

func formatBad(list []upkeep.BadPack) []byte {
	b := []byte(badMagic)
	for _, p := range list {
		b = append(b, p.ID.Device[:]...)
		b = binary.LittleEndian.AppendUint64(b, p.ID.Seq)
		b = append(b, p.ID.Random[:]...)
		depth := byte(p.Depth)
		if p.Repairable {
			depth |= badRepairable
		}
		b = append(b, depth)
	}
	sum := seal.Sum(b)
	return append(b, sum[:]...)
}

func parseBad(b []byte) (list []upkeep.BadPack, err error) {
	n := len(b) - len(badMagic) - len(seal.Hash{})
	if n < 0 || n%badSize != 0 || n/badSize > upkeep.MaxBad || !bytes.HasPrefix(b, []byte(badMagic)) {
		return nil, ErrState
	}
	b, sum := b[:len(badMagic)+n], b[len(badMagic)+n:]
	if seal.Sum(b) != seal.Hash(sum) {
		return nil, ErrState
	}
	for b = b[len(badMagic):]; len(b) > 0; b = b[badSize:] {
		id := vault.PackID{Device: seal.ID(b[:16]), Seq: binary.LittleEndian.Uint64(b[16:]), Random: seal.ID(b[24:40])}
		depth, repairable := upkeep.Depth(b[40]&^badRepairable), b[40]&badRepairable != 0
		if depth < upkeep.Listed || depth > upkeep.Contents {
			return nil, ErrState
		}
		list = append(list, upkeep.BadPack{ID: id, Depth: depth, Repairable: repairable})
	}
	return list, nil
}

// loadBad reads which packs are bad. Where that cannot be read, the next check
// finds them again.
func loadBad(dir string, note func(string, ...any)) []upkeep.BadPack {
	b, err := os.ReadFile(badPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var list []upkeep.BadPack
	if err == nil {
		list, err = parseBad(b)
	}
	if err != nil {
		note("which packs are damaged cannot be read (%v); the next check finds out again", err)
		_ = os.Remove(badPath(dir)) // if it stays, it is told again
	}
	return list
}

// setBad makes durable which packs are bad, and has the catalog avoid them.
func (e *Engine) setBad(list []upkeep.BadPack) error {
	if !slices.Equal(list, e.bad) {
		var err error
		if len(list) > 0 {
			err = durable.WriteFile(badPath(e.dataDir), formatBad(list), 0o600)
		} else {
			err = durable.Remove(badPath(e.dataDir))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("writing down which packs are damaged: %w", err)
		}
		e.bad = list
	}
	return e.avoid()
}

// avoid has the catalog avoid the packs that are bad.
func (e *Engine) avoid() error { return e.avoidAll(true) }

// avoidAll is avoid, with or without those that parity makes good.
func (e *Engine) avoidAll(repairable bool) error { return e.avoidIn(e.catalog, repairable) }

// avoidIn is avoidAll of another catalog.
func (e *Engine) avoidIn(c *catalog.Catalog, repairable bool) error {
	if len(e.bad) == 0 && !c.Avoids() {
		return nil
	}
	ids := make([]vault.PackID, 0, len(e.bad))
	for _, b := range e.bad {
		if repairable || !b.Repairable {
			ids = append(ids, b.ID)
		}
	}
	return c.Avoid(ids)
}

// avoiding does something with a catalog that avoids the packs that are bad,
// with or without those that parity makes good.
func (e *Engine) avoiding(repairable bool, do func() error) error {
	if err := e.avoidAll(repairable); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, e.avoid())
}
