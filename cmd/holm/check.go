package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

// The values of check --read-data.
const (
	readSeals = "seals"
	readDeep  = "deep"
)

func newCheck(a *app) *cobra.Command {
	var depth string
	var repair bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "verify the vault",
		Long: `Verify the vault: that every journal is whole and signed, and that everything a
snapshot needs is there. With --read-data all data is read and every seal is
opened, which finds every changed bit. With --read-data=deep everything is
inflated and every chunk compared with its id too.

With --repair a copy of vault.json or of a wrapped key that is missing or
damaged is put back from the other one, all data is read, and what is in no
whole pack is stored again: from what can still be read of the damaged packs,
and else from the sources of this device, which are read as by a backup, but
without a snapshot. What parity makes good of the journals is stored again too.

Damage is named object by object, and so are the files that are lost by it; the
exit code is then 4, also if all of it is repairable from parity ("holm init"):
then nothing is lost yet, a restore gives everything, and the disk is not to be
trusted. A damaged pack of which everything is in other packs as well is a
warning.`,
		Example: "  holm check\n  holm check --read-data\n  holm check --read-data=deep\n  holm check --repair",
		GroupID: groupVault,
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := engine.CheckOptions{Repair: repair, Progress: a.showProgress("check", "checking", "pack", "packs"),
				Repairing: a.showRepair()}
			switch depth {
			case "":
			case readSeals:
				o.ReadData = true
			case readDeep:
				o.ReadData, o.Deep = true, true
			default:
				return usage(cmd, fmt.Sprintf("--read-data=%s: it is %s or %s", depth, readSeals, readDeep))
			}
			return a.check(cmd, o)
		},
	}
	cmd.Flags().StringVar(&depth, "read-data", "", "read all data and open every seal; `deep`: verify every chunk id too")
	cmd.Flags().Lookup("read-data").NoOptDefVal = readSeals
	cmd.Flags().BoolVar(&repair, "repair", false, "store again what is damaged or missing")
	return cmd
}

// A checkAnswer is the JSON of check.
type checkAnswer struct {
	Type string `json:"type"`
	// Complete is false if an error ended the check: the rest is what was found
	// until then.
	Complete  bool  `json:"complete"`
	Devices   int64 `json:"devices"`
	Segments  int64 `json:"segments"`
	Snapshots int64 `json:"snapshots"`
	Entries   int64 `json:"entries"`
	Packs     int64 `json:"packs"`
	DeadPacks int64 `json:"dead_packs"`
	Chunks    int64 `json:"chunks"`
	BytesRead int64 `json:"bytes_read"`
	Problems  int   `json:"problems"`
	// Repairable are those of the problems that cost nothing.
	Repairable int64   `json:"repairable"`
	Warnings   int     `json:"warnings"`
	Repaired   int     `json:"repaired"`
	Stored     int64   `json:"chunks_repaired"`
	Lacking    int64   `json:"chunks_lacking"`
	Lost       int64   `json:"files_damaged"`
	Seconds    float64 `json:"seconds"`
}

func checked(r engine.CheckReport, complete bool) checkAnswer {
	return checkAnswer{
		Type: "check", Complete: complete, Devices: r.Devices, Segments: r.Segments, Snapshots: r.Snapshots, Entries: r.Entries, Packs: r.Packs,
		DeadPacks: r.DeadPacks, Chunks: r.Chunks, BytesRead: r.ReadBytes, Problems: len(r.Problems), Repairable: r.Repairable,
		Warnings: len(r.Warnings), Repaired: len(r.Repaired), Stored: r.RepairedChunks, Lacking: r.LackingChunks, Lost: r.DamagedFiles,
		Seconds: r.Finished.Sub(r.Started).Seconds(),
	}
}

func (c checkAnswer) text() string {
	text := fmt.Sprintf("%s, %s, %s, %s, %s", count(c.Devices, "device", "devices"), count(c.Segments, "segment", "segments"),
		count(c.Snapshots, "snapshot", "snapshots"), count(c.Packs, "pack", "packs"), count(c.Chunks, "chunk", "chunks"))
	if c.BytesRead > 0 {
		text += ", " + size(c.BytesRead) + " read"
	}
	text += " in " + seconds(c.Seconds) + rateText(c.BytesRead, c.Seconds)
	if c.DeadPacks > 0 {
		text += "\n" + count(c.DeadPacks, "pack", "packs") + " without use, left by runs that were stopped"
	}
	if c.Repaired > 0 {
		text += "\n" + count(int64(c.Repaired), "object was", "objects were") + " damaged or missing, and put back"
	}
	if c.Stored > 0 {
		text += "\n" + count(c.Stored, "chunk", "chunks") + " stored again"
	}
	switch {
	case c.Problems > 0:
		text += "\n" + c.damage()
	case c.Warnings > 0:
		text += "\nnothing is lost, but " + count(int64(c.Warnings), "pack is", "packs are") + " damaged"
	case !c.Complete:
		text += "\nnothing damaged was found"
	case c.Stored > 0:
		text += "\nnothing is lost any more"
	default:
		text += "\nthe vault is sound"
	}
	if !c.Complete {
		text += " so far: the check did not come to its end"
	}
	return text + "\n"
}

// damage is the line about problems.
func (c checkAnswer) damage() string {
	text := count(int64(c.Problems), "object is", "objects are") + " damaged"
	if c.Repairable > 0 {
		text += ", of which parity makes " + strconv.FormatInt(c.Repairable, 10) + " good: nothing of that is lost"
	}
	if c.Lost > 0 && c.Repairable > 0 {
		text += "; the content of " + count(c.Lost, "file", "files") + " is lost"
	} else if c.Lost > 0 {
		text += ", and the content of " + count(c.Lost, "file", "files") + " is lost"
	}
	return text
}

// showRepair is the progress of reading the sources again, which is another
// work than checking.
func (a *app) showRepair() func(engine.Progress) {
	begun := false
	show := a.showProgress("check", "repairing", "file", "files")
	return func(p engine.Progress) {
		if !begun {
			begun = true
			a.ui.endProgress()
		}
		show(p)
	}
}

func (a *app) check(cmd *cobra.Command, o engine.CheckOptions) error {
	return a.with(cmd.Context(), func(e *engine.Engine) error {
		r, ended := e.Check(cmd.Context(), o)
		a.ui.endProgress()
		begun := r.Devices > 0 || r.Packs > 0 || len(r.Repaired) > 0 || len(r.Problems) > 0
		if ended != nil && !begun {
			return ended
		}
		a.tellChecked(r)
		answer := checked(r, ended == nil)
		if err := a.ui.summary(answer, answer.text()); err != nil {
			return errors.Join(ended, err)
		}
		if ended == nil && len(r.Problems) > 0 {
			return &advised{fmt.Errorf("checking the vault: %w", engine.ErrDamaged), checkHint(r, o.Repair)}
		}
		return ended
	})
}

// tellChecked tells what a check has found and put back.
func (a *app) tellChecked(r engine.CheckReport) {
	for _, was := range r.Repaired {
		a.ui.note("put back: %v", was)
	}
	for _, w := range r.Warnings {
		a.ui.warning(w.Path, w.Err)
	}
	for _, p := range slices.Concat(r.Problems, r.LostFiles) {
		a.problem(p)
	}
	if more := r.DamagedFiles - int64(len(r.LostFiles)); more > 0 {
		a.ui.warn("%s more are not named", count(more, "file", "files"))
	}
	if r.SingleKeys > 0 {
		a.ui.note("%s no second copy yet; \"holm check --repair\" makes it", count(r.SingleKeys, "wrapped key has", "wrapped keys have"))
	}
}

// checkHint is what can be done about the problems that a check has found.
func checkHint(r engine.CheckReport, repaired bool) string {
	switch {
	case r.Repairable == int64(len(r.Problems)) && repaired:
		return "nothing is lost; copy the vault to a disk that can be trusted"
	case r.Repairable == int64(len(r.Problems)):
		return `nothing is lost; copy the vault to a disk that can be trusted; "holm check --repair" stores again what damaged packs hold`
	case repaired:
		return "what is left is not on this device any more; another device, or a copy of the vault, may have it"
	}
	return `"holm check --repair" stores again what the vault or the sources of this device still hold`
}
