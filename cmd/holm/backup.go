package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup PATH...",
		Short: "back up files and directories",
		Long: `Back up each PATH with everything below it. What has not changed since the last
time is not read again, and what the vault holds already is not stored again.

A symbolic link is backed up as a link. The vault and the data directory are
left out of what is backed up. What cannot be read is reported, and keeps the
state it had in the snapshot before; the exit code is then 3.`,
		Example: `  holm backup ~/Documents ~/Pictures
  holm backup --quiet /etc /home
  holm backup --json ~/Documents | tail -n 1`,
		GroupID: groupBackup,
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := absolutePaths(args, absolute)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(e *engine.Engine) error {
				r, err := e.Backup(cmd.Context(), engine.BackupOptions{Paths: paths, Progress: a.showProgress("backing up")})
				a.ui.endProgress()
				partly := a.report(r.Problems)
				if err != nil {
					return err
				}
				answer := backedUp(r)
				if err := a.ui.summary(answer, answer.text()); err != nil {
					return err
				}
				return partly
			})
		},
	}
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
	Deleted     int64   `json:"deleted"`
	Bytes       int64   `json:"bytes"`
	BytesRead   int64   `json:"bytes_read"`
	BytesNew    int64   `json:"bytes_new"`
	BytesAdded  int64   `json:"bytes_added"`
	Problems    int     `json:"problems"`
	Seconds     float64 `json:"seconds"`
}

func backedUp(r engine.BackupReport) backupAnswer {
	return backupAnswer{
		Type: "backup", Snapshot: r.Snapshot, Files: r.Files, Directories: r.Directories, Others: r.Others,
		New: r.New, Changed: r.Changed - r.New, Deleted: r.Deleted, Bytes: r.Bytes, BytesRead: r.ReadBytes, BytesNew: r.NewBytes,
		BytesAdded: r.StoredBytes, Problems: len(r.Problems), Seconds: r.Finished.Sub(r.Started).Seconds(),
	}
}

func (b backupAnswer) text() string {
	changes := number(b.New) + " new, " + number(b.Changed) + " changed"
	if b.Deleted > 0 {
		changes += ", " + number(b.Deleted) + " gone"
	}
	text := fmt.Sprintf("%s, %s (%s); %s read, %s added to the vault in %s\n",
		count(b.Files, "file", "files"), size(b.Bytes), changes, size(b.BytesRead), size(b.BytesAdded), seconds(b.Seconds))
	if b.Snapshot == "" {
		return text + "no snapshot: the scan did not come to its end\n"
	}
	return text + "snapshot " + shortID(b.Snapshot) + "\n"
}
