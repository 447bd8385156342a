package engine

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// totalsName is the file in the data directory with what the last backups have
// seen: nothing but how long a bar is depends on it.
const totalsName = "totals.json"

// maxTotals is how many sets of sources are remembered, and maxTotalsFile how
// many bytes of file are read.
const (
	maxTotals     = 16
	maxTotalsFile = 1 << 20
)

// lastTotals are what the last backup of some sources has seen.
type lastTotals struct {
	Paths []string `json:"paths"`
	Files int64    `json:"files"`
	Bytes int64    `json:"bytes"`
}

func (e *Engine) allTotals() (list []lastTotals) {
	path := filepath.Join(e.dataDir, totalsName)
	if info, err := os.Stat(path); err != nil || info.Size() > maxTotalsFile {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &list) != nil {
		return nil
	}
	return list
}

// lastTotals are those of the last backup of these sources, or nothing.
func (e *Engine) lastTotals(paths []string) lastTotals {
	for _, t := range e.allTotals() {
		if slices.Equal(t.Paths, paths) && t.Files >= 0 && t.Bytes >= 0 {
			return t
		}
	}
	return lastTotals{}
}

// keepTotals remembers what a backup has seen. It is not synced, and nobody
// is told when it fails: the next backup does as well without.
func (e *Engine) keepTotals(t lastTotals) {
	list := slices.DeleteFunc(e.allTotals(), func(old lastTotals) bool { return slices.Equal(old.Paths, t.Paths) })
	list = slices.Insert(list, 0, t)
	b, err := json.Marshal(list[:min(len(list), maxTotals)])
	if err != nil {
		return
	}
	_ = os.WriteFile(filepath.Join(e.dataDir, totalsName), b, 0o600)
}

// count counts the files of some entries of a mark and what is in them. The
// names of a file with several count once each, so that the sum is about what
// will be written then.
func (e *Engine) count(ctx context.Context, m *catalog.Mark, entries []catalog.Entry) (p Progress, err error) {
	var each func(catalog.Entry) error
	each = func(c catalog.Entry) error {
		switch c.Kind {
		case vault.KindFile:
			p.TotalFiles++
			p.TotalBytes += int64(c.SizeBytes)
			p.About = p.About || c.Meta.LinkGroup != seal.ID{}
		case vault.KindDirectory:
			if err := ctx.Err(); err != nil {
				return err
			}
			return e.entries(m, c.Directory, each)
		}
		return nil
	}
	for _, c := range entries {
		if err := each(c); err != nil {
			return p, err
		}
	}
	return p, nil
}

// countPacks counts the packs, and with data the bytes of their frames.
func (e *Engine) countPacks(data bool) (p Progress, err error) {
	err = e.catalog.Packs(func(k *vault.Pack) error {
		p.TotalFiles++
		for _, size := range k.Frames {
			if data {
				p.TotalBytes += int64(size)
			}
		}
		return nil
	})
	return p, err
}
