package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newRestore(a *app) *cobra.Command {
	var o engine.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore --to DIR",
		Short: "bring files back",
		Long: `Write what a snapshot holds into DIR: contents bit for bit, modes, times, links
and empty directories. Each source or --path becomes an entry of DIR under the
name it had.

Nothing that exists is touched unless --overwrite says so: what finds its name
taken gets another, such as letter~2. With --overwrite directories that are
there are restored into, and a file or link takes the place of another when it
is complete; until then, and if the vault cannot give it, the old one stays.
What gets another name and what cannot be restored as it was is reported; the
exit code is then 3.`,
		Example: `  holm restore --to /tmp/found
  holm restore --path ~/Documents/letter.odt --to /tmp/found
  holm restore --path ~/Documents --to ~ --overwrite
  holm restore --at 3f2a9c81 --path /etc --to /mnt/new
  holm restore --at "2026-11-23 18:00" --to /tmp/found`,
		GroupID: groupBackup,
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.To == "" {
				return usage(cmd, "--to is missing: where shall the files go?")
			}
			return a.restore(cmd, o)
		},
	}
	registerAt(cmd, &o.At)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.Paths, "path", nil, "restore only this `path` and what is below it; may be repeated")
	flags.StringVar(&o.To, "to", "", "`directory` to restore into; made if it is not there")
	flags.BoolVar(&o.Overwrite, "overwrite", false, "restore into directories and replace files that are there")
	cmd.MarkFlagDirname("to")
	return cmd
}

// A restoreAnswer is the JSON of restore.
type restoreAnswer struct {
	Type        string   `json:"type"`
	Snapshot    string   `json:"snapshot"`
	To          jsonName `json:"to"`
	Files       int64    `json:"files"`
	Directories int64    `json:"directories"`
	Others      int64    `json:"others"`
	Bytes       int64    `json:"bytes"`
	BytesRead   int64    `json:"bytes_read"`
	Problems    int      `json:"problems"`
	Seconds     float64  `json:"seconds"`
}

// errNothingRestored ends a restore of which nothing but problems came.
var errNothingRestored = errors.New("nothing could be restored")

func (a *app) restore(cmd *cobra.Command, o engine.RestoreOptions) error {
	var err error
	if o.Paths, err = absolutePaths(o.Paths, snapshotPath); err != nil {
		return err
	}
	if o.To, err = absolute(o.To); err != nil {
		return err
	}
	o.Progress = a.showProgress("restoring")
	return a.with(cmd.Context(), func(e *engine.Engine) error {
		r, err := e.Restore(cmd.Context(), o)
		a.ui.endProgress()
		partly := a.report(r.Problems)
		if !r.Complete {
			return endedEarly(err)
		}
		if err == nil && partly != nil && r.Files+r.Directories+r.Others == 0 {
			return errNothingRestored
		}
		answer := restoreAnswer{
			Type: "restore", Snapshot: r.Snapshot.ID, To: nameForJSON(o.To), Files: r.Files, Directories: r.Directories, Others: r.Others,
			Bytes: r.Bytes, BytesRead: r.ReadBytes, Problems: len(r.Problems), Seconds: r.Finished.Sub(r.Started).Seconds(),
		}
		text := fmt.Sprintf("restored %s and %s, %s, from snapshot %s of %s into %s in %s\n",
			count(r.Files, "file", "files"), count(r.Directories, "directory", "directories"), size(r.Bytes),
			shortID(r.Snapshot.ID), clock(r.Snapshot.Time), quoteName(o.To), seconds(answer.Seconds))
		if err := errors.Join(err, a.ui.summary(answer, text)); err != nil {
			return err
		}
		return partly
	})
}

// endedEarly says what can be done after a restore that did not come to its
// end: the same command alone would give what is there already other names.
func endedEarly(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return &advised{err, "what is complete stays; the same command with --overwrite, or another --to, restores all of it"}
	case errors.Is(err, engine.ErrTarget):
		return &advised{err, "what is complete stays; make room there, or let it be written to, and give --overwrite; or name another --to"}
	}
	return err
}
