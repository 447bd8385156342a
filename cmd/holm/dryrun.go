package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"holm.example/engine"
)

// A wouldAnswer is the JSON of what a restore would do with one entry.
type wouldAnswer struct {
	Type   string `json:"type"`
	Action string `json:"action"`
	jsonName
	At   *jsonName `json:"at,omitempty"`
	Kind string    `json:"kind"`
	Size int64     `json:"size"`
}

// A dryAnswer is the JSON of restore --dry-run.
type dryAnswer struct {
	restoreAnswer
	Created  int64 `json:"created"`
	Replaced int64 `json:"replaced"`
	Entered  int64 `json:"entered"`
}

// actionWord is the word for what would be done.
func actionWord(a engine.RestoreAction) string {
	return map[engine.RestoreAction]string{engine.RestoreCreate: "create", engine.RestoreReplace: "replace",
		engine.RestoreEnter: "enter", engine.RestoreRename: "rename"}[a]
}

// dryRestore says what restore would do, and ends as it would.
func (a *app) dryRestore(ctx context.Context, o engine.RestoreOptions) error {
	o.Problem = a.problem
	return a.with(ctx, func(e *engine.Engine) error {
		var n [engine.RestoreRename + 1]int64
		r, err := e.DryRestore(ctx, o, func(s engine.RestoreStep) error {
			n[s.Action]++
			if !a.ui.verbose {
				return nil
			}
			return a.showStep(s)
		})
		if !r.Complete {
			return err
		}
		if err == nil && r.ProblemCount > 0 && r.Files+r.Directories+r.Others == 0 {
			return errNothingRestored
		}
		answer := dryAnswer{restored(r, o.To), n[engine.RestoreCreate], n[engine.RestoreReplace], n[engine.RestoreEnter]}
		answer.DryRun = true
		var parts []string
		for _, part := range []struct {
			n    int64
			text string
		}{{answer.Created, "created"}, {answer.Replaced, "replaced"}, {answer.Entered, "entered"}, {answer.Renamed, "renamed"}} {
			if part.n > 0 {
				parts = append(parts, number(part.n)+" "+part.text)
			}
		}
		text := fmt.Sprintf("would restore %s, %s into %s: %s\n", answer.what(), fromSnapshot(r.Snapshot), quoteName(o.To), strings.Join(parts, ", "))
		if err := errors.Join(err, a.ui.answer(answer, text)); err != nil {
			return err
		}
		return partly(r.ProblemCount)
	})
}

// showStep shows what would be done with one entry.
func (a *app) showStep(s engine.RestoreStep) error {
	answer := wouldAnswer{"would", actionWord(s.Action), nameForJSON(s.Path), nil, kindOf(s.Mode), s.SizeBytes}
	text := fmt.Sprintf("%-7s  %s", answer.Action, quoteName(s.Path))
	if s.Action == engine.RestoreRename {
		at := nameForJSON(s.At)
		answer.At = &at
		text += " -> " + quoteName(s.At)
	}
	return a.ui.answer(answer, text+"\n")
}
