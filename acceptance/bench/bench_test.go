//go:build linux

package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// measured is a record of a few results, as a run would leave it.
func measured() *record {
	r := &record{session: "2026-01-02T03:04:05Z", Versions: map[string]string{"restic": "restic 1"}, Trees: map[string]treeSize{"a": {7, 3 << 20}}}
	for n, wall := range []float64{5, 1, 2} {
		r.add(result{Tree: "a", Tool: "holm", Phase: "first", Run: n, sample: sample{wall, 2 * wall, 30 << 20, 20 << 20, 10 << 20}, VaultBytes: 3 << 20})
	}
	r.add(result{Tree: "a", Tool: "restic", Phase: "first", sample: sample{10, 20, 130 << 20, 120 << 20, 90 << 20}, VaultBytes: 4 << 20})
	r.add(result{Tree: "a", Tool: "restic", Phase: "check", sample: sample{4, 8, 0, 0, 0}})
	r.add(result{Tree: "a", Tool: "holm", Phase: "deep", sample: sample{3, 6, 0, 50 << 20, 0}})
	for count := int64(10); count <= 1000; count *= 10 {
		r.add(result{Tree: "files", Tool: "holm", Phase: "first", Count: count, sample: sample{1, 1, 40 << 20, 31 << 20, 20 << 20}})
	}
	r.add(result{Tree: "a", Tool: "holm free", Phase: "first", LimitMiB: 64, sample: sample{WallSeconds: 2}})
	r.add(result{Tree: "a", Tool: "holm limited", Phase: "first", LimitMiB: 64, sample: sample{WallSeconds: 3}})
	r.add(result{Tree: "a", Tool: "holm free", Phase: "check", LimitMiB: 64, sample: sample{WallSeconds: 2}})
	r.add(result{Tree: "a", Tool: "holm limited", Phase: "check", LimitMiB: 64, Failed: "signal: killed"})
	return r
}

func TestTheTablesHoldMediansRatiosGoalsAndWhatFailed(t *testing.T) {
	text := measured().markdown()
	for _, want := range []string{
		"| first | 2.00 · 4.00 (**0.20** · 0.20) | 10.00 · 20.00 |",
		"| vault MiB | 3 (**0.75**) | 4 |",
		"| first | 30 / 20 / 10 | 130 / 120 / 90 |",
		"| check --read-data=deep | 3.00 · 6.00 (**0.75** · 0.75) | – |",
		"| first, wall ÷ restic | 0.6 | 0.2 | yes |",
		"| highest anonymous memory of any phase on any tree, MiB | 48 | 50 | **no** |",
		"| slowest phase in a limit of memory, wall ÷ without | 1.2 | +Inf | **no** |",
		"| first | 2.00 → 3.00 (**1.50**) |",
		"| check --read-data | **failed**, 1 of 1 |",
		"| files | 10 | 100 | 1\u2009000 |",
		"| first | 31 / 20 · 1.0 s |",
		"- restic: restic 1",
		"### Tree (a): 7 files, 3 MiB",
		"Runs: 3, on 2026-01-02.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}

func TestALaterMeasurementTakesThePlaceOfAnEarlierOne(t *testing.T) {
	r := measured()
	r.session = "2026-02-03T04:05:06Z"
	r.add(result{Tree: "a", Tool: "holm", Phase: "first", sample: sample{WallSeconds: 7, CPUSeconds: 7}})
	text := r.markdown()
	if !strings.Contains(text, "| first | 7.00 · 7.00 (**0.70** · 0.35) |") {
		t.Errorf("the new figure is not alone in\n%s", text)
	}
	if !strings.Contains(text, "Not all of it is of one measurement") {
		t.Errorf("two measurements are not told apart in\n%s", text)
	}
}

func TestThePlotsAreXML(t *testing.T) {
	r := measured()
	c := r.tabulate(plain)
	for name, plot := range map[string]string{"time": c.timePlot("a"), "memory": c.memoryPlot("a"), "growth": r.growthPlot()} {
		elements := 0
		for d := xml.NewDecoder(strings.NewReader(plot)); ; elements++ {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if elements < 20 {
			t.Errorf("%s: %d elements", name, elements)
		}
	}
}

func TestRenderingReplacesWhatStandsBetweenTheMarksAndKeepsTheRest(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "benchmarks.md")
	if err := os.WriteFile(page, []byte("before\n"+beginMark+"\nthe tables of yesterday\n"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := measured()
	r.out = dir
	if err := errors.Join(r.save(), run(t.Context(), []string{"render=1", "out=" + dir})); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); !strings.HasPrefix(s, "before\n"+beginMark) || !strings.HasSuffix(s, endMark+"\nafter\n") || strings.Contains(s, "yesterday") || !strings.Contains(s, "### Tree (a)") {
		t.Errorf("the page is\n%s", s)
	}
	for _, name := range []string{"benchmarks-a.svg", "memory-a.svg", "memory.svg"} {
		if !exists(filepath.Join(dir, name)) {
			t.Errorf("no %s", name)
		}
	}
}

func TestAPageIsThereBeforeAnythingIsMeasured(t *testing.T) {
	// bin/none is not there either: the page comes before the first tool.
	none := "holm=" + filepath.Join(t.TempDir(), "none")
	out := filepath.Join(t.TempDir(), "deep", "out")
	if err := run(t.Context(), []string{none, "out=" + out, "work=" + t.TempDir()}); err == nil {
		t.Error("measured without a program")
	}
	r := measured()
	r.out = out
	if err := errors.Join(r.save(), run(t.Context(), []string{"render=1", "out=" + out})); err != nil {
		t.Fatal(err)
	}
	if s, err := os.ReadFile(filepath.Join(out, "benchmarks.md")); err != nil || !strings.Contains(string(s), "### Tree (a)") {
		t.Errorf("%s, %v", s, err)
	}
	// A page without a place for the tables is nobody's to change.
	page := filepath.Join(t.TempDir(), "benchmarks.md")
	if err := os.WriteFile(page, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{none, "out=" + filepath.Dir(page), "work=" + t.TempDir()})
	if text, _ := os.ReadFile(page); err == nil || !strings.Contains(err.Error(), "no place for the tables") || string(text) != "mine\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWhatIsMeasuredIsNamedBeforeAnythingIsMeasured(t *testing.T) {
	for _, words := range [][]string{{"trees=a,x"}, {"scale=files,trees"}} {
		work := filepath.Join(t.TempDir(), "work")
		err := run(t.Context(), append(words, "out="+t.TempDir(), "work="+work))
		if err == nil || !strings.Contains(err.Error(), words[0]) || exists(work) {
			t.Errorf("%v: %v", words, err)
		}
	}
}

// TestAMeasurementThatEndsEarlyKeepsItsCompleteRuns lets the tool fail in the
// second of three runs, after a phase of it that went well.
func TestAMeasurementThatEndsEarlyKeepsItsCompleteRuns(t *testing.T) {
	out, tree, fails := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "fails")
	if err := put(filepath.Join(tree, "file"), 1); err != nil {
		t.Fatal(err)
	}
	rec, err := openRecord(out, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// What other tools have measured before stays.
	rec.add(result{Tree: "t", Tool: "restic", Phase: "first", sample: sample{WallSeconds: 9}})
	b := &bench{work: t.TempDir(), phases: phases()[:2], record: rec, tools: []tool{{name: "holm", init: []string{"mkdir", "{vault}"},
		does: map[string][]string{"first": {"true"}, "unchanged": {"sh", "-c", `! test -e "$0" && touch "$0"`, fails}}}}}
	if err := b.round(t.Context(), "t", tree, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.round(t.Context(), "t", tree, 1); err == nil {
		t.Fatal("the second run ended well")
	}
	kept, err := openRecord(out, time.Now())
	if err != nil || len(kept.Results) != 3 || kept.Results[1].Phase != "first" || kept.Results[2].Phase != "unchanged" || kept.Results[2].Run != 0 {
		t.Errorf("kept %+v, %v", kept.Results, err)
	}
}

func TestGeneratedTreesAreTheSameEachTime(t *testing.T) {
	for name, fill := range map[string]func(context.Context, string, float64) error{"small": smallFiles, "large": largeFiles} {
		one, two := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "tree")
		var told [2]map[string]string
		for i, dir := range []string{one, two} {
			if err := fill(t.Context(), dir, 0.004); err != nil {
				t.Fatal(err)
			}
			if err := changeSome(dir); err != nil {
				t.Fatal(err)
			}
			if err := setTimes(dir); err != nil {
				t.Fatal(err)
			}
			var err error
			if told[i], err = describe(dir); err != nil {
				t.Fatal(err)
			}
		}
		if len(told[0]) < 5 || fmt.Sprint(told[0]) != fmt.Sprint(told[1]) {
			t.Errorf("%s: two trees of the same seed differ, or hold nothing", name)
		}
	}
}

// setTimes gives everything below a directory one time.
func setTimes(dir string) error {
	when := time.Unix(1_700_000_000, 0)
	return filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chtimes(path, when, when))
	})
}

func TestSourcesThatGrowHoldWhatTheySay(t *testing.T) {
	const count = 1000
	for _, g := range growths() {
		dir := t.TempDir()
		n := int64(count)
		if g.key == "sparse" {
			n = 2
		}
		if err := g.fill(dir, n); err != nil {
			t.Fatal(err)
		}
		told, err := describe(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, links := int64(0), 0
		for _, what := range told {
			if strings.HasPrefix(what, "-") {
				files++
			} else if strings.HasPrefix(what, "link to ") {
				links++
			}
		}
		switch {
		case g.key == "sparse" && files != 1,
			g.key == "links" && (files != count/2 || links != count/2),
			(g.key == "files" || g.key == "entries") && files != count:
			t.Errorf("%s: %d files, %d links", g.key, files, links)
		}
	}
}

func TestARestoredTreeThatDiffersIsFound(t *testing.T) {
	lay := func(content string, mode os.FileMode, linked bool) string {
		dir := t.TempDir()
		file, twin := filepath.Join(dir, "file"), filepath.Join(dir, "twin")
		when := time.Unix(1_700_000_000, 5)
		second := os.WriteFile(twin, []byte(content), mode)
		if linked {
			second = errors.Join(os.Remove(twin), os.WriteFile(file, []byte(content), mode), os.Link(file, twin))
		}
		if err := errors.Join(second, os.WriteFile(file, []byte(content), mode), os.Symlink("x", filepath.Join(dir, "link")),
			os.Chtimes(file, when, when), os.Chtimes(twin, when, when), os.Chtimes(dir, when, when)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if err := sameTree(lay("one", 0o600, true), lay("one", 0o600, true)); err != nil {
		t.Error(err)
	}
	for _, other := range []string{lay("two", 0o600, true), lay("one", 0o640, true), lay("one\x00", 0o600, true), lay("one", 0o600, false), t.TempDir()} {
		if sameTree(lay("one", 0o600, true), other) == nil {
			t.Errorf("%s: the difference is not seen", other)
		}
	}
}

func TestAHoleIsTheSameAsZeros(t *testing.T) {
	dir := t.TempDir()
	block := make([]byte, blockSize)
	sum := func(name string, size int64, parts map[int64]string) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Truncate(size)
		for at, text := range parts {
			_, e := f.WriteAt([]byte(text), at)
			err = errors.Join(err, e)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		h, err := hashFile(path, block)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	const size = 9<<20 + 100
	zeros := strings.Repeat("\x00", 1<<20)
	holes := sum("holes", size, map[int64]string{5 << 20: "data"})
	if holes != sum("zeros", size, map[int64]string{5 << 20: "data", 1 << 20: zeros, 9 << 20: zeros[:100]}) {
		t.Error("zeros that are written differ from a hole")
	}
	if holes == sum("moved", size, map[int64]string{6 << 20: "data"}) || holes == sum("other", size, map[int64]string{5 << 20: "Data"}) {
		t.Error("other data, or data elsewhere, are not seen")
	}
}

func TestTimeAndMemoryAreThoseOfTheCommandAlone(t *testing.T) {
	ballast := make([]byte, 200<<20) // memory of ours must not count as the command's
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	enter := []string{"sh", "-euc", `sleep 0.5; ` + entered + `"$@"`, "sh"}
	start := time.Now()
	s, said, err := measure(t.Context(), command{words: []string{"sh", "-c", "echo hello; exec sleep 0.4"}, enter: enter})
	if err != nil || said != "hello" {
		t.Fatalf("said %q, %v", said, err)
	}
	// On a busy machine the word that the command has begun can come late.
	if all := time.Since(start).Seconds(); s.WallSeconds < 0.1 || s.WallSeconds > all-0.5 {
		t.Errorf("%.2f of %.2f s, want the half second of entering left out", s.WallSeconds, all)
	}
	if s.PeakRSS == 0 || s.PeakRSS > 100<<20 || s.PeakAnon > s.PeakRSS {
		t.Errorf("peak RSS %d, anonymous %d", s.PeakRSS, s.PeakAnon)
	}
	if _, _, err := measure(t.Context(), command{words: []string{"sh", "-c", "echo why >&2; exit 3"}}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a command that fails says %v", err)
	}
	_ = ballast[0]
}

func TestWordsThatAreNotKnownAreRefused(t *testing.T) {
	if _, err := parse([]string{"tree=a"}); err == nil {
		t.Error("tree=a")
	}
	if s, err := parse([]string{"runs=5", "work=/x"}); err != nil || s["runs"] != "5" || s["trees"] != "a,b,c" {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := parse([]string{"limit=64"}); err != nil || s["tools"] != "holm" {
		t.Errorf("%v, %v", s, err)
	}
	for _, s := range []settings{{"runs": "0", "size": "1"}, {"runs": "1", "size": "2"}, {"runs": "1", "size": "1", "phases": "fast"}} {
		if _, err := new(bench).configure(s); err == nil {
			t.Errorf("%v is taken", s)
		}
	}
}
