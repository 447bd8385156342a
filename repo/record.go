package repo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Record is what a publisher remembers of the last publish to one channel
// at one base URL.
type Record struct {
	Number    int64            `json:"number"`    // of publish/head
	Version   string           `json:"version"`   // the newest
	Date      time.Time        `json:"date"`      // of the Release
	Revisions map[string]int64 `json:"revisions"` // of yum, by base architecture
}

// A Log keeps the Record of one channel at one base URL in a place that is
// not the site: whoever can put an old state of the site back must not be
// able to put the memory of the newer one back too.
type Log interface {
	// Last returns what was kept last, nil if nothing was yet.
	Last() (*Record, error)
	// Keep replaces it, durably.
	Keep(Record) error
}

// remember reads the log. Without one, or before the first publish, nothing
// is too old.
func (p *publish) remember() error {
	p.last = &Record{}
	if p.o.Log == nil {
		return nil
	}
	last, err := p.o.Log.Last()
	if err != nil {
		return fmt.Errorf("reading what was published last: %w", err)
	}
	if last != nil {
		p.last = last
	}
	return nil
}

// keep writes the log, if there is news. A publisher that is killed before
// has published more than it remembers, which its next run puts right.
func (p *publish) keep(newest string, report *Report) error {
	next := Record{Number: p.number, Version: newest, Date: report.Date, Revisions: p.revisions}
	same := next.Number == p.last.Number && next.Version == p.last.Version && next.Date.Equal(p.last.Date) && maps.Equal(next.Revisions, p.last.Revisions)
	if p.o.Log == nil || same {
		return nil
	}
	if err := p.o.Log.Keep(next); err != nil {
		return fmt.Errorf("published, but keeping a record of it: %w", err)
	}
	return nil
}

// sources are the pointers that say what is published: the next publish is
// built on what they name. All others are made from them.
func sources(channel string) []string {
	names := []string{join(distDir(channel), "InRelease")}
	for _, basearch := range baseArchs() {
		names = append(names, mirrorName(channel, basearch))
	}
	return names
}

// checkSources refuses a site whose sources are not those of the last
// publish, or of one that was killed: a lost one would read as an empty
// index, and one that was put back as a newer one's packages gone.
func (p *publish) checkSources() error {
	if _, known := p.head.Channels[p.o.Channel]; !known {
		names := sources(p.o.Channel)
		if len(p.head.Channels) == 0 {
			names = append(names, join(currentRoot, sumsName))
		}
		for _, name := range names {
			_, there, err := sumOf(p.ctx, p.site, name)
			if err != nil {
				return err
			}
			if there {
				return fmt.Errorf("%w: %s is there, but no %s that knows of it", ErrForeign, name, headName)
			}
		}
		return nil
	}
	var err error
	if p.unfinished, p.foreign, err = p.head.unfinished(p.ctx, p.site, p.o.Channel); err != nil {
		return err
	}
	for _, name := range sources(p.o.Channel) {
		if slices.Contains(p.foreign, name) {
			return fmt.Errorf("%w: %s is lost, or is not what the last publish wrote", ErrForeign, name)
		}
	}
	return nil
}

// checkAge compares what is signed on the site with what is remembered. A
// source that is not there at all, which checkSources has let pass, begins anew.
func (p *publish) checkAge(release *aptState, revisions map[string]*yumState) error {
	var older []string
	if date := release.date(); date.IsZero() {
		p.anew = !p.last.Date.IsZero()
	} else if date.Before(p.last.Date) {
		older = append(older, fmt.Sprintf("the Release is of %s, the last one was of %s", date.Format(time.RFC3339), p.last.Date.UTC().Format(time.RFC3339)))
	}
	for _, basearch := range baseArchs() {
		if have, want := revisions[basearch].revision, p.last.Revisions[basearch]; have == 0 {
			p.anew = p.anew || want > 0
		} else if have < want {
			older = append(older, fmt.Sprintf("revision %d for %s is served, the last one was %d", have, basearch, want))
		}
	}
	if len(older) > 0 {
		return fmt.Errorf("%w: %s", ErrOlder, strings.Join(older, "; "))
	}
	return nil
}
