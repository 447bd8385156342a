package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"holm.example/engine/backup"
	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// maxConflicts is how often a backup starts again because another segment
// stood in its way.
const maxConflicts = 5

// Backup backs up the sources and commits a snapshot of them. With problems
// in the report, everything else is safe; if a source is not there at all the
// snapshot is one of the others. The error is one that ended the run: what
// was committed until then is kept. ErrNothing means that no source is there.
func (e *Engine) Backup(ctx context.Context, o BackupOptions) (BackupReport, error) {
	report := BackupReport{Started: e.now()}
	var paths []string
	for _, p := range o.Paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return report, fmt.Errorf("finding %s: %w", p, err)
		}
		if !slices.Contains(paths, abs) {
			paths = append(paths, abs)
		}
	}
	before, end := until(ctx, o.Stop)
	defer end()
	err := e.committing(ctx, before, func(c *catalog.Catalog, doubtful bool) error {
		return e.run(ctx, before, c, doubtful, paths, o, &report)
	})
	if before.Err() != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = ErrStopped
	}
	report.Finished = e.now()
	return report, err
}

// until is a context that ends with ctx, and when stop is closed. end ends it.
func until(ctx context.Context, stop <-chan struct{}) (before context.Context, end func()) {
	before, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		select {
		case <-stop:
			cancel()
		case <-before.Done():
		}
	})
	return before, func() { cancel(); group.Wait() }
}

// committing does something that commits, with a catalog of what stands, after
// it was found out that it may, and again if another segment stood in its way.
// before is the context of what comes before the scan: there is nothing to be
// committed yet, so it may end at any point.
func (e *Engine) committing(ctx, before context.Context, do func(c *catalog.Catalog, doubtful bool) error) error {
	if err := e.vault.Config.CheckWrite(); err != nil {
		return err
	}
	if err := storage.Probe(before, e.vault.Store, e.now()); err != nil {
		return err
	}
	if err := e.vault.RestoreConfig(before); err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := e.withCatalog(before, func() error {
			if err := e.settle(before); err != nil {
				return err
			}
			return e.onStanding(before, func(c *catalog.Catalog, doubtful bool) error {
				err := do(c, doubtful)
				if err == nil && c != e.catalog {
					err = e.follow(ctx) // what was committed
				}
				return err
			})
		})
		if !errors.Is(err, backup.ErrConflict) || n == maxConflicts {
			return err
		}
	}
}

// writer makes the writer of this device, which is to begin.
func (e *Engine) writer(c *catalog.Catalog) *backup.Writer {
	return &backup.Writer{Vault: e.vault, Catalog: c, Journal: e.state, Device: e.device, Random: e.random,
		Limits: e.limits, Spool: filepath.Join(e.dataDir, "spool"), Now: e.now}
}

// begin has a writer begin.
func (e *Engine) begin(ctx context.Context, w *backup.Writer) error {
	// Nobody but us writes there: whatever is temporary was left by a kill.
	if err := durable.RemoveTemporary(e.dataDir, e.now()); err != nil {
		e.note("clearing away what a killed run left: %v", err)
	}
	if err := w.Begin(ctx); err != nil {
		return err
	}
	return e.adopt(ctx, w)
}

// run is one attempt at a backup, with a catalog of what stands.
func (e *Engine) run(ctx, before context.Context, c *catalog.Catalog, doubtful bool, paths []string, o BackupOptions, report *BackupReport) (err error) {
	w := e.writer(c)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := e.begin(before, w); err != nil {
		return err
	}
	q := backup.Request{Paths: paths, Label: o.Label, Own: e.ownDirectories(), Stop: o.Stop, Skipped: o.Skipped}
	if o.Problem != nil {
		q.Problem = func(p backup.Problem) { o.Problem(Problem(p)) }
	}
	if o.Progress != nil {
		last := e.lastTotals(paths)
		q.Progress = func(path string, r *backup.Report) {
			o.Progress(Progress{Path: path, Files: r.Files, Bytes: r.DoneBytes, ReadBytes: r.ReadBytes,
				TotalFiles: last.Files, TotalBytes: last.Bytes, About: last.Files > 0, Problems: r.ProblemCount})
		}
	}
	q.Doubtful = doubtful
	r, err := backup.Run(ctx, w, q)
	report.Files, report.Directories, report.Others = r.Files, r.Directories, r.Others
	report.Changed, report.Deleted, report.Bytes, report.ReadBytes = r.Changed, r.Deleted, r.Bytes, r.ReadBytes
	report.New, report.Unchanged, report.Unreadable, report.Skipped = r.New, r.Unchanged, r.Unreadable, r.Skipped
	report.NewBytes += w.NewBytes
	report.StoredBytes += w.StoredBytes
	report.Segments += w.Segments
	report.Problems, report.ProblemCount = nil, r.ProblemCount
	for _, p := range r.Problems {
		report.Problems = append(report.Problems, Problem(p))
	}
	if err != nil {
		return err
	}
	if r.Mark == (seal.ID{}) {
		return ErrNothing
	}
	report.Snapshot = hex.EncodeToString(r.Mark[:])
	e.keepTotals(lastTotals{paths, r.Files, r.Bytes})
	return nil
}

// ownDirectories are the directories whose contents would grow by being backed
// up: under the names we know them by, and under their real ones.
func (e *Engine) ownDirectories() (list []string) {
	for _, own := range e.ownPlaces() {
		if abs, err := filepath.Abs(own.path); err == nil {
			list = append(list, abs)
		}
		if real, err := filepath.EvalSymlinks(own.path); err == nil {
			list = append(list, real)
		}
	}
	return list
}

// adopt commits the Adopt of a device that takes over another one's tree.
func (e *Engine) adopt(ctx context.Context, w *backup.Writer) error {
	a := e.state.state.Adopting
	if a == nil {
		return nil
	}
	op := &vault.Adopt{Seq: a.Seq}
	if err := errors.Join(hexTo(op.Device[:], a.DeviceID), hexTo(op.Hash[:], a.Hash)); err != nil {
		return err
	}
	if err := w.Add(ctx, op); err != nil {
		return err
	}
	return w.Commit(ctx)
}

// settle finds out, before anything is committed, what became of what this
// device meant to commit, and whether it is still the only one of its name;
// docs/vault-format.md, section 13. It follows the journals although Open did:
// an engine may have been open for days, and what another device did meanwhile
// may be why a run starts again.
func (e *Engine) settle(ctx context.Context) error {
	if err := e.follow(ctx); err != nil {
		return err
	}
	if err := e.checkOwn(ctx); err != nil {
		return err
	}
	for {
		head := e.state.Head()
		s, err := e.vault.ReadSegment(ctx, e.device.Card, head.Seq+1)
		if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			break
		}
		if err != nil {
			return err
		}
		if s.Previous != head.Hash || !s.Fence && !e.state.intended(s.Hash) {
			return e.becomeNew(ctx)
		}
		if err := e.state.Commit(s.Head); err != nil {
			return err
		}
	}
	return e.checkKnown()
}

// checkOwn returns ErrLost if the vault does not hold our own journal as this
// device committed it. What follows a gap nobody could read, and what was
// deduplicated against the lost part would not be there.
func (e *Engine) checkOwn(ctx context.Context) error {
	own := e.state.Head()
	for _, s := range e.stopped {
		switch {
		case s.Device != own.Device:
		case errors.Is(s, ErrLost):
			return s
		case errors.Is(s, ErrDamaged):
			return fmt.Errorf("our own journal: %w: %w", ErrLost, s)
		}
	}
	if own.Seq == 0 {
		return nil
	}
	if err := e.vault.CheckHead(ctx, own); err != nil {
		if errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("our own journal: %w: %w", ErrLost, err)
		}
		return err
	}
	return nil
}

// becomeNew makes this data directory a new device that adopts what it knows
// to be its own, because somebody else writes under its name: it was cloned,
// or set back to an earlier state.
func (e *Engine) becomeNew(ctx context.Context) error {
	head := e.state.Head()
	old := e.state.state.Adopting
	e.note("another machine writes as device %s: this one was copied or set back; it becomes a new device and takes over what it knows", hex.EncodeToString(head.Device[:]))
	if err := e.state.newDevice(ctx, e.vault, e.state.state.DeviceName, e.now(), e.random); err != nil {
		return err
	}
	if head.Seq > 0 {
		old = &adopting{hex.EncodeToString(head.Device[:]), head.Seq, hex.EncodeToString(head.Hash[:])}
	}
	e.state.state.Adopting = old
	if err := e.state.save(); err != nil {
		return err
	}
	var err error
	if _, err = e.identity(); err != nil {
		return err
	}
	if e.device.Card, err = e.vault.ReadCard(ctx, e.state.Head().Device); err != nil {
		return err
	}
	if err := e.follow(ctx); err != nil {
		return err
	}
	return e.checkKnown()
}
