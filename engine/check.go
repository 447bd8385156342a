package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"holm.example/engine/backup"
	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/upkeep"
	"holm.example/engine/vault"
)

// maxNamed is how many damaged files a check names.
const maxNamed = 1000

// Check checks the vault, and repairs it if asked to. Damage is in the
// report's problems, each naming the object or file and wrapping ErrDamaged;
// the error is one that ended the check: the report has what was found, and put
// back, until then. It remembers which packs are bad: no later backup relies on
// them.
func (e *Engine) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	report := CheckReport{Started: e.now()}
	err := e.checkAll(ctx, o, &report)
	report.countRepairable()
	report.Finished = e.now()
	return report, err
}

func (e *Engine) checkAll(ctx context.Context, o CheckOptions, report *CheckReport) (err error) {
	if o.Repair {
		o.ReadData = true
		if report.Repaired, err = e.repairCopies(ctx); err != nil {
			return err
		}
	}
	if err := e.withCatalog(ctx, func() error { return e.look(ctx, o, report) }); err != nil {
		return err
	}
	if o.Repair {
		if err := e.renew(ctx, report); err != nil {
			return err
		}
	}
	losses, err := e.losses(ctx)
	if err != nil {
		return err
	}
	repaired := map[vault.PackID]bool{}
	if o.Repair && slices.ContainsFunc(losses, func(l upkeep.Loss) bool { return l.Lost() || l.Lacking > 0 }) {
		for _, l := range losses {
			repaired[l.ID] = l.Lost() || l.Lacking > 0
		}
		report.LackingChunks = lackingChunks(losses)
		if err := e.refill(ctx, o, report); errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewer) {
			report.Problems = append(report.Problems, Problem{"", fmt.Errorf("repairing: %w", err)})
		} else if err != nil {
			report.sort(losses, nil, true)
			return err
		}
		before := losses
		if losses, err = e.losses(ctx); err != nil {
			report.sort(before, nil, true)
			return err
		}
		report.RepairedChunks = report.LackingChunks - lackingChunks(losses)
	}
	report.LackingChunks = lackingChunks(losses)
	needed := false
	if lost(losses) {
		if needed, err = e.nameDamaged(ctx, report); err != nil {
			report.sort(losses, repaired, true)
			return err
		}
	}
	report.sort(losses, repaired, needed)
	return nil
}

// renew stores cards and segments again that parity makes good.
func (e *Engine) renew(ctx context.Context, report *CheckReport) error {
	var rest []Problem
	for i, p := range report.Problems {
		done := false
		if errors.Is(p.Err, ErrRepairable) {
			var err error
			done, err = e.vault.Renew(ctx, p.Path)
			if errors.Is(err, storage.ErrUnreachable) || ctx.Err() != nil {
				report.Problems = append(rest, report.Problems[i:]...)
				return errors.Join(ctx.Err(), err)
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				p.Err = fmt.Errorf("%w; storing it again: %w", p.Err, err)
			}
		}
		if done {
			report.Repaired = append(report.Repaired, fmt.Errorf("%w; it is stored again", p.Err))
		} else {
			rest = append(rest, p)
		}
	}
	report.Problems = rest
	return nil
}

// look is one look at everything.
func (e *Engine) look(ctx context.Context, o CheckOptions, report *CheckReport) error {
	q := upkeep.Request{Vault: e.vault, Catalog: e.catalog, Own: e.state.Head(), ReadData: o.ReadData, Deep: o.Deep,
		Bad: e.bad, Now: e.now}
	if o.Progress != nil {
		total, err := e.countPacks(o.ReadData || o.Deep)
		if err != nil {
			return err
		}
		q.Progress = func(object string, r *upkeep.Report) {
			p := total
			p.Path, p.Files, p.Bytes, p.ReadBytes, p.Problems = object, r.Packs, r.ReadBytes, r.ReadBytes, int64(len(r.Problems))
			o.Progress(p)
		}
	}
	marks, err := e.catalog.Marks()
	if err != nil {
		return err
	}
	report.Snapshots = int64(len(marks))
	r, err := upkeep.Check(ctx, q)
	report.Devices, report.Segments, report.Entries, report.Packs = r.Devices, r.Segments, r.Entries, r.Packs
	report.Chunks, report.ReadBytes, report.DeadPacks = r.Chunks, r.ReadBytes, r.DeadPacks
	report.SingleKeys = r.SingleKeys
	report.Problems = nil
	for _, p := range r.Problems {
		report.Problems = append(report.Problems, Problem{p.Object, p.Err})
	}
	if err != nil {
		return err
	}
	return e.setBad(r.Bad)
}

// losses says what only bad packs have: of what is damaged for good, what no
// pack has that can be read, be it by its parity; of the others, what no whole
// pack has.
func (e *Engine) losses(ctx context.Context) (list []upkeep.Loss, err error) {
	err = e.withCatalog(ctx, func() (err error) {
		list, err = e.lossesOf(ctx, false)
		if err != nil {
			return err
		}
		other, err := e.lossesOf(ctx, true)
		list = append(list, other...)
		return err
	})
	return list, err
}

// lossesOf is losses of those that are repairable, or of the others.
func (e *Engine) lossesOf(ctx context.Context, repairable bool) (list []upkeep.Loss, err error) {
	var bad []upkeep.BadPack
	for _, b := range e.bad {
		if b.Repairable == repairable {
			bad = append(bad, b)
		}
	}
	if len(bad) == 0 {
		return nil, nil
	}
	err = e.avoiding(repairable, func() error {
		list, err = upkeep.Losses(ctx, e.vault, e.catalog, bad)
		return err
	})
	return list, err
}

func lost(losses []upkeep.Loss) bool {
	for i := range losses {
		if losses[i].Lost() {
			return true
		}
	}
	return false
}

// lackingChunks counts every chunk that is lacking once.
func lackingChunks(losses []upkeep.Loss) (chunks int64) {
	for _, l := range losses {
		chunks += l.Counted
	}
	return chunks
}

// refill stores again what only bad packs have: what of them can still be
// read, wherever it came from, and then what the sources of this device hold.
// What changed there since the last backup is stored with it; a mark of it is
// for the next backup.
func (e *Engine) refill(ctx context.Context, o CheckOptions, report *CheckReport) error {
	return e.committing(ctx, ctx, func(c *catalog.Catalog, doubtful bool) (err error) {
		w := e.writer(c)
		defer func() { err = errors.Join(err, w.Close()) }()
		if err := e.begin(ctx, w); err != nil {
			return err
		}
		left, err := e.salvage(ctx, c, w)
		if err != nil {
			return err
		}
		if !left {
			return w.Commit(ctx)
		}
		sources, err := c.Sources(e.device.Card.Device)
		if err != nil {
			return err
		}
		q := backup.Request{Own: e.ownDirectories(), NoMark: true, Doubtful: doubtful}
		for _, s := range sources {
			if s.System == runtime.GOOS {
				q.Paths = append(q.Paths, s.Path)
			}
		}
		if o.Repairing != nil {
			q.Progress = func(path string, r *backup.Report) {
				o.Repairing(Progress{Path: path, Files: r.Files, Bytes: r.DoneBytes, ReadBytes: r.ReadBytes, Problems: r.ProblemCount})
			}
		}
		r, err := backup.Run(ctx, w, q)
		report.Unread = nil
		for _, p := range r.Problems {
			report.Unread = append(report.Unread, Problem(p))
		}
		return err
	})
}

// salvage stores again what can be read of bad packs, and reports whether they
// have more that no other pack has.
func (e *Engine) salvage(ctx context.Context, c *catalog.Catalog, w *backup.Writer) (left bool, err error) {
	lacks := func(id seal.Hash) (bool, error) {
		held, err := w.Holds(id)
		return !held, err
	}
	err = upkeep.EachAdd(ctx, e.vault, c, e.bad, func(b upkeep.BadPack, add *vault.PackAdd, why error) error {
		if why != nil {
			left = true
			return nil
		}
		err := upkeep.Salvage(ctx, e.vault, b.ID, add, lacks, func(content []byte) error {
			_, err := w.Chunk(ctx, content)
			return err
		})
		for i := 0; i < len(add.Chunks) && err == nil && !left; i++ {
			left, err = lacks(add.Chunks[i].ID)
		}
		return err
	})
	return left, err
}

// nameDamaged names the files of all devices whose content is lost, as far as
// a snapshot has them, or the next one of their device will, and reports
// whether there is any.
func (e *Engine) nameDamaged(ctx context.Context, report *CheckReport) (any bool, err error) {
	var named []Problem
	err = e.withCatalog(ctx, func() error {
		named, report.DamagedFiles = nil, 0
		return e.avoiding(false, func() error { return e.nameLost(ctx, report, &named) })
	})
	report.LostFiles = named
	return report.DamagedFiles > 0, err
}

// nameLost is nameDamaged with a catalog that avoids what is lost for good.
func (e *Engine) nameLost(ctx context.Context, report *CheckReport, named *[]Problem) error {
	all, err := e.catalog.Marks()
	if err != nil {
		return err
	}
	by := map[seal.ID][]*catalog.Mark{}
	for i := range all {
		by[all[i].Device] = append(by[all[i].Device], &all[i])
	}
	devices, err := e.catalog.Devices()
	if err != nil {
		return err
	}
	for i := range devices {
		d := &devices[i]
		marks, err := e.andNow(d.Card.Device, by[d.Card.Device])
		if err != nil {
			return err
		}
		err = e.versions(ctx, marks, func(v version) error {
			lacks, err := e.catalog.Lacks(ctx, e.vault, v.Chunks, e.catalog.Holds)
			if err != nil || !lacks {
				return err
			}
			if report.DamagedFiles++; report.DamagedFiles <= maxNamed {
				*named = append(*named, Problem{v.path, e.whyDamaged(d, v.marks)})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// andNow is the marks of a device and one, without an id, of what its sources
// hold now.
func (e *Engine) andNow(device seal.ID, marks []*catalog.Mark) ([]*catalog.Mark, error) {
	sources, err := e.catalog.Sources(device)
	now := &catalog.Mark{Device: device, At: catalog.Now - 1}
	for _, s := range sources {
		now.Sources = append(now.Sources, s.ID)
	}
	return append(marks[:len(marks):len(marks)], now), err
}

// whyDamaged says what is lost, and who may have it.
func (e *Engine) whyDamaged(d *catalog.Device, marks []*catalog.Mark) error {
	text := "its content is lost"
	newest := marks[len(marks)-1]
	if newest.ID == (seal.ID{}) && len(marks) > 1 {
		newest = marks[len(marks)-2]
	}
	if newest.ID != (seal.ID{}) {
		text += fmt.Sprintf(" in snapshot %s", hex.EncodeToString(newest.ID[:4]))
		if n := countMarks(marks); n > 1 {
			text += fmt.Sprintf(" and %d older", n-1)
		}
	}
	if d.Card.Device != e.device.Card.Device {
		text += fmt.Sprintf("; %s may have it: run holm check --repair there", d.Card.Name)
	}
	return fmt.Errorf("%s: %w", text, ErrDamaged)
}

func chunks(n int64) string {
	if n == 1 {
		return "1 chunk"
	}
	return fmt.Sprintf("%d chunks", n)
}

func countMarks(marks []*catalog.Mark) (n int) {
	for _, m := range marks {
		if m.ID != (seal.ID{}) {
			n++
		}
	}
	return n
}

// sort parts the problems of packs by what is lost with them, and by which of
// them are repaired; needed says that files need what is lost, or that nobody
// knows. Those of which everything has another
// copy are repaired, if it was not so before, or a warning, and so are those
// of which no file needs what is lost.
func (r *CheckReport) sort(losses []upkeep.Loss, repaired map[vault.PackID]bool, needed bool) {
	by := map[string]*upkeep.Loss{}
	for i := range losses {
		by[losses[i].ID.Name()] = &losses[i]
	}
	var rest []Problem
	for _, p := range r.Problems {
		l := by[p.Path]
		switch {
		case l == nil, l.Repairable && l.Lacking > 0:
			rest = append(rest, p)
		case l.Err != nil:
			rest = append(rest, Problem{p.Path, fmt.Errorf("%w; what is in it is not known", p.Err)})
		case l.Lacking > 0 && needed:
			rest = append(rest, Problem{p.Path, fmt.Errorf("%w; no other pack has %d of its %s", p.Err, l.Lacking, chunks(l.Chunks))})
		case l.Lacking > 0:
			r.Warnings = append(r.Warnings, Problem{p.Path, fmt.Errorf("%w; no other pack has %d of its %s, but no file needs them", p.Err, l.Lacking, chunks(l.Chunks))})
		case repaired[l.ID]:
			r.Repaired = append(r.Repaired, fmt.Errorf("%w; other packs have its %s now", p.Err, chunks(l.Chunks)))
		default:
			r.Warnings = append(r.Warnings, Problem{p.Path, fmt.Errorf("%w; other packs have its %s too", p.Err, chunks(l.Chunks))})
		}
	}
	r.Problems = rest
	if len(rest) > 0 {
		r.Warnings = append(r.Warnings, r.Unread...)
	}
}

// countRepairable counts the problems of which parity leaves nothing lost.
func (r *CheckReport) countRepairable() {
	r.Repairable = 0
	for _, p := range r.Problems {
		if errors.Is(p.Err, ErrRepairable) {
			r.Repairable++
		}
	}
}

// repairCopies puts back the copies of vault.json and of the wrapped keys that
// are missing or damaged, and returns what was wrong with them.
func (e *Engine) repairCopies(ctx context.Context) ([]error, error) {
	wrong := e.vault.CheckConfig(ctx)
	for _, err := range wrong {
		if !errors.Is(err, ErrDamaged) {
			return nil, err // of the store: nobody knows how the copy is
		}
	}
	if err := e.vault.Config.CheckWrite(); err != nil {
		return nil, err
	}
	if err := e.vault.RestoreConfig(ctx); err != nil {
		return nil, err
	}
	keys, err := e.vault.RestoreKeys(ctx)
	return append(wrong, keys...), err
}
