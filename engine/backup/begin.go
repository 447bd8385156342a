package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// Begin starts the first transaction: what an earlier run put for it and
// could not commit is taken over, and what a killed one left half done is
// cleared away. No other writer of this device may be at work.
func (w *Writer) Begin(ctx context.Context) error {
	w.chunkKey = w.Vault.Keys.ChunkKey()
	w.reset()
	w.sealers, w.uploads = w.Vault.StartSealers(vault.MaxSealers()), newUploads(w.Vault, w.Now)
	if err := cleanSpool(w.Spool); err != nil {
		return err
	}
	if err := w.tidy(ctx); err != nil {
		return fmt.Errorf("clearing away what a killed run left: %w", err)
	}
	return w.adoptPacks(ctx)
}

// tidy has the store clear away what Puts of a killed run left: one works
// where the next segment and its packs go, or where the last ones went.
func (w *Writer) tidy(ctx context.Context) error {
	head := w.Journal.Head()
	tidied := map[string]bool{}
	for _, seq := range []uint64{head.Seq, head.Seq + 1} {
		for _, name := range []string{vault.SegmentName(head.Device, seq), vault.PackID{Device: head.Device, Seq: seq}.Name()} {
			if tidied[path.Dir(name)] {
				continue
			}
			tidied[path.Dir(name)] = true
			if err := storage.Tidy(ctx, w.Vault.Store, name, w.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanSpool makes the spool directory and removes what a crash left in it.
func cleanSpool(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the spool: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cleaning the spool: %w", err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("cleaning the spool: %w", err)
		}
	}
	return nil
}

// adoptPacks names the packs of the next seq that are whole in the store. A
// pack whose trailer does not open is left for dead.
func (w *Writer) adoptPacks(ctx context.Context) error {
	for o, err := range w.Vault.Store.List(ctx, vault.PacksOfSeq(w.Device.Card.Device, w.seq())) {
		if err != nil {
			return fmt.Errorf("listing packs to adopt: %w", err)
		}
		id, err := vault.ParsePackName(o.Name)
		if err != nil {
			continue
		}
		add, err := w.Vault.ReadTrailer(ctx, id, o.SizeBytes)
		if errors.Is(err, vault.ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		for _, c := range add.Chunks {
			w.pending[c.ID] = struct{}{}
		}
		w.packed += add.SizeBytes
		w.add(add)
		if w.full() {
			break // the rest is dead once this seq is committed
		}
	}
	return nil
}
