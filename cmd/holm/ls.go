package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

func newLs(a *app) *cobra.Command {
	var (
		at              string
		long, recursive bool
	)
	cmd := &cobra.Command{
		Use:   "ls [PATH]",
		Short: "list files in a snapshot",
		Long: `List what a snapshot holds below PATH, or its sources if no PATH is given. PATH
is where the file was when it was backed up.`,
		Example: `  holm ls
  holm ls --long ~/Documents
  holm ls --at 3f2a9c81 --recursive /etc
  holm ls --at "2026-11-23 18:00" ~/Documents`,
		GroupID: groupBackup,
		Args:    arguments(0, 1, "PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := engine.ListOptions{At: at, Recursive: recursive}
			if len(args) > 0 {
				var err error
				if o.Path, err = snapshotPath(args[0]); err != nil {
					return err
				}
			}
			return a.with(cmd.Context(), func(e *engine.Engine) error {
				return e.List(cmd.Context(), o, func(entry engine.Entry) error { return a.showEntry(entry, long) })
			})
		},
	}
	a.registerAt(cmd, &at)
	cmd.Flags().BoolVarP(&long, "long", "l", false, "show mode, size and time too")
	cmd.Flags().BoolVarP(&recursive, "recursive", "R", false, "list directories below as well")
	return cmd
}

// An entryAnswer is the JSON of one file, directory or link.
type entryAnswer struct {
	Type string `json:"type"`
	jsonName
	Kind   string    `json:"kind"`
	Mode   string    `json:"mode"`
	Size   int64     `json:"size"`
	Time   string    `json:"time"`
	UID    uint32    `json:"uid"`
	GID    uint32    `json:"gid"`
	Target *jsonName `json:"target,omitempty"`
}

func (a *app) showEntry(e engine.Entry, long bool) error {
	if a.ui.json {
		return a.ui.answer(entryObject(&e), "")
	}
	return a.ui.answer(nil, entryText(&e, long)+"\n")
}

func entryObject(e *engine.Entry) entryAnswer {
	answer := entryAnswer{"entry", nameForJSON(e.Path), kindOf(e.Mode), posixMode(e.Mode), e.SizeBytes, stamp(e.ModTime), e.UID, e.GID, nil}
	if e.Target != "" {
		target := nameForJSON(e.Target)
		answer.Target = &target
	}
	return answer
}

// entryText is an entry as a line, without its end.
func entryText(e *engine.Entry, long bool) string {
	if !long {
		return quoteName(e.Path)
	}
	text := fmt.Sprintf("%s %11s  %s  %s", permissions(e.Mode), size(e.SizeBytes), clock(e.ModTime), quoteName(e.Path))
	if e.Target != "" {
		text += " -> " + quoteName(e.Target)
	}
	return text
}

// registerAt adds the flag that says which snapshot is meant.
func (a *app) registerAt(cmd *cobra.Command, at *string) {
	cmd.Flags().StringVar(at, "at", "latest", "`snapshot`: latest (of this device, if it has any), an id or its beginning, or a point in time")
	cmd.RegisterFlagCompletionFunc("at", a.completeSnapshots(1))
}
