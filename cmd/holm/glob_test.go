package main

import (
	"testing"
	"time"
)

func TestPatternsFitNamesAndPaths(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		fold, want    bool
	}{
		{"*.odt", "/home/me/a.odt", false, true},
		{"*.odt", "/home/me/a.ODT", false, false},
		{"*.odt", "/home/me/a.ODT", true, true},
		{"a?b", "/x/a/b", false, false}, // no character stands for a slash
		{"me", "/home/me", false, true},
		{"me", "/home/me/x", false, false},
		{"me/", "/home/me", false, true},
		{"me/*", "/home/me/x", false, true},
		{"me/*", "/home/me/x/y", false, false},
		{"home/**", "/home/me/x/y", false, true},
		{"**/y", "/home/me/x/y", false, true},
		{"me/**/y", "/home/me/x/z/y", false, true},
		{"me/**/y", "/home/me/y", false, true},
		{"me/**/x/y", "/home/me/x/x/y", false, true},
		{"/home/*", "/home/me", false, true},
		{"/me", "/home/me", false, false},
		{"/**/[m-n]e", "/home/me", false, true},
		{"**", "/", false, true},
		{"C:/Users/*", "C:/Users/me", false, true},
		{"\\*", "/x/*", false, true},
		{"\\*", "/x/y", false, false},
		{"l*\xff", "/x/latin\xff", false, true},
	} {
		g, err := newGlob(c.pattern, c.fold)
		if err != nil || g.fits(c.path) != c.want {
			t.Errorf("%q and %q: %v, %v, expected %v", c.pattern, c.path, err == nil && g.fits(c.path), err, c.want)
		}
	}
	if _, err := newGlob("a[", false); err == nil {
		t.Error("half a class is a pattern")
	}
}

func TestSizesAndTimesAreReadAsThePeopleWriteThem(t *testing.T) {
	for text, want := range map[string][2]int64{"10": {10, 10}, "+1K": {1024, 1<<63 - 1}, "-1.5m": {0, 1572863}, "+0": {0, 1<<63 - 1}} {
		least, most, err := sizeRange(text)
		if err != nil || least != want[0] || most != want[1] {
			t.Errorf("%s: %d to %d, %v", text, least, most, err)
		}
	}
	for _, text := range []string{"K", "+", "1X", "+-3", "++1", "NaN", "1e300", "-"} {
		if _, _, err := sizeRange(text); err == nil {
			t.Errorf("%q is a size", text)
		}
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2h": now.Add(-2 * time.Hour), "1.5d": now.Add(-36 * time.Hour), "1w": now.Add(-7 * 24 * time.Hour), "90m": now.Add(-90 * time.Minute),
		"2026-11-23": time.Date(2026, 11, 23, 0, 0, 0, 0, time.Local), "2026-11-23 18:00": time.Date(2026, 11, 23, 18, 0, 0, 0, time.Local),
	} {
		if got, ok := parseWhen(text, now); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "d", "-2d", "yesterday", "NaNd"} {
		if _, ok := parseWhen(text, now); ok {
			t.Errorf("%q is a time", text)
		}
	}
}

func TestWordsOfTheCommandLineAreQuotedForAShell(t *testing.T) {
	a := newApp()
	a.args = []string{"backup", "/a b", "it's", "", "~x", "$HOME", "é"}
	if got, want := a.commandLine("--more"), `holm backup '/a b' 'it'\''s' '' '~x' '$HOME' é --more`; got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}
