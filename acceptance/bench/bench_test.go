//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func results() []result {
	of := func(tool, phase string, run int, wall float64) result {
		return result{Tree: "a", Tool: tool, Phase: phase, Run: run, sample: sample{WallSeconds: wall, CPUSeconds: 2 * wall}, VaultBytes: 3 << 20}
	}
	return []result{of("holm", "first", 0, 5), of("restic", "first", 0, 10), of("holm", "first", 1, 1), of("holm", "first", 2, 2),
		of("restic", "check", 0, 4), of("holm", "deep check", 0, 3)}
}

func TestTheMedianOfTheRunsCounts(t *testing.T) {
	text := tabulate(results()).markdown()
	for _, want := range []string{"| first | 2.00 / 4.00", "(**0.20** · 0.20)", "| vault MiB | 3 | 3 |", "(**0.75** · 0.75)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}

func TestThePlotIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(tabulate(results()).plot("a")))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestARestoredTreeThatDiffersIsFound(t *testing.T) {
	lay := func(content string, mode os.FileMode) string {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		when := time.Unix(1_700_000_000, 5)
		if err := errors.Join(os.WriteFile(file, []byte(content), mode), os.Symlink("x", filepath.Join(dir, "link")),
			os.Chtimes(file, when, when), os.Chtimes(dir, when, when)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if err := sameTree(lay("one", 0o600), lay("one", 0o600)); err != nil {
		t.Error(err)
	}
	for _, other := range []string{lay("two", 0o600), lay("one", 0o640), t.TempDir()} {
		if sameTree(lay("one", 0o600), other) == nil {
			t.Errorf("%s: the difference is not seen", other)
		}
	}
}

func TestWordsThatAreNotKnownAreRefused(t *testing.T) {
	if _, err := parse([]string{"tree=a"}); err == nil {
		t.Error("tree=a")
	}
	if s, err := parse([]string{"runs=5", "work=/x"}); err != nil || s["runs"] != "5" || s["trees"] != "a,b,c" {
		t.Errorf("%v, %v", s, err)
	}
}
