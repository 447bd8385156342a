package main

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

// snapshotFilter says which snapshots are wanted.
type snapshotFilter struct {
	paths, devices []string
	latest         int
	sizes          bool
}

func newSnapshots(a *app) *cobra.Command {
	var f snapshotFilter
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "list what can be restored",
		Long: `List the snapshots in the vault, of all devices, the oldest first. A snapshot is
what a finished backup saw: its id, or the beginning of it, is what --at of the
other verbs takes.

A snapshot is incomplete if a part of the journal before it cannot be read: it
may lack files, or have them in lost+found, and still hold what was deleted.

With --sizes it is counted what each holds, which takes a moment where there are
many files.`,
		Example: `  holm snapshots
  holm snapshots --latest 1 --device laptop
  holm snapshots --path ~/Documents --sizes
  holm snapshots --json --sizes`,
		GroupID: groupBackup,
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("latest") && f.latest < 1 {
				return usage(cmd, "--latest takes a number from 1 on")
			}
			var err error
			if f.paths, err = absolutePaths(f.paths, snapshotPath); err != nil {
				return err
			}
			return a.with(cmd.Context(), func(e *engine.Engine) error { return a.snapshots(cmd.Context(), e, &f) })
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.paths, "path", nil, "only snapshots with a source at, above or below this `path`; may be repeated")
	flags.StringArrayVar(&f.devices, "device", nil, "only those of this device: its `name`, or the beginning of its id; may be repeated")
	flags.IntVar(&f.latest, "latest", 0, "only the newest `N` of each device and set of sources")
	flags.BoolVar(&f.sizes, "sizes", false, "count files and bytes of each")
	return cmd
}

// wants reports whether a snapshot fits paths and devices.
func (f *snapshotFilter) wants(s *engine.Snapshot) bool {
	device := len(f.devices) == 0
	for _, d := range f.devices {
		device = device || s.DeviceName == d || len(d) >= 4 && strings.HasPrefix(s.DeviceID, strings.ToLower(d))
	}
	at := len(f.paths) == 0
	for _, p := range f.paths {
		for _, src := range s.Paths {
			at = at || within(p, src) || within(src, p)
		}
	}
	return device && at
}

// within reports whether a path is another one or below it; they may be of
// another system.
func within(p, dir string) bool {
	p, dir = path.Clean(filepath.ToSlash(p)), path.Clean(filepath.ToSlash(dir))
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// choose leaves those snapshots of a list that are wanted.
func (f *snapshotFilter) choose(list []engine.Snapshot) (chosen []engine.Snapshot) {
	after := map[string]int{} // of one device and set of sources
	for i := len(list) - 1; i >= 0; i-- {
		s := &list[i]
		group := s.DeviceID + "\x00" + strings.Join(s.Paths, "\x00")
		if !f.wants(s) || f.latest > 0 && after[group] >= f.latest {
			continue
		}
		after[group]++
		chosen = append(chosen, *s)
	}
	for i, j := 0, len(chosen)-1; i < j; i, j = i+1, j-1 {
		chosen[i], chosen[j] = chosen[j], chosen[i]
	}
	return chosen
}

func (a *app) snapshots(ctx context.Context, e *engine.Engine, f *snapshotFilter) error {
	all, err := e.Snapshots(ctx)
	if len(all) == 0 && err != nil {
		return err
	}
	var totals map[string]engine.Totals
	if f.sizes {
		var countErr error
		if totals, countErr = e.SnapshotTotals(ctx); countErr != nil {
			return countErr
		}
	}
	list := f.choose(all)
	switch {
	case len(all) == 0:
		a.ui.note(`the vault holds no snapshot yet; "holm backup PATH" makes one`)
	case len(list) == 0:
		a.ui.note("none of the %s fits", count(int64(len(all)), "snapshot", "snapshots"))
	}
	shown := a.showSnapshots(list, totals)
	for _, s := range list {
		if s.Incomplete != "" {
			a.ui.warn("snapshot %s is incomplete: %s", shortID(s.ID), s.Incomplete)
		}
	}
	return errors.Join(shown, err)
}

// A snapshotAnswer is the JSON of one snapshot.
type snapshotAnswer struct {
	Type       string     `json:"type"`
	ID         string     `json:"id"`
	Time       string     `json:"time"`
	Device     string     `json:"device"`
	DeviceName string     `json:"device_name"`
	Label      string     `json:"label,omitempty"`
	Incomplete string     `json:"incomplete,omitempty"`
	Sources    []jsonName `json:"sources"`
	*totalsAnswer
}

// A totalsAnswer is what a snapshot holds.
type totalsAnswer struct {
	Files       int64 `json:"files"`
	Directories int64 `json:"directories"`
	Others      int64 `json:"others"`
	Bytes       int64 `json:"bytes"`
}

func (a *app) showSnapshots(list []engine.Snapshot, totals map[string]engine.Totals) error {
	if a.ui.json {
		for i := range list {
			if err := a.ui.answer(snapshotObject(&list[i], totals), ""); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { w.Write([]byte(strings.Join(cells, "\t") + "\n")) }
	head := []string{"SNAPSHOT", "TIME", "DEVICE"}
	if totals != nil {
		head = append(head, "FILES", "SIZE")
	}
	row(append(head, "SOURCES")...)
	for _, s := range list {
		var shown []string
		for _, path := range s.Paths {
			shown = append(shown, quoteName(path))
		}
		cells := []string{shortID(s.ID), clock(s.Time), quoteName(s.DeviceName)}
		if totals != nil {
			cells = append(cells, number(totals[s.ID].Files), size(totals[s.ID].Bytes))
		}
		if s.Incomplete != "" {
			shown = append(shown, "(incomplete)")
		}
		row(append(cells, strings.Join(shown, " "))...)
	}
	w.Flush()
	return a.ui.answer(nil, table.String())
}

func snapshotObject(s *engine.Snapshot, totals map[string]engine.Totals) snapshotAnswer {
	answer := snapshotAnswer{"snapshot", s.ID, stamp(s.Time), s.DeviceID, s.DeviceName, s.Label, s.Incomplete, []jsonName{}, nil}
	for _, path := range s.Paths {
		answer.Sources = append(answer.Sources, nameForJSON(path))
	}
	if t, ok := totals[s.ID]; ok {
		answer.totalsAnswer = &totalsAnswer{t.Files, t.Directories, t.Others, t.Bytes}
	}
	return answer
}

// shortIDDigits are enough to tell the snapshots of a lifetime apart.
const shortIDDigits = 12

func shortID(id string) string { return id[:min(shortIDDigits, len(id))] }
