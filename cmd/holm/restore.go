package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newRestore(a *app) *cobra.Command {
	var o engine.RestoreOptions
	var dry bool
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
exit code is then 3.

Root restores owner and group too: by name where this machine knows the name,
else by number. With --numeric-ids always by number, as a disk wants it that
goes into another machine. Anybody else restores the groups that they are a
member of, and the summary says how many entries have another owner or group
than before.

With --dry-run nothing is written: it counts what would be made, replaced and
renamed, reports the problems that can be foreseen, and ends with the exit code
that the restore would have; with --verbose it lists every entry.`,
		Example: `  holm restore --to /tmp/found
  holm restore --path ~/Documents/letter.odt --to /tmp/found
  holm restore --path ~/Documents --to ~ --overwrite --dry-run
  holm restore --path ~/Documents --to ~ --overwrite
  holm restore --at 3f2a9c81 --path /etc --to /mnt/new
  holm restore --at "2026-11-23 18:00" --to /tmp/found`,
		GroupID: groupBackup,
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.To == "" {
				return usage(cmd, "--to is missing: where shall the files go?")
			}
			if err := a.resolve(&o); err != nil {
				return err
			}
			if dry {
				return a.dryRestore(cmd.Context(), o)
			}
			return a.restore(cmd.Context(), o)
		},
	}
	a.registerAt(cmd, &o.At)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.Paths, "path", nil, "restore only this `path` and what is below it; may be repeated")
	flags.StringVar(&o.To, "to", "", "`directory` to restore into; made if it is not there")
	flags.BoolVar(&o.Overwrite, "overwrite", false, "restore into directories and replace files that are there")
	flags.BoolVar(&o.NumericIDs, "numeric-ids", false, "restore owner and group by number, not by name")
	flags.BoolVarP(&dry, "dry-run", "n", false, "show what would be done, and do nothing")
	cmd.MarkFlagDirname("to")
	return cmd
}

// resolve makes the paths of the command line absolute.
func (a *app) resolve(o *engine.RestoreOptions) (err error) {
	if o.Paths, err = absolutePaths(o.Paths, snapshotPath); err != nil {
		return err
	}
	o.To, err = absolute(o.To)
	return err
}

// A restoreAnswer is the JSON of restore.
type restoreAnswer struct {
	Type        string   `json:"type"`
	Snapshot    string   `json:"snapshot"`
	To          jsonName `json:"to"`
	DryRun      bool     `json:"dry_run"`
	Files       int64    `json:"files"`
	Directories int64    `json:"directories"`
	Others      int64    `json:"others"`
	Renamed     int64    `json:"renamed"`
	NotOwned    int64    `json:"not_owned"`
	Bytes       int64    `json:"bytes"`
	BytesRead   int64    `json:"bytes_read"`
	Problems    int64    `json:"problems"`
	Seconds     float64  `json:"seconds"`
}

func restored(r engine.RestoreReport, to string) restoreAnswer {
	return restoreAnswer{
		Type: "restore", Snapshot: r.Snapshot.ID, To: nameForJSON(to), Files: r.Files, Directories: r.Directories, Others: r.Others,
		Renamed: r.Renamed, NotOwned: r.NotOwned, Bytes: r.Bytes, BytesRead: r.ReadBytes, Problems: r.ProblemCount, Seconds: r.Finished.Sub(r.Started).Seconds(),
	}
}

// what is what was restored, or would be, from which snapshot.
func (r restoreAnswer) what() string {
	files, directories := count(r.Files, "file", "files"), count(r.Directories, "directory", "directories")
	text := files + " and " + directories
	if r.Others > 0 {
		text = files + ", " + directories + " and " + count(r.Others, "link or special file", "links and special files")
	}
	return text + ", " + size(r.Bytes)
}

func fromSnapshot(s engine.Snapshot) string {
	return "from snapshot " + shortID(s.ID) + " of " + clock(s.Time)
}

// errNothingRestored ends a restore of which nothing but problems came.
var errNothingRestored = errors.New("nothing could be restored")

func (a *app) restore(ctx context.Context, o engine.RestoreOptions) error {
	o.Problem = a.problem
	o.Progress, o.Count = a.showProgress("restore", "restoring", "file", "files"), a.ui.showsProgress()
	return a.with(ctx, func(e *engine.Engine) error {
		r, err := e.Restore(ctx, o)
		a.ui.endProgress()
		if !r.Complete {
			return a.endedEarly(err, r)
		}
		if err == nil && r.ProblemCount > 0 && r.Files+r.Directories+r.Others == 0 {
			return errNothingRestored
		}
		answer := restored(r, o.To)
		text := fmt.Sprintf("restored %s, %s into %s in %s%s\n", answer.what(), fromSnapshot(r.Snapshot), quoteName(o.To),
			seconds(answer.Seconds), rateText(r.Bytes, answer.Seconds))
		if r.Renamed > 0 && !o.Overwrite {
			text += count(r.Renamed, "entry", "entries") + " under another name; --overwrite restores into what is there\n"
		}
		if r.NotOwned > 0 {
			text += count(r.NotOwned, "entry has", "entries have") + " another owner or group than before: only root may give files away\n"
		}
		if err := errors.Join(err, a.ui.summary(answer, text)); err != nil {
			return err
		}
		return partly(r.ProblemCount)
	})
}

// endedEarly says what can be done after a restore that did not come to its
// end: the same command alone would give what is there already other names.
func (a *app) endedEarly(err error, r engine.RestoreReport) error {
	done := "the " + count(r.Files, "file", "files") + " that are complete stay; "
	switch r.Files {
	case 0:
		done = "no file was complete yet; "
	case 1:
		done = "the file that is complete stays; "
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &advised{err, done + "all of it restores: " + a.withOverwrite()}
	case errors.Is(err, engine.ErrTarget):
		return &advised{err, done + "make room there, or let it be written to, and: " + a.withOverwrite() + "; or name another --to"}
	}
	return err
}

// withOverwrite is the command line with --overwrite.
func (a *app) withOverwrite() string {
	if slices.Contains(a.args, "--overwrite") {
		return a.commandLine()
	}
	return a.commandLine("--overwrite")
}
