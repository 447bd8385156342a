package engine

import (
	"context"
	"errors"
	"path/filepath"

	"holm.example/engine/catalog"
	"holm.example/engine/restore"
)

// restoreRequest finds out what is to be restored, of which mark.
func (e *Engine) restoreRequest(ctx context.Context, o RestoreOptions, report *RestoreReport) (q restore.Request, m *catalog.Mark, err error) {
	if err := checkApart("", o.To, e.ownPlaces()...); err != nil {
		return q, nil, err
	}
	// Damage of the catalog, which can be built again, is found before
	// anything is written, and is not taken for damage of the vault.
	if err := e.catalog.Verify(ctx); err != nil {
		return q, nil, err
	}
	if m, err = e.mark(ctx, o.At); err != nil {
		return q, nil, err
	}
	if report.Snapshot, err = e.snapshot(m); err != nil {
		return q, nil, err
	}
	paths := o.Paths
	if len(paths) == 0 {
		paths = []string{""}
	}
	q = restore.Request{Vault: e.vault, Catalog: e.contentOf(m), Device: m.Device, At: m.At, To: o.To,
		Overwrite: o.Overwrite, NumericIDs: o.NumericIDs, Keep: e.ownIDs(), Now: e.now}
	if o.Problem != nil {
		q.Problem = func(p restore.Problem) { o.Problem(problemAt(o.To, p)) }
	}
	asked := map[string]int{} // a path that is named twice is restored once
	for i, p := range paths {
		hits, _, err := e.at(m, p)
		if err != nil {
			return q, nil, err
		}
		for _, h := range hits {
			if by, ok := asked[h.path]; !ok || by == i {
				asked[h.path] = i
				q.Entries = append(q.Entries, h.Entry)
			}
		}
	}
	return q, m, nil
}

// set takes over what a run of package restore reports.
func (r *RestoreReport) set(to string, from *restore.Report) {
	r.Files, r.Directories, r.Others = from.Files, from.Directories, from.Others
	r.Bytes, r.ReadBytes, r.Renamed = from.Bytes, from.ReadBytes, from.Renamed
	r.NotOwned = from.NotOwned
	r.ProblemCount, r.Problems = from.ProblemCount, nil
	for _, p := range from.Problems {
		r.Problems = append(r.Problems, problemAt(to, p))
	}
}

// problemAt is a problem with the path of the system.
func problemAt(to string, p restore.Problem) Problem {
	return Problem{filepath.Join(to, filepath.FromSlash(p.Path)), p.Err}
}

// DryRestore calls f with what Restore would do now, in its order, and ends
// with f's first error. It writes nothing. The report and the error are those
// of Restore as far as they can be foreseen; what becomes known only when a
// pack is read or an entry written is not among them, and bytes count once for
// each name of a file that has several.
func (e *Engine) DryRestore(ctx context.Context, o RestoreOptions, f func(RestoreStep) error) (RestoreReport, error) {
	report := RestoreReport{Started: e.now()}
	err := resumed(e, ctx, f, func(give func(RestoreStep) error) error {
		q, m, err := e.restoreRequest(ctx, o, &report)
		if err != nil {
			return err
		}
		there := func(path string) string { return filepath.Join(o.To, filepath.FromSlash(path)) }
		r, err := restore.DryRun(ctx, q, func(s restore.Step) error {
			step := RestoreStep{Entry: entryOf(found{there(s.Path), s.Entry}), Action: s.Action, At: there(s.At)}
			return give(step)
		})
		report.set(o.To, r)
		if report.Complete = err == nil; report.Complete {
			err = e.unsure(m, o.At)
		}
		return errors.Join(err, r.Damage)
	})
	report.Finished = e.now()
	return report, err
}
