package main

import (
	"fmt"
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
inflated and every chunk compared with its id too. With --repair a copy of
vault.json or of a wrapped key that is missing or damaged is put back from the
other one first; other damage stays as it is and is reported.

Damage is named object by object; the exit code is then 4, also if all of it is
repairable from parity ("holm init"): then nothing is lost yet, a restore gives
everything, and the disk is not to be trusted.`,
		Example: "  holm check\n  holm check --read-data\n  holm check --read-data=deep\n  holm check --repair",
		GroupID: groupVault,
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := engine.CheckOptions{Repair: repair, Progress: a.showProgress("check", "checking", "pack", "packs")}
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
	cmd.Flags().BoolVar(&repair, "repair", false, "put back damaged or missing copies of vault.json and of the keys")
	return cmd
}

// A checkAnswer is the JSON of check.
type checkAnswer struct {
	Type      string `json:"type"`
	Devices   int64  `json:"devices"`
	Segments  int64  `json:"segments"`
	Snapshots int64  `json:"snapshots"`
	Entries   int64  `json:"entries"`
	Packs     int64  `json:"packs"`
	DeadPacks int64  `json:"dead_packs"`
	Chunks    int64  `json:"chunks"`
	BytesRead int64  `json:"bytes_read"`
	Problems  int    `json:"problems"`
	// Repairable are those of the problems that cost nothing.
	Repairable int64   `json:"repairable"`
	Repaired   int     `json:"repaired"`
	Seconds    float64 `json:"seconds"`
}

func checked(r engine.CheckReport) checkAnswer {
	return checkAnswer{
		Type: "check", Devices: r.Devices, Segments: r.Segments, Snapshots: r.Snapshots, Entries: r.Entries, Packs: r.Packs,
		DeadPacks: r.DeadPacks, Chunks: r.Chunks, BytesRead: r.ReadBytes, Problems: len(r.Problems), Repairable: r.Repairable, Repaired: len(r.Repaired), Seconds: r.Finished.Sub(r.Started).Seconds(),
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
	if c.Problems > 0 {
		text += "\n" + count(int64(c.Problems), "object is", "objects are") + " damaged"
		if c.Repairable > 0 {
			text += ", of which parity makes " + strconv.FormatInt(c.Repairable, 10) + " good: nothing of that is lost"
		}
		return text + "\n"
	}
	return text + "\nthe vault is sound\n"
}

func (a *app) check(cmd *cobra.Command, o engine.CheckOptions) error {
	return a.with(cmd.Context(), func(e *engine.Engine) error {
		r, err := e.Check(cmd.Context(), o)
		a.ui.endProgress()
		for _, was := range r.Repaired {
			a.ui.note("put back: %v", was)
		}
		if err != nil {
			return err
		}
		a.report(r.Problems)
		if r.SingleKeys > 0 {
			a.ui.note("%s no second copy yet; \"holm check --repair\" makes it", count(r.SingleKeys, "wrapped key has", "wrapped keys have"))
		}
		answer := checked(r)
		if err := a.ui.summary(answer, answer.text()); err != nil {
			return err
		}
		if len(r.Problems) == 0 {
			return nil
		}
		err = fmt.Errorf("checking the vault: %w", engine.ErrDamaged)
		if r.Repairable == int64(len(r.Problems)) {
			err = &advised{err, "nothing is lost; copy the vault to a disk that can be trusted"}
		}
		return err
	})
}
