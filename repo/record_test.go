package repo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holm.example/repo"
)

// A notebook is a log in memory.
type notebook struct {
	last *repo.Record
	kept int
	full error
}

func (n *notebook) Last() (*repo.Record, error) { return n.last, nil }

func (n *notebook) Keep(r repo.Record) error {
	if n.full == nil {
		n.last, n.kept = &r, n.kept+1
	}
	return n.full
}

// A history is a site after each of two publishes that a log remembers.
type history struct {
	*workshop
	log      *notebook
	old, new *memory
	third    repo.Version
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{workshop: newWorkshop(t), log: &notebook{}, old: newMemory()}
	publish(t, h.old, h.options(), h.version("1.0.1"), now())
	h.new = h.old.clone()
	publish(t, h.new, h.options(), h.version("1.0.2"), now().Add(time.Hour))
	h.third = h.version("1.0.3")
	return h
}

func (h *history) options() repo.Options {
	o := h.workshop.options()
	o.Log = h.log
	return o
}

const (
	mirrorList = "yum/stable/x86_64/mirrorlist"
	headFile   = "publish/head"
)

// forgeHead makes publish/head name what the site holds.
func forgeHead(t *testing.T, s *memory) {
	t.Helper()
	var head map[string]any
	if err := json.Unmarshal(s.files[headFile], &head); err != nil {
		t.Fatal(err)
	}
	pointers := head["channels"].(map[string]any)["stable"].(map[string]any)["pointers"].(map[string]any)
	for name := range pointers {
		pointers[name] = fmt.Sprintf("%x", sha256.Sum256(s.files[s.resolve(name)]))
	}
	var err error
	if s.files[headFile], err = json.Marshal(head); err != nil {
		t.Fatal(err)
	}
}

func TestASiteThatLostWhatWasPublishedIsNotPublishedTo(t *testing.T) {
	h := newHistory(t)
	back := func(names ...string) func(*memory) {
		return func(s *memory) {
			for _, name := range names {
				s.files[name] = h.old.files[name]
			}
		}
	}
	lose := func(names ...string) func(*memory) {
		return func(s *memory) {
			for _, name := range names {
				delete(s.files, name)
			}
		}
	}
	for story, tc := range map[string]struct {
		change func(*memory)
		want   error
	}{
		"no InRelease":               {lose(inRelease), repo.ErrForeign},
		"no mirror list":             {lose(mirrorList), repo.ErrForeign},
		"no head":                    {lose(headFile), repo.ErrForeign},
		"neither head nor InRelease": {lose(headFile, inRelease), repo.ErrForeign},
		// As a publisher that was killed would have left it.
		"InRelease put back":                {back(inRelease), repo.ErrOlder},
		"mirror list put back":              {back(mirrorList), repo.ErrOlder},
		"head put back":                     {back(headFile), repo.ErrForeign},
		"whole site put back":               {func(s *memory) { *s = *h.old.clone() }, repo.ErrOlder},
		"InRelease put back, head forged":   {func(s *memory) { back(inRelease)(s); forgeHead(t, s) }, repo.ErrOlder},
		"mirror list put back, head forged": {func(s *memory) { back(mirrorList)(s); forgeHead(t, s) }, repo.ErrOlder},
	} {
		t.Run(story, func(t *testing.T) {
			s, kept := h.new.clone(), h.log.kept
			tc.change(s)
			if _, err := repo.Publish(context.Background(), s, h.options(), h.third, now().Add(2*time.Hour)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if s.writes != 0 || h.log.kept != kept {
				t.Errorf("%d writes, %d records", s.writes, h.log.kept-kept)
			}
		})
	}
}

func TestPointersThatAreMadeFromOthersAreMadeAgain(t *testing.T) {
	h := newHistory(t)
	dist := strings.TrimSuffix(inRelease, "InRelease")
	for _, name := range []string{"index.html", dist + "Release", dist + "Release.gpg", "releases/current", "yum/stable/x86_64/r/current"} {
		for _, lost := range []bool{true, false} {
			s, o := h.new.clone(), h.options()
			o.Log = &notebook{last: h.log.last}
			switch _, alias := s.aliases[name]; {
			case alias && lost:
				delete(s.aliases, name)
			case alias:
				s.aliases[name] = h.old.aliases[name]
			case lost:
				delete(s.files, name)
			default:
				s.files[name] = []byte("x")
			}
			publish(t, s, o, h.version("1.0.2"), now().Add(2*time.Hour))
			if v := accepted(t, s, now().Add(2*time.Hour)); v.Version != "1.0.2" {
				t.Errorf("%s: version %s", name, v.Version)
			}
			if name != dist+"Release" && name != dist+"Release.gpg" && !bytes.Equal(s.files[inRelease], h.new.files[inRelease]) {
				t.Errorf("%s: InRelease has changed", name)
			}
		}
	}
}

func TestAnOlderReleaseDoesNotBecomeTheNewestWhereCurrentIsLost(t *testing.T) {
	h := newHistory(t)
	delete(h.new.aliases, "releases/current")
	publish(t, h.new, h.options(), h.version("1.0.1"), now().Add(2*time.Hour))
	if to := h.new.aliases["releases/current"]; to != "" {
		t.Errorf("releases/current is %s", to)
	}
}

func TestAnEmptySiteBeginsAboveWhatIsRemembered(t *testing.T) {
	h := newHistory(t)
	last := *h.log.last
	s := newMemory()
	report := publish(t, s, h.options(), h.third, now().Add(time.Hour))
	if report.Lost == nil || report.Lost.Version != "1.0.2" {
		t.Errorf("lost %+v", report.Lost)
	}
	if !report.Date.After(last.Date) || report.Revision <= last.Revisions["x86_64"] || h.log.last.Number <= last.Number {
		t.Errorf("%+v, %+v after %+v", report, h.log.last, last)
	}
	accepted(t, s, now().Add(time.Hour))
	again := publish(t, s, h.options(), h.third, now().Add(2*time.Hour))
	if again.Lost != nil || len(again.Written) != 0 {
		t.Errorf("published again: %+v", again)
	}
}

func TestAPublishThatIsKilledIsNotTakenForALoss(t *testing.T) {
	h := newHistory(t)
	for story, base := range map[string]*memory{"after another": h.new, "into an empty site": newMemory()} {
		total := len(publish(t, base.clone(), h.workshop.options(), h.third, now().Add(2*time.Hour)).Written)
		last := h.log.last
		for n := 0; n < total; n += 5 {
			s, log := base.clone(), &notebook{last: last}
			o := h.options()
			o.Log = log
			s.limit = n
			if _, err := repo.Publish(context.Background(), s, o, h.third, now().Add(2*time.Hour)); !errors.Is(err, errKilled) {
				t.Fatalf("%s, killed after %d writes: %v", story, n, err)
			}
			if log.kept != 0 {
				t.Errorf("%s, killed after %d writes: a record is kept", story, n)
			}
			s.limit = -1
			publish(t, s, o, h.third, now().Add(3*time.Hour))
			if v := accepted(t, s, now().Add(3*time.Hour)); v.Unfinished || log.last.Version != "1.0.3" {
				t.Fatalf("%s, killed after %d writes, then: %+v, %+v", story, n, v, log.last)
			}
		}
	}
}

func TestWhatCouldNotBeRememberedIsByTheNextRun(t *testing.T) {
	h := newHistory(t)
	h.log.full = errors.New("disk full")
	if _, err := repo.Publish(context.Background(), h.new, h.options(), h.third, now().Add(2*time.Hour)); !errors.Is(err, h.log.full) {
		t.Errorf("%v", err)
	}
	h.log.full = nil
	if report := publish(t, h.new, h.options(), h.third, now().Add(3*time.Hour)); len(report.Written) != 0 || h.log.last.Version != "1.0.3" {
		t.Errorf("wrote %v, remembers %+v", report.Written, h.log.last)
	}
}
