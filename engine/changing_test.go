package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holm.example/engine/backup"
)

// meanwhile backs up, and calls change in the midst of the reading of each
// file, as often as it is read.
func (s *scene) meanwhile(change func(reading int)) (r BackupReport) {
	s.t.Helper()
	now := time.Now()
	s.at = func() time.Time { now = now.Add(time.Second); return now } // progress each time
	defer func() { s.at = nil }()
	const chunk = 4096
	reading, seen := 0, int64(0)
	s.with(s.data, func(e *Engine) {
		var err error
		r, err = e.Backup(s.t.Context(), BackupOptions{Paths: []string{s.src}, Progress: func(p Progress) {
			if p.ReadBytes > seen+2*chunk { // well behind the beginning of a reading
				seen = p.ReadBytes + 50_000
				reading++
				change(reading)
			}
		}})
		if err != nil {
			s.t.Fatal(err)
		}
	})
	return r
}

func TestFileThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	s := newScene(t)
	s.write("file", noise(1, 60_000))
	path := filepath.Join(s.src, "file")
	after := noise(2, 60_000)
	r := s.meanwhile(func(reading int) {
		if reading == 1 {
			if err := os.WriteFile(path, after, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
	if len(r.Problems) > 0 || r.ReadBytes < 2*60_000 {
		t.Errorf("%d bytes were read, problems %v, want that the file was read twice", r.ReadBytes, r.Problems)
	}
	if got := contents(t, s.restore(s.data, "latest"))["file"]; got != string(after) {
		t.Error("the vault has a file that never was")
	}
	s.ahead = time.Hour
	if r := s.backup(s.data); r.ReadBytes != 0 {
		t.Errorf("%d bytes were read of a file that is settled", r.ReadBytes)
	}
}

func TestFileThatChangesAtEveryReadingIsToldAndReadNextTime(t *testing.T) {
	s := newScene(t)
	s.write("file", noise(1, 60_000))
	path := filepath.Join(s.src, "file")
	r := s.meanwhile(func(reading int) {
		when := time.Unix(1_600_000_000+int64(reading), 0)
		if err := errors.Join(os.WriteFile(path, noise(uint64(reading), 60_000), 0o644), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	})
	if len(r.Problems) != 1 || !errors.Is(r.Problems[0].Err, backup.ErrChanged) || r.Snapshot == "" {
		t.Fatalf("report %+v, want a snapshot and ErrChanged", r)
	}
	s.ahead = time.Hour
	if r := s.backup(s.data); r.ReadBytes != 60_000 {
		t.Errorf("%d bytes were read next time, want the file", r.ReadBytes)
	}
	sameTrees(t, image(t, s.src), image(t, s.restore(s.data, "latest")))
}
