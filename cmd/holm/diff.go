package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newDiff(a *app) *cobra.Command {
	var o engine.DiffOptions
	cmd := &cobra.Command{
		Use:   "diff SNAPSHOT [SNAPSHOT]",
		Short: "show what changed between two snapshots",
		Long: `Show what changed from one snapshot to another, or to the latest. They may be of
different devices; sources are compared by their paths, else by their names.
Each line begins with what happened:

  +  added
  -  removed
  M  content modified
  U  only mode, owner, time or attributes updated
  T  another type of entry`,
		Example: `  holm diff 3f2a9c81
  holm diff 3f2a9c81 9d8e7f6a
  holm diff "2026-11-23 18:00" latest --path ~/Documents`,
		GroupID:           groupBackup,
		Args:              arguments(1, 2, "SNAPSHOT"),
		ValidArgsFunction: a.completeSnapshots(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Old, o.New = args[0], "latest"
			if len(args) > 1 {
				o.New = args[1]
			}
			if o.Path != "" {
				var err error
				if o.Path, err = snapshotPath(o.Path); err != nil {
					return err
				}
			}
			return a.with(cmd.Context(), func(e *engine.Engine) error { return a.diff(cmd, e, o) })
		},
	}
	cmd.Flags().StringVar(&o.Path, "path", "", "compare only this `path` and what is below it")
	return cmd
}

// A changeAnswer is the JSON of one entry that differs.
type changeAnswer struct {
	Type   string `json:"type"`
	Change string `json:"change"`
	jsonName
	Kind    string  `json:"kind"`
	Size    *int64  `json:"size,omitempty"`
	OldKind string  `json:"old_kind,omitempty"`
	OldSize *int64  `json:"old_size,omitempty"`
	Time    *string `json:"time,omitempty"`
	OldTime *string `json:"old_time,omitempty"`
}

// A diffAnswer is the JSON of diff.
type diffAnswer struct {
	Type            string `json:"type"`
	Old             string `json:"old"`
	New             string `json:"new"`
	Added           int64  `json:"added"`
	Removed         int64  `json:"removed"`
	Modified        int64  `json:"modified"`
	MetadataChanged int64  `json:"metadata_changed"`
	TypeChanged     int64  `json:"type_changed"`
	BytesAdded      int64  `json:"bytes_added"`
	BytesRemoved    int64  `json:"bytes_removed"`
}

// count counts a change, and tells its mark and its word.
func (d *diffAnswer) count(c *engine.Change) (mark, word string) {
	if c.Old != nil && c.Kind != engine.Metadata {
		d.BytesRemoved += fileBytes(c.Old)
	}
	if c.New != nil && c.Kind != engine.Metadata {
		d.BytesAdded += fileBytes(c.New)
	}
	switch c.Kind {
	case engine.Added:
		d.Added++
		return "+", "added"
	case engine.Removed:
		d.Removed++
		return "-", "removed"
	case engine.Modified:
		d.Modified++
		return "M", "modified"
	case engine.Metadata:
		d.MetadataChanged++
		return "U", "metadata"
	}
	d.TypeChanged++
	return "T", "type"
}

// fileBytes is the size of a file, of anything else 0.
func fileBytes(e *engine.Entry) int64 {
	if !e.Mode.IsRegular() {
		return 0
	}
	return e.SizeBytes
}

func (a *app) diff(cmd *cobra.Command, e *engine.Engine, o engine.DiffOptions) error {
	total := diffAnswer{Type: "diff"}
	before, after, err := e.Diff(cmd.Context(), o, func(c engine.Change) error {
		mark, word := total.count(&c)
		return a.ui.answer(changeObject(word, &c), mark+"  "+quoteName(entryOfChange(&c).Path)+"\n")
	})
	// Damage of a journal is told after all that is known of the snapshots.
	if err != nil && (after.ID == "" || !errors.Is(err, engine.ErrDamaged) && !errors.Is(err, engine.ErrNewer)) {
		return err
	}
	total.Old, total.New = before.ID, after.ID
	return errors.Join(a.ui.summary(total, total.text()), err)
}

// entryOfChange is the new entry, or the old one if that is all there is.
func entryOfChange(c *engine.Change) *engine.Entry {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

func changeObject(word string, c *engine.Change) changeAnswer {
	e := entryOfChange(c)
	answer := changeAnswer{Type: "change", Change: word, jsonName: nameForJSON(e.Path), Kind: kindOf(e.Mode)}
	if c.Old != nil {
		was := stamp(c.Old.ModTime)
		answer.OldKind, answer.OldSize, answer.OldTime = kindOf(c.Old.Mode), &c.Old.SizeBytes, &was
	}
	if c.New != nil {
		is := stamp(c.New.ModTime)
		answer.Size, answer.Time = &c.New.SizeBytes, &is
	}
	return answer
}

func (d diffAnswer) text() string {
	var parts []string
	for _, part := range []struct {
		n    int64
		text string
	}{{d.Added, "added"}, {d.Removed, "removed"}, {d.Modified, "modified"}, {d.MetadataChanged, "updated"}, {d.TypeChanged, "of another type"}} {
		if part.n > 0 {
			parts = append(parts, number(part.n)+" "+part.text)
		}
	}
	if len(parts) == 0 {
		return "nothing differs\n"
	}
	return strings.Join(parts, ", ") + "; +" + size(d.BytesAdded) + ", -" + size(d.BytesRemoved) + "\n"
}
