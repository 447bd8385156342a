package storage

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// ErrLocation is returned for a text that names no store.
var ErrLocation = errors.New("not a place for a vault")

// A Location is where a store is, as people write it:
//
//	/mnt/disk/vault, ./vault, C:\vault             a directory
//	s3://BUCKET[/PREFIX][?region=REGION]           a bucket of Amazon S3
//	s3:https://HOST[:PORT]/BUCKET[/PREFIX][?…]     a bucket of another service
//	sftp://[USER@]HOST[:PORT]/PATH                 an absolute path over SFTP
//	sftp:[USER@]HOST:PATH                          the same as scp has it: a
//	                                               relative PATH begins at the
//	                                               home directory
//
// Behind the question mark stand region=REGION (us-east-1 if none is given to
// another service than Amazon's) and style=dns, for a service that wants the
// bucket in the host name. s3:http://… does without TLS: for a service on the
// same machine. Passwords and keys are no part of a location.
type Location struct {
	text string // as it is remembered
	dir  string // of a directory; then the rest is empty
	s3   *S3Config
	sftp *sftpPlace
}

// sftpPlace is the SFTP form of a location.
type sftpPlace struct{ user, host, port, path string }

// ParseLocation reads a location. That of a directory becomes absolute.
func ParseLocation(text string) (Location, error) {
	var err error
	l := Location{text: text}
	rest, isS3 := strings.CutPrefix(text, "s3:")
	_, isSFTP := strings.CutPrefix(text, "sftp:")
	switch {
	case text == "":
		err = errors.New("it is empty")
	case isS3:
		l.s3, err = parseS3(rest)
	case isSFTP:
		l.sftp, err = parseSFTP(text)
	default:
		l.dir, err = filepath.Abs(text)
		l.text = l.dir
	}
	if err != nil {
		return Location{}, fmt.Errorf("%.200q: %w: %w", text, ErrLocation, err)
	}
	return l, nil
}

// String is the location as it is remembered.
func (l Location) String() string { return l.text }

// Directory is the absolute path of a store on this machine; others have none.
func (l Location) Directory() (dir string, ok bool) { return l.dir, l.dir != "" }

// Redundant reports whether the store is a service that keeps what it has on
// several disks, as those of S3 do: one that need not guard against a bad disk.
func (l Location) Redundant() bool { return l.s3 != nil }

// parseS3 reads what stands behind "s3:".
func parseS3(text string) (*S3Config, error) {
	amazon := strings.HasPrefix(text, "//")
	if amazon {
		text = "https://s3.amazonaws.com/" + text[2:]
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("write s3://BUCKET/PREFIX or s3:https://HOST/BUCKET/PREFIX")
	case u.User != nil:
		return nil, errors.New("keys do not belong here, where everybody sees them")
	case u.Host == "" || u.Fragment != "":
		return nil, errors.New("it names no host")
	}
	c := &S3Config{Endpoint: u.Host, Plain: u.Scheme == "http"}
	c.Bucket, c.Prefix, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
	if err := s3utils.CheckValidBucketName(c.Bucket); err != nil {
		return nil, fmt.Errorf("it names no bucket: %w", err)
	}
	if c.Prefix != "" && c.Prefix != path.Clean(c.Prefix) || strings.HasPrefix(c.Prefix, "..") {
		return nil, errors.New("the prefix is no plain path")
	}
	if !amazon {
		c.Region = "us-east-1"
	}
	for key, values := range u.Query() {
		switch value := values[0]; {
		case key == "region" && value != "":
			c.Region = value
		case key == "style" && value == "dns":
			c.DNS = true
		case key == "style" && value == "path":
		default:
			return nil, fmt.Errorf("%s=%s is not known: region=REGION, style=dns and style=path are", key, value)
		}
	}
	return c, nil
}

// parseSFTP reads both forms.
func parseSFTP(text string) (*sftpPlace, error) {
	p := &sftpPlace{}
	if strings.HasPrefix(text, "sftp://") {
		u, err := url.Parse(text)
		if err != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, errors.New("write sftp://USER@HOST:PORT/PATH")
		}
		if _, has := u.User.Password(); has {
			return nil, errors.New("a password does not belong here, where everybody sees it; use a key")
		}
		p.user, p.host, p.port, p.path = u.User.Username(), u.Hostname(), u.Port(), path.Clean(u.Path)
	} else {
		host, dir, ok := strings.Cut(strings.TrimPrefix(text, "sftp:"), ":")
		if !ok {
			return nil, errors.New("write sftp:USER@HOST:PATH")
		}
		if user, h, has := strings.Cut(host, "@"); has {
			p.user, host = user, h
		}
		p.host, p.path = host, path.Clean(dir)
	}
	if _, err := strconv.ParseUint(p.port, 10, 16); p.port != "" && err != nil {
		return nil, errors.New("the port is no number")
	}
	for _, word := range []string{p.user, p.host} {
		if strings.HasPrefix(word, "-") || strings.ContainsAny(word, " \t\r\n\x00") {
			return nil, errors.New("user or host is not one")
		}
	}
	if p.host == "" {
		return nil, errors.New("it names no host")
	}
	if p.path == "/" || p.path == "." {
		return nil, errors.New("it names no directory")
	}
	return p, nil
}

// OpenOptions say how a store is used; the zero value will do.
type OpenOptions struct {
	Limits Limits
	// SSH are the words of the command that runs ssh; none means "ssh".
	SSH []string
	// Credentials is as in S3Config.
	Credentials string
	// Note is as in RetryOptions.
	Note func(format string, args ...any)
}

// Open returns the store at a location. It is wrapped in a Retry if there is a
// network in between. The directory of a vault on this machine must be there;
// of other stores the first request finds out.
func Open(l Location, o OpenOptions) (Store, error) {
	s, err := l.open(o)
	if err != nil {
		return nil, err
	}
	if l.dir != "" {
		return s, nil
	}
	return NewRetry(s, RetryOptions{Note: o.Note}), nil
}

// Create is Open for a new vault: a directory, here or over SFTP, is made. A
// bucket must be there.
func Create(ctx context.Context, l Location, o OpenOptions) (Store, error) {
	if l.dir != "" {
		return CreateDir(l.dir)
	}
	s, err := l.open(o)
	if err != nil {
		return nil, err
	}
	r := NewRetry(s, RetryOptions{Note: o.Note})
	if over, ok := s.(*SFTP); ok {
		if err := r.do(ctx, func() error { return over.Create(ctx) }); err != nil {
			return nil, errors.Join(err, over.Close())
		}
	}
	return r, nil
}

func (l Location) open(o OpenOptions) (Store, error) {
	switch {
	case l.s3 != nil:
		c := *l.s3
		c.Limits, c.Credentials = o.Limits, o.Credentials
		return NewS3(c)
	case l.sftp != nil:
		return NewSFTP(SFTPConfig{Command: l.sftp.command(o.SSH), Root: l.sftp.path, Limits: o.Limits}), nil
	}
	return OpenDir(l.dir)
}

// command is how ssh is run: without questions, forwarding or a terminal, and
// so that it notices a dead connection.
func (p *sftpPlace) command(ssh []string) []string {
	if len(ssh) == 0 {
		ssh = []string{"ssh"}
	}
	words := append([]string{}, ssh...)
	words = append(words, "-T", "-a", "-x", "-oBatchMode=yes", "-oClearAllForwardings=yes", "-oConnectTimeout=20",
		"-oServerAliveInterval=15", "-oServerAliveCountMax=3")
	if p.port != "" {
		words = append(words, "-p", p.port)
	}
	if p.user != "" {
		words = append(words, "-l", p.user)
	}
	return append(words, "-s", "--", p.host, "sftp")
}
