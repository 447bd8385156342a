package main

import (
	"math"
	"strings"
	"time"
)

// A progress is how far a verb has come. Totals are 0 while they are not
// known.
type progress struct {
	verb, doing       string // "backup", "backing up"
	one, many         string // what Files counts: "file", "files"
	path              string // what is being worked on
	files, totalFiles int64
	bytes, totalBytes int64
	read              int64
	about             bool // the totals are an estimate
	problems          int64
}

// fraction is how much of the work is done, if that is known: an estimate is
// never done.
func (p *progress) fraction() (f float64, known bool) {
	switch {
	case p.totalBytes > 0:
		f = float64(p.bytes) / float64(p.totalBytes)
	case p.totalFiles > 0:
		f = float64(p.files) / float64(p.totalFiles)
	default:
		return 0, false
	}
	if p.about {
		return min(f, 0.99), true
	}
	return min(f, 1), true
}

const (
	// meterSpan is how far back a rate looks, about.
	meterSpan = 5 * time.Second
	// meterStep is the least time between two samples.
	meterStep = 500 * time.Millisecond
	// meterStart is how long nothing is said about the time that is left.
	meterStart = 2 * time.Second
)

// A meter measures how fast the work goes.
type meter struct {
	started, at time.Time // of the first and of the last sample
	bytes       int64
	fraction    float64
	rate        float64 // bytes a second
	share       float64 // of the whole work a second
}

// sample notes how far the work is.
func (m *meter) sample(now time.Time, p *progress) {
	f, _ := p.fraction()
	if m.started.IsZero() {
		m.started, m.at, m.bytes, m.fraction = now, now, p.bytes, f
		return
	}
	d := now.Sub(m.at)
	if d < meterStep {
		return
	}
	// What was first is no better than what is now, so it counts no more.
	weight := 1 - math.Exp(-d.Seconds()/meterSpan.Seconds())
	if m.at.Equal(m.started) {
		weight = 1
	}
	m.rate += weight * (float64(p.bytes-m.bytes)/d.Seconds() - m.rate)
	m.share += weight * ((f-m.fraction)/d.Seconds() - m.share)
	m.at, m.bytes, m.fraction = now, p.bytes, f
}

// left is how long the rest will take, if that can be said.
func (m *meter) left(p *progress) (d time.Duration, known bool) {
	f, known := p.fraction()
	if !known || m.share <= 0 || m.at.Sub(m.started) < meterStart {
		return 0, false
	}
	seconds := (1 - f) / m.share
	if seconds > (1000 * time.Hour).Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// counted is the count of files, with the total if there is one.
func (p *progress) counted() string {
	if p.totalFiles == 0 {
		return count(p.files, p.one, p.many)
	}
	return number(p.files) + " of " + p.almost() + count(p.totalFiles, p.one, p.many)
}

// sized is the size of what is done, with the total if there is one.
func (p *progress) sized() string {
	if p.totalBytes == 0 {
		return size(p.bytes)
	}
	return size(p.bytes) + " of " + p.almost() + size(p.totalBytes)
}

func (p *progress) almost() string {
	if p.about {
		return "about "
	}
	return ""
}

// pace is the parts of the text that say how fast it goes.
func (m *meter) pace(p *progress) (parts []string) {
	if m.rate >= 1 {
		parts = append(parts, size(int64(m.rate))+"/s")
	}
	if d, ok := m.left(p); ok {
		parts = append(parts, "about "+roughly(d)+" left")
	}
	return parts
}

// roughly is a time span as one says it who is not sure.
func roughly(d time.Duration) string {
	if d < time.Minute {
		return number(int64(math.Ceil(d.Seconds()))) + " s"
	}
	return duration(d)
}

func percent(f float64) string { return number(int64(f*100)) + " %" }

// plainText is the progress as a line of a log.
func (m *meter) plainText(p *progress) string {
	var parts []string
	if f, ok := p.fraction(); ok {
		parts = append(parts, percent(f))
	}
	parts = append(parts, p.counted())
	if p.bytes > 0 || p.totalBytes > 0 {
		parts = append(parts, p.sized())
	}
	parts = append(parts, m.pace(p)...)
	if p.problems > 0 {
		parts = append(parts, count(p.problems, "problem", "problems"))
	}
	return strings.Join(parts, ", ")
}

// barWidth is how wide the bar between the brackets is.
const barWidth = 20

// barText is the progress as the two lines of a bar.
func (m *meter) barText(p *progress) (first, second string) {
	parts := []string{p.doing}
	if f, ok := p.fraction(); ok {
		done := int(f * barWidth)
		parts = append(parts, "["+strings.Repeat("#", done)+strings.Repeat("-", barWidth-done)+"] "+percent(f))
	}
	if p.bytes > 0 || p.totalBytes > 0 {
		parts = append(parts, p.sized())
	}
	first = strings.Join(append(parts, m.pace(p)...), "  ")
	second = p.counted()
	if p.problems > 0 {
		second += ", " + count(p.problems, "problem", "problems")
	}
	return first, second + "\t" + quoteName(p.path)
}

// A progressAnswer is the JSON of progress.
type progressAnswer struct {
	Type string `json:"type"`
	Verb string `json:"verb"`
	jsonName
	Files          int64    `json:"files"`
	Bytes          int64    `json:"bytes"`
	BytesRead      int64    `json:"bytes_read"`
	TotalFiles     *int64   `json:"total_files,omitempty"`
	TotalBytes     *int64   `json:"total_bytes,omitempty"`
	Estimate       bool     `json:"estimate"`
	Problems       int64    `json:"problems"`
	Seconds        float64  `json:"seconds"`
	BytesPerSecond int64    `json:"bytes_per_second"`
	SecondsLeft    *float64 `json:"seconds_left,omitempty"`
}

// object is the progress as JSON.
func (m *meter) object(now time.Time, p *progress) progressAnswer {
	a := progressAnswer{Type: "progress", Verb: p.verb, jsonName: nameForJSON(p.path), Files: p.files, Bytes: p.bytes, BytesRead: p.read,
		Estimate: p.about, Problems: p.problems, Seconds: now.Sub(m.started).Seconds(), BytesPerSecond: int64(m.rate)}
	if p.totalFiles > 0 {
		a.TotalFiles = &p.totalFiles
	}
	if p.totalBytes > 0 {
		a.TotalBytes = &p.totalBytes
	}
	if d, ok := m.left(p); ok {
		left := d.Seconds()
		a.SecondsLeft = &left
	}
	return a
}
