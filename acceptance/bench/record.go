//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// record is all that was measured; benchmarks.json is its JSON.
type record struct {
	Machine  string
	Versions map[string]string   // by tool
	Trees    map[string]treeSize // by name
	Results  []result

	out     string // directory of the pages
	session string // when this measurement began
}

// result is what one phase of one tool took.
type result struct {
	Session           string // when its measurement began: equal for what can be compared
	Tree, Tool, Phase string
	Run               int
	Count             int64 `json:",omitempty"` // how much the source holds, where its growth is measured
	LimitMiB          int64 `json:",omitempty"` // the limit that free and limited tools are measured for
	sample
	VaultBytes  int64  `json:",omitempty"` // after first
	ParityBytes int64  `json:",omitempty"` // of these
	Failed      string `json:",omitempty"` // what a tool said that failed in a limit
}

// treeSize is what a tree holds.
type treeSize struct{ Files, Bytes int64 }

// openRecord reads what was measured before.
func openRecord(out string, now time.Time) (*record, error) {
	r := &record{out: out, session: now.UTC().Format(time.RFC3339)}
	data, err := os.ReadFile(r.file())
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", r.file(), err)
	}
	if r.Versions == nil {
		r.Versions = map[string]string{}
	}
	if r.Trees == nil {
		r.Trees = map[string]treeSize{}
	}
	return r, nil
}

func (r *record) file() string { return filepath.Join(r.out, "benchmarks.json") }

// describeTree notes what a tree holds.
func (r *record) describeTree(name, dir string) error {
	var t treeSize
	err := eachFile(dir, func(_ string, info fs.FileInfo) error {
		t.Files, t.Bytes = t.Files+1, t.Bytes+info.Size()
		return nil
	})
	r.Trees[name] = t
	return err
}

// add takes a result; those of an earlier measurement of the same give way.
func (r *record) add(n result) {
	n.Session, r.Machine = r.session, machine()
	r.Results = slices.DeleteFunc(r.Results, func(o result) bool {
		return o.Session != n.Session && o.Tree == n.Tree && o.Tool == n.Tool && o.Phase == n.Phase && o.Count == n.Count
	})
	r.Results = append(r.Results, n)
}

// save keeps the results: whole, or as they were before.
func (r *record) save() error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	half := r.file() + ".half"
	if err := os.WriteFile(half, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(half, r.file())
}

// machine says on what it was measured.
func machine() string {
	processor, memory, system := "unknown processor", "", ""
	for _, line := range lines("/proc/cpuinfo") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			processor = strings.TrimSpace(value)
			break
		}
	}
	for _, line := range lines("/proc/meminfo") {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			memory = fmt.Sprintf(", %.0f GiB", float64(kib)/(1<<20))
		}
	}
	for _, line := range lines("/etc/os-release") {
		if value, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			system = ", " + strings.Trim(value, `"`)
		}
	}
	for _, line := range lines("/proc/sys/kernel/osrelease") {
		system += ", Linux " + line
		break
	}
	return fmt.Sprintf("%d cores of %s%s%s, %s", runtime.NumCPU(), processor, memory, system, runtime.Version())
}

// lines of a file, none if it cannot be read.
func lines(name string) []string {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
