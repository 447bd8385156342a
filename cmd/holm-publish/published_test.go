package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holm.example/keys/signing"
	"holm.example/repo"
)

func TestWhatWasPublishedIsRememberedByChannelAndURL(t *testing.T) {
	l := publishedLog{filepath.Join(t.TempDir(), "keys"), "stable", "http://127.0.0.1:8417"}
	if r, err := l.Last(); r != nil || err != nil {
		t.Errorf("before the first publish: %+v, %v", r, err)
	}
	want := repo.Record{Number: 7, Version: "1.2.3", Date: time.Unix(1_700_000_000, 0).UTC(), Revisions: map[string]int64{"x86_64": 9}}
	if err := l.Keep(want); err != nil {
		t.Fatal(err)
	}
	got, err := l.Last()
	if err != nil || got.Number != 7 || got.Version != "1.2.3" || !got.Date.Equal(want.Date) || !maps.Equal(got.Revisions, want.Revisions) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, other := range []publishedLog{{l.folder, "beta", l.url}, {l.folder, "stable", l.url + "0"}} {
		if r, err := other.Last(); r != nil || err != nil {
			t.Errorf("of %s at %s: %+v, %v", other.channel, other.url, r, err)
		}
	}
}

func TestADamagedMemoryOfWhatWasPublishedIsNotTakenForNone(t *testing.T) {
	l := publishedLog{t.TempDir(), "stable", "http://127.0.0.1:8417"}
	if err := l.Keep(repo.Record{Number: 7, Version: "1.2.3", Date: time.Unix(1_700_000_000, 0).UTC()}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(l.path())
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string { return strings.Replace(string(whole), old, new, 1) }
	for story, data := range map[string]string{
		"empty":         "",
		"cut":           string(whole[:len(whole)/2]),
		"other format":  change("published 1", "published 2"),
		"other channel": change("stable", "beta"),
		"other URL":     change("8417", "8418"),
		"other field":   change(`"number"`, `"nubmer"`),
		"no number":     change("7", "0"),
		"no version":    change("1.2.3", "1.2"),
		"no date":       change("2023-11-14T22:13:20", "0001-01-01T00:00:00"),
		"huge":          string(whole) + strings.Repeat(" ", maxPublished),
	} {
		if err := os.WriteFile(l.path(), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := l.Last(); !errors.Is(err, signing.ErrStore) {
			t.Errorf("%s: %+v, %v", story, r, err)
		}
	}
}
