package main

import (
	"errors"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newSnapshots(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "snapshots",
		Short: "list what can be restored",
		Long: `List the snapshots in the vault, of all devices, the oldest first. A snapshot is
what a finished backup saw: its id, or the beginning of it, is what --at of the
other verbs takes.`,
		Example: "  holm snapshots\n  holm snapshots --json",
		GroupID: groupBackup,
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(e *engine.Engine) error {
				list, err := e.Snapshots(cmd.Context())
				if len(list) > 0 || err == nil {
					err = errors.Join(a.showSnapshots(list), err)
				}
				return err
			})
		},
	}
}

// A snapshotAnswer is the JSON of one snapshot.
type snapshotAnswer struct {
	Type       string     `json:"type"`
	ID         string     `json:"id"`
	Time       string     `json:"time"`
	Device     string     `json:"device"`
	DeviceName string     `json:"device_name"`
	Sources    []jsonName `json:"sources"`
}

func (a *app) showSnapshots(list []engine.Snapshot) error {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { w.Write([]byte(strings.Join(cells, "\t") + "\n")) }
	row("SNAPSHOT", "TIME", "DEVICE", "SOURCES")
	for _, s := range list {
		answer := snapshotAnswer{"snapshot", s.ID, stamp(s.Time), s.DeviceID, s.DeviceName, []jsonName{}}
		var shown []string
		for _, path := range s.Paths {
			answer.Sources = append(answer.Sources, nameForJSON(path))
			shown = append(shown, quoteName(path))
		}
		if a.ui.json {
			if err := a.ui.answer(answer, ""); err != nil {
				return err
			}
		}
		row(shortID(s.ID), clock(s.Time), quoteName(s.DeviceName), strings.Join(shown, " "))
	}
	w.Flush()
	if a.ui.json {
		return nil
	}
	if len(list) == 0 {
		a.ui.note(`the vault holds no snapshot yet; "holm backup PATH" makes one`)
		return nil
	}
	return a.ui.answer(nil, table.String())
}

// shortIDDigits are enough to tell the snapshots of a lifetime apart.
const shortIDDigits = 12

func shortID(id string) string { return id[:min(shortIDDigits, len(id))] }
