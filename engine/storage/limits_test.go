package storage_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"holm.example/engine/storage"
)

// TestLimitsReachTheConnectionsOfEveryNetworkStore measures from below alone:
// no machine, however slow, moves a body sooner than its limit allows, and
// without one it takes milliseconds.
func TestLimitsReachTheConnectionsOfEveryNetworkStore(t *testing.T) {
	needServer(t, sftpServer)
	const size, limit = 96 << 10, 128 << 10
	const least = time.Duration(size-limit/10) * time.Second / limit // a tenth of a second's bytes pass at once
	service := serveS3(t, s3Servers()["johannesboyne's gofakes3"]())
	root := filepath.Join(t.TempDir(), "vault")
	body := bytes.Repeat([]byte{1}, size)
	for name, open := range map[string]func(*testing.T, storage.Limits) storage.Store{
		"S3": func(t *testing.T, l storage.Limits) storage.Store {
			c := service
			c.Limits = l
			return openS3(t, c)
		},
		"SFTP": func(t *testing.T, l storage.Limits) storage.Store {
			s := openSFTP(t, storage.SFTPConfig{Command: []string{sftpServer}, Root: root, Limits: l})
			if err := s.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			up, down := open(t, storage.Limits{Upload: limit}), open(t, storage.Limits{Download: limit})
			began := time.Now()
			put(t, up, "packs/a", string(body))
			if took := time.Since(began); took < least {
				t.Errorf("Put of %d bytes took %v, want %v or more", size, took, least)
			}
			began = time.Now()
			got, err := down.Get(t.Context(), "packs/a", size)
			if took := time.Since(began); took < least || err != nil || !bytes.Equal(got, body) {
				t.Errorf("Get of %d bytes took %v, want %v or more: %d bytes, %v", size, took, least, len(got), err)
			}
		})
	}
}
