package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Config says where an S3 store is.
type S3Config struct {
	Endpoint string // host, or host:port
	Plain    bool   // http in place of https
	Bucket   string // must be there
	Prefix   string // of all object names: empty, or without slash at its ends
	Region   string // empty: the service is asked
	DNS      bool   // the bucket is part of the host name, not of the path
	// Credentials is a file in the form of ~/.aws/credentials; empty means
	// the usual variables of the environment, then the usual file.
	Credentials string
	Limits      Limits
	// Transport is for tests; nil means one with limits and patience.
	Transport http.RoundTripper
}

// S3 is a store in a bucket of an S3-compatible service. Every object is put
// in one request, create-only by "If-None-Match: *" and with its MD5, so that
// nothing but what was sent can be stored. A service that ignores that header
// is found by Probe. Requests are not tried again here: Retry does that.
type S3 struct {
	client *minio.Client
	idle   func()
	bucket string
	prefix string // with the slash, if not empty
}

// NewS3 returns the store; nothing is asked of the service yet.
func NewS3(c S3Config) (*S3, error) {
	s := &S3{bucket: c.Bucket, prefix: c.Prefix, idle: func() {}}
	if s.prefix != "" {
		s.prefix += "/"
	}
	transport := c.Transport
	if transport == nil {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer(c.Limits, stall),
			MaxIdleConnsPerHost: 8, IdleConnTimeout: stall / 2, TLSHandshakeTimeout: 20 * time.Second,
			DisableCompression: true, WriteBufferSize: 32 << 10, ReadBufferSize: 32 << 10,
		}
		transport, s.idle = t, t.CloseIdleConnections
	}
	lookup := minio.BucketLookupAuto
	if c.DNS {
		lookup = minio.BucketLookupDNS
	}
	var err error
	s.client, err = minio.New(c.Endpoint, &minio.Options{
		Creds: s3Credentials(c.Credentials), Secure: !c.Plain, Region: c.Region, BucketLookup: lookup,
		Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("opening store at %s: %w", c.Endpoint, err)
	}
	return s, nil
}

// s3Credentials are those of the file, or of where everybody has them.
func s3Credentials(file string) *credentials.Credentials {
	if file != "" {
		return credentials.NewFileAWSCredentials(file, "")
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{},
	})
}

// wrap turns the error of a request into one of this package.
func (s *S3) wrap(ctx context.Context, name string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("object %s: %w", name, ctx.Err())
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return fmt.Errorf("object %s: %w", name, again(err))
	}
	return fmt.Errorf("object %s: %w", name, meaning(answer))
}

// meaning is what an answer of the service means for a store.
func meaning(a minio.ErrorResponse) error {
	said := fmt.Errorf("%s: %s", a.Code, a.Message)
	switch {
	case a.Code == minio.PreconditionFailed, a.StatusCode == http.StatusPreconditionFailed:
		return ErrExists
	case a.Code == minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", ErrUnreachable, said)
	case a.Code == minio.NoSuchKey, a.StatusCode == http.StatusNotFound:
		return ErrNotFound
	case a.Code == minio.InvalidRange, a.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return ErrShort
	case a.StatusCode == http.StatusUnauthorized, a.StatusCode == http.StatusForbidden,
		a.Code == "ExpiredToken", a.Code == "InvalidToken": // with 400, of temporary credentials
		return fmt.Errorf("%w: %w", ErrDenied, said)
	case a.StatusCode == http.StatusInsufficientStorage:
		return fmt.Errorf("%w: %w", syscall.ENOSPC, said)
	case a.StatusCode == http.StatusNotImplemented:
		return said
	case a.StatusCode >= 500, a.StatusCode == http.StatusConflict, a.StatusCode == http.StatusRequestTimeout,
		a.StatusCode == http.StatusTooManyRequests, a.Code == "RequestTimeout":
		return again(said)
	}
	return said
}

// bodyReader remembers an error of the body: that is none of the service.
type bodyReader struct {
	*io.SectionReader
	err error
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (b *bodyReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.SectionReader.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// Put implements Store.
func (s *S3) Put(ctx context.Context, name string, body *io.SectionReader) error {
	return s.put(ctx, name, body, true)
}

// Overwrite is Overwrite of this package.
func (s *S3) Overwrite(ctx context.Context, name string, body *io.SectionReader) error {
	return s.put(ctx, name, body, false)
}

func (s *S3) put(ctx context.Context, name string, body *io.SectionReader, create bool) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	// The MD5 is signed with the request, over http too: no chunk needs a
	// signature of its own.
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true,
		SendContentMd5: true, DisableContentSha256: true}
	if create {
		o.SetMatchETagExcept("*")
	}
	b := &bodyReader{SectionReader: io.NewSectionReader(body, 0, body.Size())}
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+name, b, body.Size(), o)
	if b.err != nil {
		return fmt.Errorf("object %s: %w", name, b.err)
	}
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotImplemented {
		return fmt.Errorf("object %s: %w: %w", name, ErrNotCreateOnly, err)
	}
	return s.wrap(ctx, name, err)
}

// get begins to read an object, from a range of it if length is not negative.
func (s *S3) get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, minio.ObjectInfo, http.Header, error) {
	var o minio.GetObjectOptions
	if length > 0 {
		if err := o.SetRange(offset, min(offset, math.MaxInt64-length)+length-1); err != nil {
			return nil, minio.ObjectInfo{}, nil, fmt.Errorf("object %s: %w", name, err)
		}
	}
	r, info, header, err := minio.Core{Client: s.client}.GetObject(ctx, s.bucket, s.prefix+name, o)
	return r, info, header, s.wrap(ctx, name, err)
}

// fill reads all that a request gives.
func (s *S3) fill(ctx context.Context, name string, r io.ReadCloser, size int64) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	if err != nil {
		return nil, s.wrap(ctx, name, err)
	}
	return b, nil
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return nil, err
	}
	r, info, _, err := s.get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("object %s: %d bytes: %w", name, info.Size, ErrTooLarge)
	}
	if info.Size < 0 {
		return nil, fmt.Errorf("object %s: the service does not tell its size", name)
	}
	return s.fill(ctx, name, r, info.Size)
}

// GetRange implements Store.
func (s *S3) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return nil, err
	}
	short := fmt.Errorf("object %s: wanted %d bytes at %d: %w", name, length, offset, ErrShort)
	if offset < 0 || length < 0 {
		return nil, short
	}
	if length == 0 { // no range has no bytes
		info, err := s.client.StatObject(ctx, s.bucket, s.prefix+name, minio.StatObjectOptions{})
		if err == nil && offset > info.Size {
			return nil, short
		}
		return []byte{}, s.wrap(ctx, name, err)
	}
	r, info, header, err := s.get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	is := header.Get("Content-Range")
	if is != "" && !strings.HasPrefix(is, fmt.Sprintf("bytes %d-", offset)) || is == "" && offset > 0 || info.Size > length {
		return nil, fmt.Errorf("object %s: wanted %d bytes at %d, the service gave %d (%q)", name, length, offset, info.Size, is)
	}
	if info.Size < length {
		return nil, short
	}
	return s.fill(ctx, name, r, length)
}

// List implements Store. It holds one page of at most 1,000 objects.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(Object{}, err)
			return
		}
		last := ""
		for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
			if o.Err != nil {
				yield(Object{}, s.wrap(ctx, prefix, o.Err))
				return
			}
			name, ok := strings.CutPrefix(o.Key, s.prefix)
			if !ok || CheckName(name) != nil {
				continue // what a console or another program put there
			}
			if name <= last {
				yield(Object{}, fmt.Errorf("listing %s: the service gave %s after %s", prefix, name, last))
				return
			}
			last = name
			if !yield(Object{name, o.Size}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Object{}, err)
		}
	}
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	err := s.wrap(ctx, name, s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Close ends the connections.
func (s *S3) Close() error {
	s.idle()
	return nil
}
