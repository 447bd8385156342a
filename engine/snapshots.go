package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
)

// Snapshots lists the snapshots of all devices, the oldest first. With an
// error that is ErrDamaged or ErrNewer and a list, a journal is not known to
// its end, and later snapshots may be missing.
func (e *Engine) Snapshots(ctx context.Context) (list []Snapshot, err error) {
	err = e.withCatalog(ctx, func() error {
		marks, err := e.marks(ctx)
		if err != nil {
			return err
		}
		list = nil
		for i := range marks {
			s, err := e.snapshot(&marks[i])
			if err != nil {
				return err
			}
			list = append(list, s)
		}
		return nil
	})
	return list, errors.Join(err, e.unread(func(seal.ID) bool { return true }))
}

// unread is the error of journals that are not known to their end, of those
// devices.
func (e *Engine) unread(of func(seal.ID) bool) error {
	var problems []error
	for _, s := range e.stopped {
		if of(s.Device) {
			problems = append(problems, s)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	what := "later snapshots may be missing"
	if e.beyond != nil && len(e.beyond.marks) > 0 {
		what += " or incomplete"
	}
	return fmt.Errorf("%s: %w", what, errors.Join(problems...))
}

// unsure is the error of a mark that is incomplete, or of journals in which
// there may be one that fits better.
func (e *Engine) unsure(m *catalog.Mark, at string) error {
	if why := e.incomplete(m); why != nil {
		return fmt.Errorf("snapshot %x is incomplete: %w", m.ID[:6], why)
	}
	_, isTime := parseTime(at)
	anyDevice := m.Device != e.state.Head().Device && (isTime || isLatest(at))
	return e.unread(func(device seal.ID) bool { return anyDevice || device == m.Device })
}

func isLatest(at string) bool { return at == "" || at == "latest" }

func (e *Engine) snapshot(m *catalog.Mark) (Snapshot, error) {
	s := Snapshot{ID: hex.EncodeToString(m.ID[:]), Time: m.Time.Time(), DeviceID: hex.EncodeToString(m.Device[:]), Label: m.Label}
	d, _, err := e.of(m).Device(m.Device)
	if err != nil {
		return s, err
	}
	s.DeviceName = d.Card.Name
	if why := e.incomplete(m); why != nil {
		s.Incomplete = why.Error()
	}
	sources, err := e.sources(m)
	for _, src := range sources {
		s.Paths = append(s.Paths, src.Path)
	}
	return s, err
}

// sources are the sources of a mark, in its order.
func (e *Engine) sources(m *catalog.Mark) (list []catalog.Source, err error) {
	all, err := e.of(m).Sources(m.Device)
	if err != nil {
		return nil, err
	}
	for _, id := range m.Sources {
		for _, s := range all {
			if s.ID == id {
				list = append(list, s)
			}
		}
	}
	return list, nil
}

// mark finds the mark that at names; see ListOptions.At. The latest is that of
// this device if it has any. One that is incomplete counts only if its id was
// given, or nothing else fits.
func (e *Engine) mark(ctx context.Context, at string) (*catalog.Mark, error) {
	marks, err := e.marks(ctx)
	if err != nil {
		return nil, err
	}
	var whole, rest []*catalog.Mark
	for i := range marks {
		if e.incomplete(&marks[i]) == nil {
			whole = append(whole, &marks[i])
		} else {
			rest = append(rest, &marks[i])
		}
	}
	until, isTime := parseTime(at)
	latest := isLatest(at)
	var fits []*catalog.Mark
	if !latest && !isTime {
		fits = e.fitting(append(whole, rest...), at)
	} else if fits = e.newest(whole, until, latest); len(fits) == 0 {
		fits = e.newest(rest, until, latest)
	}
	switch {
	case len(fits) > 1:
		return nil, fmt.Errorf("%q: %w", at, ErrAmbiguous)
	case len(fits) == 0:
		none := fmt.Errorf("%q: %w", at, ErrNoSnapshot)
		if latest {
			none = ErrNoneYet
		}
		return nil, errors.Join(none, e.unread(func(seal.ID) bool { return true }))
	}
	return fits[0], nil
}

// fitting are the marks whose ids begin like that.
func (e *Engine) fitting(marks []*catalog.Mark, id string) (fits []*catalog.Mark) {
	for _, m := range marks {
		if strings.HasPrefix(hex.EncodeToString(m.ID[:]), strings.ToLower(id)) {
			fits = append(fits, m)
		}
	}
	return fits
}

// newest is the newest of the marks of this device, or of all if it has none:
// of those until then, or of all with latest. None or one.
func (e *Engine) newest(marks []*catalog.Mark, until time.Time, latest bool) (fits []*catalog.Mark) {
	own := e.state.Head().Device
	for _, m := range marks {
		if (latest || !m.Time.Time().After(until)) && (len(fits) == 0 || m.Device == own || fits[0].Device != own) {
			fits = []*catalog.Mark{m}
		}
	}
	return fits
}

// ParseTime reads a time as people write it; without a zone it is local. It
// returns the first and the last instant that it means: a date means that day,
// a minute all of it.
func ParseTime(s string) (from, until time.Time, ok bool) {
	for _, f := range []struct {
		layout string
		span   time.Duration
	}{
		{"2006-01-02", 24*time.Hour - 1}, {"2006-01-02 15:04", time.Minute - 1}, {"2006-01-02 15:04:05", time.Second - 1},
		{"2006-01-02T15:04", time.Minute - 1}, {"2006-01-02T15:04:05", time.Second - 1},
	} {
		if t, err := time.ParseInLocation(f.layout, s, time.Local); err == nil {
			return t, t.Add(f.span), true
		}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, t, err == nil
}

// parseTime is the end of what ParseTime reads.
func parseTime(s string) (time.Time, bool) {
	_, until, ok := ParseTime(s)
	return until, ok
}
