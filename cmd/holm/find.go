package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holm.example/engine"
)

// findFlags are what the command line says of what is wanted.
type findFlags struct {
	at                 string
	all, fold, long    bool
	size, newer, older string
	kinds              []string
}

func newFind(a *app) *cobra.Command {
	var f findFlags
	cmd := &cobra.Command{
		Use:   "find PATTERN...",
		Short: "find files in snapshots",
		Long: `List what fits any PATTERN, with the snapshot that has it. A PATTERN without a
slash is about names, wherever they are; one with slashes about the end of
paths, or with a slash at the beginning about whole paths, as they were when
they were backed up. * stands for any characters of a name, ? for one, [a-z] for
one of those, ** for any number of directories. Quote it, or the shell takes it.

With --all every snapshot of every device is searched. Each state of a file is
listed once, with the newest snapshot that has it and the number of those that
do.

SIZE is a number of bytes, or with K, M, G or T: 10M is exactly that, +10M that
or more, -10M less. TIME is a date, a time, or an age such as 90m, 12h, 7d, 2w.`,
		Example: `  holm find '*.odt'
  holm find --all --long 'letter*'
  holm find 'src/**/*.go' --newer 7d --size +100K
  holm find --at 3f2a9c81 --type symlink '*'`,
		GroupID: groupBackup,
		Args:    arguments(1, -1, "PATTERN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.all && cmd.Flags().Changed("at") {
				return usage(cmd, "--all and --at contradict each other")
			}
			fits, err := f.wanted(cmd, args, a.now())
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(e *engine.Engine) error {
				found := false
				err := e.Find(cmd.Context(), engine.FindOptions{At: f.at, All: f.all, Fits: fits}, func(m engine.Match) error {
					found = true
					return a.showMatch(&m, &f)
				})
				switch {
				case err != nil || found:
				case f.all:
					a.ui.note("nothing fits in any snapshot")
				default:
					a.ui.note("nothing fits in this snapshot; --all searches every one")
				}
				return err
			})
		},
	}
	a.registerAt(cmd, &f.at)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "search all snapshots of all devices")
	flags.BoolVarP(&f.fold, "ignore-case", "i", false, "capital and small letters are the same")
	flags.BoolVarP(&f.long, "long", "l", false, "show mode, size and time too")
	flags.StringVar(&f.size, "size", "", "only files of this `SIZE`")
	flags.StringVar(&f.newer, "newer", "", "only what was modified at `TIME` or later")
	flags.StringVar(&f.older, "older", "", "only what was modified before `TIME`")
	flags.StringSliceVar(&f.kinds, "type", nil, "only these `types`: file, directory, symlink, fifo, socket, device")
	cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(entryKinds(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// entryKinds are the words of kindOf.
func entryKinds() []string {
	return []string{"file", "directory", "symlink", "fifo", "socket", "device"}
}

// wanted makes the function that tells which entries are wanted.
func (f *findFlags) wanted(cmd *cobra.Command, patterns []string, now time.Time) (func(*engine.Entry) bool, error) {
	var globs []*glob
	for _, p := range patterns {
		g, err := newGlob(p, f.fold)
		if err != nil {
			return nil, usage(cmd, "no pattern: "+quoteName(p))
		}
		globs = append(globs, g)
	}
	for _, k := range f.kinds {
		if !slices.Contains(entryKinds(), k) {
			return nil, usage(cmd, "--type: "+quoteName(k)+" is none of "+strings.Join(entryKinds(), ", "))
		}
	}
	least, most, err := sizeRange(f.size)
	if err != nil {
		return nil, usage(cmd, "--size: "+quoteName(f.size)+" is no size such as 10M, +10M or -10M")
	}
	var from, until time.Time
	for _, bound := range []struct {
		name, text string
		at         *time.Time
	}{{"newer", f.newer, &from}, {"older", f.older, &until}} {
		if bound.text == "" {
			continue
		}
		var ok bool
		if *bound.at, ok = parseWhen(bound.text, now); !ok {
			return nil, usage(cmd, "--"+bound.name+": "+quoteName(bound.text)+" is no time such as 2026-11-23, \"2026-11-23 18:00\" or 7d")
		}
	}
	return func(e *engine.Entry) bool {
		kind := kindOf(e.Mode)
		return (len(f.kinds) == 0 || slices.Contains(f.kinds, kind)) &&
			(f.size == "" || kind == "file" && e.SizeBytes >= least && e.SizeBytes <= most) &&
			(f.newer == "" || !e.ModTime.Before(from)) && (f.older == "" || e.ModTime.Before(until)) &&
			slices.ContainsFunc(globs, func(g *glob) bool { return g.fits(e.Path) })
	}, nil
}

// sizeRange is which sizes a text wants, both ends included.
func sizeRange(text string) (least, most int64, err error) {
	if text == "" {
		return 0, math.MaxInt64, nil
	}
	digits := strings.TrimLeft(text, "+-")
	sign := text[:len(text)-len(digits)]
	unit := int64(1)
	if n := len(digits); n > 0 {
		if i := strings.IndexByte("KMGT", digits[n-1]&^0x20); i >= 0 {
			unit, digits = 1<<(10*(i+1)), digits[:n-1]
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || len(sign) > 1 || !(n >= 0) || n*float64(unit) > 1<<60 {
		return 0, 0, strconv.ErrSyntax
	}
	bytes := int64(n * float64(unit))
	switch sign {
	case "+":
		return bytes, math.MaxInt64, nil
	case "-":
		return 0, bytes - 1, nil
	}
	return bytes, bytes, nil
}

// parseWhen reads a point in time, or an age. A date means its beginning.
func parseWhen(text string, now time.Time) (time.Time, bool) {
	if n := len(text); n > 1 {
		units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
		if unit, ok := units[text[n-1]]; ok {
			if age, err := strconv.ParseFloat(text[:n-1], 64); err == nil && age >= 0 && age < 1e6 {
				return now.Add(-time.Duration(age * float64(unit))), true
			}
		}
	}
	from, _, ok := engine.ParseTime(text)
	return from, ok
}

// A matchAnswer is the JSON of what was found.
type matchAnswer struct {
	entryAnswer
	Device     string   `json:"device"`
	DeviceName string   `json:"device_name"`
	Snapshots  []string `json:"snapshots"`
}

func (a *app) showMatch(m *engine.Match, f *findFlags) error {
	if a.ui.json {
		answer := matchAnswer{entryObject(&m.Entry), m.DeviceID, m.DeviceName, m.Snapshots}
		answer.Type = "match"
		return a.ui.answer(answer, "")
	}
	text := shortID(m.Snapshots[len(m.Snapshots)-1]) + "  "
	if f.all {
		text += fmt.Sprintf("%5s  ", number(int64(len(m.Snapshots))))
	}
	return a.ui.answer(nil, text+entryText(&m.Entry, f.long)+"\n")
}
