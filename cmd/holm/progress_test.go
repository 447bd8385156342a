package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// working is a progress of a backup that reads 10 MiB and 10 files a second.
func working(d time.Duration) progress {
	return progress{verb: "backup", doing: "backing up", one: "file", many: "files", path: fmt.Sprintf("/home/me/file%d", int(d.Seconds())),
		files: int64(10 * d / time.Second), bytes: int64(10 << 20 * d / time.Second), read: int64(1 << 20 * d / time.Second)}
}

// during runs a progress of so many seconds, 20 times a second.
func during(u *ui, seconds int, at func(time.Duration) progress) {
	for d := time.Duration(0); d < time.Duration(seconds)*time.Second; d += time.Second / 20 {
		u.now = func() time.Time { return time.Unix(1000, int64(d)) }
		u.progress(at(d))
	}
}

func TestProgressIsALineNowAndThenWhereThereIsNoTerminal(t *testing.T) {
	u, stdout, stderr := fixture(t)
	during(u, 25, working)
	u.endProgress()
	want := "holm: backing up: 100 files, 100.0 MiB, 10.0 MiB/s\nholm: backing up: 200 files, 200.0 MiB, 10.0 MiB/s\n"
	if got := stderr.String(); got != want {
		t.Errorf("printed %q, expected %q", got, want)
	}
	if got := stdout(); got != "" {
		t.Errorf("standard output got %q", got)
	}
}

func TestProgressWithTotalsSaysHowMuchIsLeftAndWhatIsAnEstimate(t *testing.T) {
	for about, want := range map[bool]string{
		false: "holm: backing up: 25 %, 100 of 400 files, 100.0 MiB of 400.0 MiB, 10.0 MiB/s, about 30 s left, 2 problems\n",
		true:  "holm: backing up: 25 %, 100 of about 400 files, 100.0 MiB of about 400.0 MiB, 10.0 MiB/s, about 30 s left, 2 problems\n",
	} {
		u, _, stderr := fixture(t)
		during(u, 11, func(d time.Duration) progress {
			p := working(d)
			p.totalFiles, p.totalBytes, p.about, p.problems = 400, 400<<20, about, 2
			return p
		})
		if got := stderr.String(); got != want {
			t.Errorf("printed %q, expected %q", got, want)
		}
	}
}

func TestEstimateThatIsExceededIsNeverDone(t *testing.T) {
	p := working(50 * time.Second)
	p.totalFiles, p.totalBytes, p.about = 400, 400<<20, true
	if f, ok := p.fraction(); !ok || f != 0.99 {
		t.Errorf("%v, %v", f, ok)
	}
	p.about = false
	if f, _ := p.fraction(); f != 1 {
		t.Error(f)
	}
}

func TestProgressIsSilentForQuiet(t *testing.T) {
	for _, drawing := range []bool{false, true} {
		u, stdout, stderr := fixture(t)
		u.quiet, u.drawing = true, drawing
		during(u, 30, working)
		u.note("a note")
		u.endProgress()
		if stderr.Len() > 0 || stdout() != "" {
			t.Errorf("printed %q and %q", stderr, stdout())
		}
	}
}

func TestProgressIsAnObjectEachSecondWithJSON(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		u, stdout, stderr := fixture(t)
		u.json, u.quiet, u.drawing = true, quiet, true
		during(u, 10, func(d time.Duration) progress {
			p := working(d)
			p.totalFiles, p.totalBytes, p.about = 200, 200<<20, true
			return p
		})
		u.endProgress()
		lines := strings.Split(strings.TrimSpace(stdout()), "\n")
		if len(lines) != 9 || stderr.Len() > 0 {
			t.Fatalf("%d objects, expected 9; %q", len(lines), stderr)
		}
		var last map[string]any
		if err := json.Unmarshal([]byte(lines[8]), &last); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]any{"type": "progress", "verb": "backup", "path": "/home/me/file9", "files": 90.0, "bytes": float64(90 << 20),
			"bytes_read": float64(9 << 20), "total_files": 200.0, "total_bytes": float64(200 << 20), "estimate": true, "problems": 0.0, "seconds": 9.0} {
			if last[name] != want {
				t.Errorf("%s is %v, expected %v", name, last[name], want)
			}
		}
		if left, _ := last["seconds_left"].(float64); left < 10.99 || left > 11.01 {
			t.Errorf("seconds_left is %v", last["seconds_left"])
		}
	}
}

// A screen is a terminal as far as a bar needs one.
type screen struct {
	width    int
	cells    [][]rune
	row, col int
	writes   int
	wrapped  bool
}

func (s *screen) line() []rune {
	for len(s.cells) <= s.row {
		s.cells = append(s.cells, nil)
	}
	return s.cells[s.row]
}

func (s *screen) Write(b []byte) (int, error) {
	s.writes++
	text := string(b)
	for text != "" {
		switch {
		case strings.HasPrefix(text, clearRight):
			s.cells[s.row] = s.line()[:min(s.col, len(s.line()))]
			text = text[len(clearRight):]
			continue
		case strings.HasPrefix(text, clearBelow):
			s.cells[s.row] = s.line()[:min(s.col, len(s.line()))]
			s.cells = s.cells[:s.row+1]
			text = text[len(clearBelow):]
			continue
		case strings.HasPrefix(text, cursorUp):
			s.row--
			text = text[len(cursorUp):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			s.col = 0
		case '\n':
			s.row, s.col = s.row+1, 0
			s.line()
		default:
			if columns(r) == 0 {
				continue
			}
			line := s.line()
			for len(line) <= s.col {
				line = append(line, ' ')
			}
			line[s.col] = r
			s.cells[s.row] = line
			s.col += columns(r)
			s.wrapped = s.wrapped || s.col >= s.width
		}
	}
	return len(b), nil
}

func (s *screen) text() (lines []string) {
	for _, line := range s.cells {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return lines
}

// onScreen is a ui that draws on a screen.
func onScreen(t *testing.T, width int) (*ui, *screen) {
	t.Helper()
	u, _, _ := fixture(t)
	s := &screen{width: width}
	u.err, u.drawing, u.width = s, true, func() int { return s.width }
	return u, s
}

func TestBarIsTwoLinesThatAreGoneInTheEnd(t *testing.T) {
	u, s := onScreen(t, 100)
	fmt.Fprintln(s, "$ holm backup")
	during(u, 10, func(d time.Duration) progress {
		p := working(d)
		p.totalFiles, p.totalBytes = 200, 200<<20
		return p
	})
	got := s.text()
	if len(got) != 3 || !strings.HasPrefix(got[1], "backing up  [#########-----------] 49 %  99.0 MiB of 200.0 MiB  10.0 MiB/s  about 11 s left") || got[2] != "99 of 200 files  /home/me/file9" {
		t.Errorf("the screen shows %q", got)
	}
	if s.row != 1 || s.col != 0 {
		t.Errorf("the cursor is at %d, %d", s.row, s.col)
	}
	u.endProgress()
	if got := s.text(); strings.Join(got, "|") != "$ holm backup|" {
		t.Errorf("it leaves %q", got)
	}
}

func TestBarIsDrawnTenTimesASecondAtMostAndEachFrameInOneWrite(t *testing.T) {
	u, s := onScreen(t, 100)
	during(u, 10, working) // 200 times
	if s.writes > 100 || s.writes < 90 {
		t.Errorf("%d writes in 10 seconds", s.writes)
	}
}

func TestLineIsPrintedAboveTheBar(t *testing.T) {
	u, s := onScreen(t, 100)
	during(u, 2, working)
	u.problem("a/file", errors.New("broken"))
	got := s.text()
	if len(got) != 3 || got[0] != "holm: problem: a/file: broken" || !strings.HasPrefix(got[1], "backing up  19.0 MiB") || got[2] != "19 files  /home/me/file1" {
		t.Errorf("the screen shows %q", got)
	}
}

func TestBarNeverWrapsWhateverTheWidthAndTheNames(t *testing.T) {
	for width := range 130 {
		u, s := onScreen(t, max(width, 12))
		during(u, 4, func(d time.Duration) progress {
			p := working(d)
			p.totalFiles, p.totalBytes, p.about, p.problems = 1_000_000, 1<<40, true, 3
			p.path = strings.Repeat("/漢字/e\u0301/\x1b[2J\xff", int(d.Seconds())+1)
			s.width = max(12, width-int(d.Seconds())) // somebody makes the window smaller
			return p
		})
		if got := s.text(); s.wrapped || len(got) != 2 {
			t.Fatalf("at a width of %d the screen shows %q", width, got)
		}
	}
}

func TestEndOfAPathIsWhatStays(t *testing.T) {
	if got := clipLeft("12 files\t/home/me/Documents/letter.odt", 30); got != "12 files  ...uments/letter.odt" {
		t.Errorf("%q", got)
	}
	if got := clipRight("backing up  everything", 14); got != "backing up ..." {
		t.Errorf("%q", got)
	}
}

func TestNothingIsDrawnOnAFileOrPipe(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if canDraw(f) {
		t.Error("a file is taken for a terminal")
	}
}
