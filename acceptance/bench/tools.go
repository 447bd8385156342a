//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"holm.example/acceptance/root"
)

// firstRoad is the commit whose holm is the baseline: one goroutine, one bbolt
// file.
const firstRoad = "6237e86"

// tool is a backup program: the words of its commands, in which {vault},
// {tree}, {parent} and {base} (of the tree), {to}, {dir} and {run} stand for
// paths, and for the number of the command.
type tool struct {
	name    string
	version []string
	env     []string
	init    []string
	does    map[string][]string // the words of its phases
	prepare map[string][]string // what is done before a phase and not measured
	enter   []string
}

func holm(name, program string, parity []string) tool {
	backup := []string{program, "backup", "-q", "{tree}"}
	return tool{name: name, env: []string{"HOLM_DATA_DIR={dir}/data"},
		version: []string{program, "version"},
		init:    slices.Concat([]string{program, "init", "-q", "--passphrase-file", "{dir}/passphrase"}, parity, []string{"{vault}"}),
		does: map[string][]string{"first": backup, "unchanged": backup, "changed": backup, "moved": backup,
			"restore": {program, "restore", "-q", "--to", "{to}"},
			"check":   {program, "check", "-q", "--read-data"},
			"deep":    {program, "check", "-q", "--read-data=deep"}}}
}

// peer is restic or borg.
func peer(name string, enter []string) tool {
	if name == "restic" {
		backup := []string{"restic", "backup", "-q", "{tree}"}
		return tool{name: name, enter: enter, version: []string{"restic", "version"},
			env:  []string{"RESTIC_PASSWORD=bench", "RESTIC_REPOSITORY={vault}", "RESTIC_CACHE_DIR={dir}/cache"},
			init: []string{"restic", "init", "-q"},
			does: map[string][]string{"first": backup, "unchanged": backup, "changed": backup, "moved": backup,
				"restore": {"restic", "restore", "-q", "latest", "--target", "{to}"},
				"check":   {"restic", "check", "-q", "--read-data"}}}
	}
	backup := []string{"borg", "create", "::{run}", "{tree}"}
	return tool{name: name, enter: enter, version: []string{"borg", "--version"},
		env:  []string{"BORG_PASSPHRASE=bench", "BORG_REPO={vault}", "BORG_BASE_DIR={dir}/cache"},
		init: []string{"borg", "init", "-e", "repokey-blake2"},
		does: map[string][]string{"first": backup, "unchanged": backup, "changed": backup, "moved": backup,
			"restore": {"sh", "-c", `cd "$0" && exec borg extract ::{last}`, "{to}"},
			"check":   {"borg", "check", "--verify-data"}}}
}

// floor is what no backup program can do without.
func floor() tool {
	return tool{name: "floor", version: []string{"tar", "--version"},
		does: map[string][]string{
			"unchanged": {"find", "{tree}", "-newer", "{dir}/passphrase", "-size", "-1"}, // asks for the state of every file
			"restore":   {"tar", "-C", "{to}", "-xf", "{dir}/tree.tar"}},
		prepare: map[string][]string{"restore": {"tar", "-C", "{parent}", "--format=posix", "-cf", "{dir}/tree.tar", "{base}"}}}
}

// findTools makes the tools. cleanup is to be called in any case.
func (b *bench) findTools(ctx context.Context, s settings) (cleanup func(), err error) {
	cleanup = func() {}
	program, err := filepath.Abs(s["holm"])
	if err != nil {
		return cleanup, err
	}
	knowsParity := false
	if out, err := exec.CommandContext(ctx, program, "init", "--help").Output(); err != nil {
		return cleanup, fmt.Errorf("asking %s for its options, which make build makes: %w", program, err)
	} else if strings.Contains(string(out), "--no-parity") {
		knowsParity = true
	}
	var plain, parity []string
	if knowsParity {
		plain, parity = []string{"--no-parity"}, []string{"--parity"}
	}
	var enter []string
	for _, name := range strings.Split(s["tools"], ",") {
		switch name {
		case "holm":
			b.tools = append(b.tools, holm(name, program, plain))
		case "parity":
			if !knowsParity {
				fmt.Fprintln(os.Stderr, "bench: left out: this holm has no parity")
				continue
			}
			t := holm(name, program, parity)
			t.does = map[string][]string{"first": t.does["first"]}
			b.tools = append(b.tools, t)
		case "baseline":
			old, err := b.baseline(ctx)
			if err != nil {
				return cleanup, err
			}
			t := holm(name, old, nil)
			delete(t.does, "deep")
			b.tools = append(b.tools, t)
		case "restic", "borg":
			if enter == nil {
				if enter, cleanup, err = b.peers(ctx); err != nil {
					return cleanup, err
				}
			}
			b.tools = append(b.tools, peer(name, enter))
		case "floor":
			b.tools = append(b.tools, floor())
		default:
			return cleanup, fmt.Errorf("tools=%s: want holm, parity, restic, borg, baseline or floor", name)
		}
	}
	if b.limit > 0 {
		return b.limitTools(cleanup)
	}
	return cleanup, nil
}

// limitTools has every tool twice: as it is, and in a cgroup.
func (b *bench) limitTools(also func()) (cleanup func(), err error) {
	group, remove, err := memoryGroup(b.limit << 20)
	cleanup = func() { remove(); also() }
	if err != nil {
		return cleanup, fmt.Errorf("making a cgroup: %w", err)
	}
	var twice []tool
	for _, t := range b.tools {
		limited := t
		limited.name, limited.enter = t.name+limitedSuffix, enterGroup(group)
		t.name += freeSuffix
		twice = append(twice, t, limited)
	}
	b.tools = twice
	return cleanup, nil
}

// Ends of the names of tools that are measured for a limit of memory.
const (
	freeSuffix    = " free"
	limitedSuffix = " limited"
)

// peers unpacks a root that has restic and borg and says how to enter it. Where
// roots cannot be had, the host's own programs do; their versions stand in the
// tables in any case.
func (b *bench) peers(ctx context.Context) (enter []string, cleanup func(), err error) {
	cache, err := root.Open(ctx)
	if errors.Is(err, root.ErrUnavailable) {
		fmt.Fprintln(os.Stderr, "bench: restic and borg are those of this host:", err)
		return []string{"sh", "-euc", entered + `"$@"`, "sh"}, func() {}, nil
	}
	if err != nil {
		return nil, func() {}, fmt.Errorf("opening the cache of roots: %w", err)
	}
	cleanup = func() { _ = cache.Close() }
	base, err := cache.Base(ctx, root.Spec{Suite: "sid", Packages: []string{"restic", "borgbackup"}})
	if err != nil {
		return nil, cleanup, err
	}
	// In a mount namespace of its own, with the work directory where it is outside.
	script := `r=$0; mkdir -p "$r$1"; mount --bind "$1" "$r$1"; mount --bind /dev "$r/dev"; mount -t proc proc "$r/proc"; shift; ` + entered + `chroot "$r" "$@"`
	return []string{"unshare", "--mount", "sh", "-euc", script, base.Dir(), b.work}, cleanup, nil
}

// baseline builds holm of the first road from the history.
func (b *bench) baseline(ctx context.Context) (string, error) {
	program := filepath.Join(b.work, "holm-"+firstRoad)
	if exists(program) {
		return program, nil
	}
	dir, err := os.MkdirTemp(b.work, "baseline-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	script := `git archive -o "$2/source.tar" "$1"; cd "$2"; tar -xf source.tar; go build -trimpath -o "$3" ./cmd/holm`
	out, err := exec.CommandContext(ctx, "sh", "-euc", script, "baseline", firstRoad, dir, program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the baseline, which needs the whole history of the source: %w: %s", err, out)
	}
	return program, nil
}
