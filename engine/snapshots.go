package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
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
		marks, err := e.catalog.Marks()
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
	return fmt.Errorf("later snapshots may be missing: %w", errors.Join(problems...))
}

// unsure is the error of journals in which there may be a mark that fits
// better than m.
func (e *Engine) unsure(m *catalog.Mark, at string) error {
	_, isTime := parseTime(at)
	anyDevice := m.Device != e.state.Head().Device && (isTime || isLatest(at))
	return e.unread(func(device seal.ID) bool { return anyDevice || device == m.Device })
}

func isLatest(at string) bool { return at == "" || at == "latest" }

func (e *Engine) snapshot(m *catalog.Mark) (Snapshot, error) {
	s := Snapshot{ID: hex.EncodeToString(m.ID[:]), Time: m.Time.Time(), DeviceID: hex.EncodeToString(m.Device[:]), Label: m.Label}
	d, _, err := e.catalog.Device(m.Device)
	if err != nil {
		return s, err
	}
	s.DeviceName = d.Card.Name
	sources, err := e.sources(m)
	for _, src := range sources {
		s.Paths = append(s.Paths, src.Path)
	}
	return s, err
}

// sources are the sources of a mark, in its order.
func (e *Engine) sources(m *catalog.Mark) (list []catalog.Source, err error) {
	all, err := e.catalog.Sources(m.Device)
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
// this device if it has any.
func (e *Engine) mark(at string) (*catalog.Mark, error) {
	marks, err := e.catalog.Marks()
	if err != nil {
		return nil, err
	}
	var fits []*catalog.Mark
	until, isTime := parseTime(at)
	latest := isLatest(at)
	for i := range marks {
		m := &marks[i]
		switch {
		case latest || isTime && !m.Time.Time().After(until):
			if own := e.state.Head().Device; len(fits) == 0 || m.Device == own || fits[0].Device != own {
				fits = []*catalog.Mark{m}
			}
		case !isTime && strings.HasPrefix(hex.EncodeToString(m.ID[:]), strings.ToLower(at)):
			fits = append(fits, m)
		}
	}
	switch {
	case len(fits) > 1:
		return nil, fmt.Errorf("%q: %w", at, ErrAmbiguous)
	case len(fits) == 0:
		what := strconv.Quote(at)
		if latest {
			what = "the vault has none yet"
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", what, ErrNoSnapshot), e.unread(func(seal.ID) bool { return true }))
	}
	return fits[0], nil
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
