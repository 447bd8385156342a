package main

import (
	"encoding/json"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"
)

func TestNamesThatATerminalWouldObeyAreQuoted(t *testing.T) {
	for name, want := range map[string]string{
		"letter.odt":       "letter.odt",
		"Übung 1 – ö.txt":  "Übung 1 – ö.txt",
		"":                 `""`,
		"latin1-\xe9":      `"latin1-\xe9"`,
		"clear\x1b[2J":     `"clear\x1b[2J"`,
		"two\nlines":       `"two\nlines"`,
		"right\u202eleft":  `"right\u202eleft"`,
		"nul\x00":          `"nul\x00"`,
		"bell\aand\u0085x": `"bell\aand\u0085x"`,
	} {
		if got := quoteName(name); got != want {
			t.Errorf("quoteName(%q) = %s, expected %s", name, got, want)
		}
	}
}

func TestNameThatIsNotUTF8SurvivesJSON(t *testing.T) {
	data, err := json.Marshal(nameForJSON("/a/latin1-\xe9"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"path":"/a/latin1-` + "\uFFFD" + `","path_raw":"L2EvbGF0aW4xLek="}`; string(data) != want {
		t.Errorf("got %s, expected %s", data, want)
	}
	if data, _ := json.Marshal(nameForJSON("/a/é")); string(data) != `{"path":"/a/é"}` {
		t.Errorf("a UTF-8 name became %s", data)
	}
}

func TestSizesAreShortAndNeverOverflowTheirUnit(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB",
		1<<30 - 1: "1.0 GiB", 5 << 40: "5.0 TiB", math.MaxInt64: "8192.0 PiB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, expected %q", n, got, want)
		}
	}
}

func TestNumbersHaveACommaBetweenThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -123456: "-123,456"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, expected %q", n, got, want)
		}
	}
	if got := count(1, "file", "files") + ", " + count(2000, "file", "files"); got != "1 file, 2,000 files" {
		t.Errorf("counted %q", got)
	}
}

func TestDurationsAreForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 3450 * time.Millisecond: "3.5 s", 61 * time.Second: "1 min 1 s", 3*time.Hour + 5*time.Minute: "3 h 5 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, expected %q", d, got, want)
		}
	}
}

func TestPermissionsAreWrittenAsLsDoes(t *testing.T) {
	for want, mode := range map[string]fs.FileMode{
		"-rw-r--r--": 0o644,
		"drwxr-x---": fs.ModeDir | 0o750,
		"lrwxrwxrwx": fs.ModeSymlink | 0o777,
		"prw-------": fs.ModeNamedPipe | 0o600,
		"srw-------": fs.ModeSocket | 0o600,
		"brw-rw----": fs.ModeDevice | 0o660,
		"crw-rw----": fs.ModeDevice | fs.ModeCharDevice | 0o660,
		"-rwsr-xr-x": fs.ModeSetuid | 0o755,
		"-rwSr--r--": fs.ModeSetuid | 0o644,
		"-rwxr-sr-x": fs.ModeSetgid | 0o755,
		"drwxrwxrwt": fs.ModeDir | fs.ModeSticky | 0o777,
		"drwxrwxrwT": fs.ModeDir | fs.ModeSticky | 0o776,
		"----------": 0,
	} {
		if got := permissions(mode); got != want {
			t.Errorf("permissions(%v) = %s, expected %s", mode, got, want)
		}
	}
}

func TestPassphraseIsOneLineOfText(t *testing.T) {
	long := strings.Repeat("x", maxPassphraseBytes)
	for in, want := range map[string]string{
		"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", " spaces stay \n": " spaces stay ", "pässwörd": "pässwörd",
		long: long, long + "\r\n": long,
	} {
		if got, err := passphraseFrom(t.Context(), strings.NewReader(in), "test"); err != nil || string(got) != want {
			t.Errorf("from %.20q came %.20q, %v", in, got, err)
		}
	}
	for in, want := range map[string]error{
		"": errPassphraseEmpty, "\n": errPassphraseEmpty, "\r\n": errPassphraseEmpty, "two\nlines\n": errPassphraseLines, "secret\n\n": errPassphraseLines,
		"latin1-\xe9": errPassphraseText, "nul\x00": errPassphraseLines, long + "x": errPassphraseLong, strings.Repeat("x", 1<<20): errPassphraseLong,
	} {
		if got, err := passphraseFrom(t.Context(), strings.NewReader(in), "test"); err == nil || !strings.HasSuffix(err.Error(), want.Error()) {
			t.Errorf("from %.20q came %.20q, %v, expected %v", in, got, err, want)
		}
	}
}

func TestPassphraseNeverAppearsInAnError(t *testing.T) {
	if _, err := passphraseFrom(t.Context(), strings.NewReader("hunter2\nhunter2"), "test"); err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error is %v", err)
	}
}
