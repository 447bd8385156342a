package main

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// quoteName makes a name safe to show: one with bytes that are no text, or
// that a terminal would obey, is shown quoted as Go does.
func quoteName(name string) string {
	if name == "" || !utf8.ValidString(name) {
		return strconv.Quote(name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}

// A jsonName is a name or path in JSON. Raw is there, in base64, when the
// bytes are not UTF-8: Path then shows them with U+FFFD for what is not.
type jsonName struct {
	Path string `json:"path"`
	Raw  string `json:"path_raw,omitempty"`
}

func nameForJSON(name string) jsonName {
	if utf8.ValidString(name) {
		return jsonName{Path: name}
	}
	return jsonName{strings.ToValidUTF8(name, "\uFFFD"), base64.StdEncoding.EncodeToString([]byte(name))}
}

// count is a number with a comma between thousands, and its noun.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n)/1024, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB", "PiB"} {
		if f < 1023.95 {
			break
		}
		f, unit = f/1024, next
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// duration is a time span for people.
func duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// seconds is duration for the answers, which count in seconds.
func seconds(s float64) string { return duration(time.Duration(s * float64(time.Second))) }

// rateText is how fast that many bytes went, in brackets, with a space before;
// nothing if it was too little to measure.
func rateText(bytes int64, seconds float64) string {
	if bytes < 1<<20 || seconds < 0.1 {
		return ""
	}
	return " (" + size(int64(float64(bytes)/seconds)) + "/s)"
}

// clock is a point in time for people, in their time zone.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// stamp is a point in time for programs.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// permissions writes a mode as ls does.
func permissions(m fs.FileMode) string {
	kinds := map[fs.FileMode]byte{0: '-', fs.ModeDir: 'd', fs.ModeSymlink: 'l', fs.ModeNamedPipe: 'p', fs.ModeSocket: 's',
		fs.ModeDevice: 'b', fs.ModeDevice | fs.ModeCharDevice: 'c'}
	out := []byte("?rwxrwxrwx")
	if k, ok := kinds[m.Type()]; ok {
		out[0] = k
	}
	for i := range 9 {
		if m&(1<<(8-i)) == 0 {
			out[i+1] = '-'
		}
	}
	special := func(flag fs.FileMode, at int, set, unset byte) {
		switch {
		case m&flag == 0:
		case out[at] == 'x':
			out[at] = set
		default:
			out[at] = unset
		}
	}
	special(fs.ModeSetuid, 3, 's', 'S')
	special(fs.ModeSetgid, 6, 's', 'S')
	special(fs.ModeSticky, 9, 't', 'T')
	return string(out)
}

// kindOf is the word for the type of an entry.
func kindOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "directory"
	case fs.ModeSymlink:
		return "symlink"
	case fs.ModeNamedPipe:
		return "fifo"
	case fs.ModeSocket:
		return "socket"
	}
	return "device"
}

// posixMode is a mode in the octal digits of chmod.
func posixMode(m fs.FileMode) string {
	bits := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return fmt.Sprintf("%04o", bits)
}
