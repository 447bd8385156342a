package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup PATH...",
		Short: "back up files and directories",
		Long: `Back up each PATH with everything below it. What has not changed since the last
time is not read again, and what the vault holds already is not stored again.

A symbolic link is backed up as a link, also one that is a PATH, which is told.
The vault and the data directory are
left out of what is backed up. What cannot be read is reported, and keeps the
state it had in the snapshot before; the exit code is then 3. Sockets are no
files and are skipped, with a line that says so.

Ctrl-C stops a backup: what was read until then is committed, and the same
command goes on from there. A second Ctrl-C ends it at once, which is safe too.`,
		Example: `  holm backup ~/Documents ~/Pictures
  holm backup --quiet /etc /home
  holm backup --json ~/Documents | tail -n 1`,
		GroupID: groupBackup,
		Args:    arguments(1, -1, "PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := absolutePaths(args, absolute)
			if err != nil {
				return err
			}
			a.noteNested(paths)
			a.warnLinks(paths)
			err = a.with(cmd.Context(), func(e *engine.Engine) error { return a.backup(cmd.Context(), e, paths) })
			if errors.Is(err, context.Canceled) { // before there was anything to be kept
				err = a.goesOn(err, "earlier snapshots are safe")
			}
			return err
		},
	}
}

// noteNested says which paths are in a backup twice.
func (a *app) noteNested(paths []string) {
	for i, inner := range paths {
		for j, outer := range paths {
			rel, err := filepath.Rel(outer, inner)
			above := err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator))
			if i == j || above || rel == "." && i < j {
				continue
			}
			if rel == "." {
				a.ui.note("%s is named twice; once is enough", quoteName(inner))
			} else {
				a.ui.note("%s lies in %s and is counted and restored with both; its content is stored once", quoteName(inner), quoteName(outer))
			}
			break
		}
	}
}

// warnLinks says which paths are links: nothing of what they lead to is in the
// backup.
func (a *app) warnLinks(paths []string) {
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Type() != fs.ModeSymlink {
			continue
		}
		text := "is a link and is backed up as one"
		if target, err := filepath.EvalSymlinks(path); err == nil {
			text += "; name " + quoteName(target) + " to back up what it leads to"
		}
		a.ui.warning(path, errors.New(text))
	}
}

// backup backs up. The signal that ends the program ends the reading; what was
// read is still committed.
func (a *app) backup(ctx context.Context, e *engine.Engine, paths []string) error {
	stop := a.onInterrupt(ctx, "stopping; what was read is being committed, another Ctrl-C ends at once")
	r, err := e.Backup(context.WithoutCancel(ctx), engine.BackupOptions{
		Paths: paths, Stop: ctx.Done(), Skipped: a.ui.skipped, Problem: a.problem, Progress: a.showProgress("backup", "backing up", "file", "files")})
	stop()
	a.ui.endProgress()
	if errors.Is(err, engine.ErrStopped) {
		err = fmt.Errorf("interrupted after %s, %s: %w", count(r.Files, "file", "files"), size(r.Bytes), err)
		return a.goesOn(err, "earlier snapshots and what was read until now are safe")
	}
	if err != nil {
		return err
	}
	answer := backedUp(r)
	if err := a.ui.summary(answer, answer.text()); err != nil {
		return err
	}
	return partly(r.ProblemCount)
}

// goesOn advises to give the same command again.
func (a *app) goesOn(err error, safe string) error {
	return &advised{err, safe + "; go on with: " + a.commandLine()}
}

// A backupAnswer is the JSON of backup.
type backupAnswer struct {
	Type        string  `json:"type"`
	Snapshot    string  `json:"snapshot"`
	Files       int64   `json:"files"`
	Directories int64   `json:"directories"`
	Others      int64   `json:"others"`
	New         int64   `json:"new"`
	Changed     int64   `json:"changed"`
	Unchanged   int64   `json:"unchanged"`
	Deleted     int64   `json:"deleted"`
	Unreadable  int64   `json:"unreadable"`
	Skipped     int64   `json:"skipped"`
	Bytes       int64   `json:"bytes"`
	BytesRead   int64   `json:"bytes_read"`
	BytesNew    int64   `json:"bytes_new"`
	BytesAdded  int64   `json:"bytes_added"`
	Problems    int64   `json:"problems"`
	Seconds     float64 `json:"seconds"`
}

func backedUp(r engine.BackupReport) backupAnswer {
	return backupAnswer{
		Type: "backup", Snapshot: r.Snapshot, Files: r.Files, Directories: r.Directories, Others: r.Others,
		New: r.New, Changed: r.Changed - r.New, Unchanged: r.Unchanged, Deleted: r.Deleted, Unreadable: r.Unreadable, Skipped: r.Skipped,
		Bytes: r.Bytes, BytesRead: r.ReadBytes, BytesNew: r.NewBytes,
		BytesAdded: r.StoredBytes, Problems: r.ProblemCount, Seconds: r.Finished.Sub(r.Started).Seconds(),
	}
}

func (b backupAnswer) text() string {
	changes := []string{number(b.New) + " new", number(b.Changed) + " changed", number(b.Unchanged) + " unchanged"}
	if b.Deleted > 0 {
		changes = append(changes, number(b.Deleted)+" removed")
	}
	if b.Unreadable > 0 {
		changes = append(changes, number(b.Unreadable)+" unreadable")
	}
	if b.Skipped > 0 {
		changes = append(changes, number(b.Skipped)+" skipped")
	}
	text := count(b.Files, "file", "files") + ", " + count(b.Directories, "directory", "directories")
	if b.Others > 0 {
		text += " and " + count(b.Others, "link or special file", "links and special files")
	}
	text += ", " + size(b.Bytes) + ": " + strings.Join(changes, ", ") + "\n"
	text += fmt.Sprintf("%s read, %s new, %s added to the vault in %s%s\n",
		size(b.BytesRead), size(b.BytesNew), size(b.BytesAdded), seconds(b.Seconds), rateText(b.Bytes, b.Seconds))
	if b.Snapshot == "" {
		return text + "no snapshot: the scan did not come to its end\n"
	}
	return text + "snapshot " + shortID(b.Snapshot) + "\n"
}
