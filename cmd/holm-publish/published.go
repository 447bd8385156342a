package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"holm.example/internal/durable"
	"holm.example/keys/signing"
	"holm.example/packaging"
	"holm.example/repo"
)

const (
	publishedFolder  = "published"
	publishedFormat  = "published 1"
	maxPublished     = 1 << 16 // bytes of one file
	maxPublishedArch = 100
)

// A publishedLog remembers the last publish to one channel at one base URL:
// in the key folder, because whoever can change the site must not reach it
// (docs/repo-layout.md, section 7).
type publishedLog struct {
	folder       string // of the keys
	channel, url string
}

// A publishedFile is what the log holds.
type publishedFile struct {
	Format  string `json:"format"`
	Channel string `json:"channel"`
	URL     string `json:"url"`
	repo.Record
}

func (l publishedLog) path() string {
	sum := sha256.Sum256([]byte(l.url))
	return filepath.Join(l.folder, publishedFolder, l.channel+"-"+hex.EncodeToString(sum[:8])+".json")
}

// Last returns what was published last, nil if nothing was. The error is
// signing.ErrStore for a file that no publisher writes.
func (l publishedLog) Last() (*repo.Record, error) {
	f, err := os.Open(l.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPublished+1))
	if err != nil {
		return nil, err
	}
	r, err := l.parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", signing.ErrStore, l.path(), err)
	}
	return r, nil
}

// parse reads the file of the log.
func (l publishedLog) parse(data []byte) (*repo.Record, error) {
	if len(data) > maxPublished {
		return nil, fmt.Errorf("longer than %d bytes", maxPublished)
	}
	var p publishedFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, err
	}
	if p.Format != publishedFormat || p.Channel != l.channel || p.URL != l.url {
		return nil, fmt.Errorf("%q of channel %q at %q", p.Format, p.Channel, p.URL)
	}
	if packaging.CheckVersion(p.Version) != nil || p.Number < 1 || p.Date.IsZero() || len(p.Revisions) > maxPublishedArch {
		return nil, fmt.Errorf("publish %d of version %q, dated %s", p.Number, p.Version, p.Date)
	}
	return &p.Record, nil
}

// Keep replaces what Last returns.
func (l publishedLog) Keep(r repo.Record) error {
	data, err := json.MarshalIndent(publishedFile{publishedFormat, l.channel, l.url, r}, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(l.path()), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(l.path(), append(data, '\n'), 0o600)
}
