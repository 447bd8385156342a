package storage

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestLocationIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]any{
		"s3://bucket": S3Config{Endpoint: "s3.amazonaws.com", Bucket: "bucket"},
		"s3://bucket/a/b/?region=eu-central-1": S3Config{Endpoint: "s3.amazonaws.com", Bucket: "bucket", Prefix: "a/b",
			Region: "eu-central-1"},
		"s3:https://host:9000/bucket/vault":              S3Config{Endpoint: "host:9000", Bucket: "bucket", Prefix: "vault", Region: "us-east-1"},
		"s3:http://127.0.0.1:1/bkt?region=x&style=dns":   S3Config{Endpoint: "127.0.0.1:1", Plain: true, Bucket: "bkt", Region: "x", DNS: true},
		"s3:https://host/bkt?style=path":                 S3Config{Endpoint: "host", Bucket: "bkt", Region: "us-east-1"},
		"sftp://me@nas.example:2222/srv/vault/":          sftpPlace{"me", "nas.example", "2222", "/srv/vault"},
		"sftp://nas/srv/with%20blank":                    sftpPlace{"", "nas", "", "/srv/with blank"},
		"sftp:me@nas:backup/vault":                       sftpPlace{"me", "nas", "", "backup/vault"},
		"sftp:nas:/srv/vault":                            sftpPlace{"", "nas", "", "/srv/vault"},
		filepath.Join(string(filepath.Separator), "mnt"): nil,
		"relative/s3:x":                                  nil,
	} {
		l, err := ParseLocation(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got any
		switch {
		case l.s3 != nil:
			got = *l.s3
		case l.sftp != nil:
			got = *l.sftp
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
		dir, ok := l.Directory()
		if abs, _ := filepath.Abs(text); ok != (want == nil) || ok && (dir != abs || l.String() != abs) || !ok && l.String() != text {
			t.Errorf("%s: directory %q, %v; remembered as %q", text, dir, ok, l)
		}
	}
}

func TestLocationThatNamesNoStoreIsRefused(t *testing.T) {
	for _, text := range []string{"", "s3:", "s3://", "s3:bucket", "s3:ftp://host/bucket", "s3:https://host", "s3:https://key:secret@host/bkt",
		"s3://bkt?regoin=x", "s3:https://host/bkt#x", "s3://bkt/../x", "s3://bkt/a//b", "s3://b", "s3://_/x", "sftp:", "sftp://", "sftp://host", "sftp://host/",
		"sftp:host", "sftp:host:", "sftp://me:secret@host/x", "sftp://-oProxyCommand=x/y", "sftp:-oProxyCommand=x:y", "sftp:-l@host:y",
		"sftp:host name:y", "sftp://host:99999/x", "sftp://host/x?y"} {
		if l, err := ParseLocation(text); !errors.Is(err, ErrLocation) {
			t.Errorf("%q: %+v, %v, want ErrLocation", text, l, err)
		}
	}
}

func TestSSHNeverAsksAndCannotBeGivenOptionsByALocation(t *testing.T) {
	p := &sftpPlace{"me", "nas", "2222", "/x"}
	words := p.command([]string{"ssh", "-F", "file"})
	if !slices.Equal(words[:3], []string{"ssh", "-F", "file"}) || !slices.Contains(words, "-oBatchMode=yes") {
		t.Errorf("%q", words)
	}
	if tail := strings.Join(words[len(words)-8:], " "); tail != "-p 2222 -l me -s -- nas sftp" {
		t.Errorf("%q", tail)
	}
}
