package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	other "github.com/johannesboyne/gofakes3"
	othermem "github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// s3Servers are two implementations of the service that keep create-only: both
// are libraries that run in the process of the test, behind HTTP on loopback.
func s3Servers() map[string]func() http.Handler {
	return map[string]func() http.Handler{
		"rclone's gofakes3": func() http.Handler {
			return withoutEmptyDelimiter(gofakes3.New(&atomicMemory{Backend: s3mem.New()}).Server())
		},
		"johannesboyne's gofakes3": func() http.Handler {
			return other.New(othermem.New()).Server()
		},
	}
}

// atomicMemory asks for the conditions of a Put again while it holds all others
// off, as the library wants it of a backend; its own memory does not.
type atomicMemory struct {
	*s3mem.Backend
	mu sync.Mutex
}

func (m *atomicMemory) PutObject(ctx context.Context, bucket, key string, meta map[string]string, input io.Reader, size int64) (gofakes3.PutObjectResult, error) {
	body, err := io.ReadAll(input)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err = m.HeadObject(ctx, bucket, key)
	if err := gofakes3.CheckWriteConditions(ctx, err == nil, ""); err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	return m.Backend.PutObject(ctx, bucket, key, meta, bytes.NewReader(body), size)
}

// withoutEmptyDelimiter takes the empty delimiter out of listings, as rclone
// does before it asks its backend: the memory of the library does not know that
// it means none.
func withoutEmptyDelimiter(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Has("delimiter") && q.Get("delimiter") == "" {
			q.Del("delimiter")
			r.URL.RawQuery = q.Encode()
		}
		h.ServeHTTP(w, r)
	})
}

// serveS3 serves the service on loopback with an empty bucket, and says how to
// reach it.
func serveS3(t *testing.T, handler http.Handler) storage.S3Config {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "tester")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret of the tester")
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that tests break
	server.Start()
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/vaults", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("making the bucket: %v, %v", answer, err)
	}
	answer.Body.Close()
	return storage.S3Config{Endpoint: strings.TrimPrefix(server.URL, "http://"), Plain: true, Bucket: "vaults", Region: "us-east-1"}
}

func openS3(t *testing.T, c storage.S3Config) storage.Store {
	t.Helper()
	s, err := storage.NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestS3PassesTheSuite(t *testing.T) {
	for name, handler := range s3Servers() {
		for _, prefix := range []string{"", "of/holm"} {
			t.Run(name+"/"+prefix, func(t *testing.T) {
				storagetest.Suite(t, func(t *testing.T) storagetest.Place {
					c := serveS3(t, handler())
					c.Prefix = prefix
					return func() storage.Store { return openS3(t, c) }
				})
			})
		}
	}
}

func TestProbeFindsAServiceThatIgnoresIfNoneMatch(t *testing.T) {
	for name, handler := range s3Servers() {
		ignoring := handler()
		c := serveS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-None-Match")
			ignoring.ServeHTTP(w, r)
		}))
		if err := storage.Probe(t.Context(), openS3(t, c), time.Now()); !errors.Is(err, storage.ErrNotCreateOnly) {
			t.Errorf("%s: %v, want ErrNotCreateOnly", name, err)
		}
	}
}

// answering answers every request with one status and an S3 error code.
func answering(status int, code string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>of the test</Message></Error>`, code)
		}
	})
}

func TestEveryAnswerOfAServiceHasItsMeaning(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error
		tries  int // of a Put under Retry
	}{
		{412, "PreconditionFailed", storage.ErrExists, 1},
		{409, "ConditionalRequestConflict", storage.ErrUnreachable, 4},
		{403, "AccessDenied", storage.ErrDenied, 1},
		{403, "SignatureDoesNotMatch", storage.ErrDenied, 1},
		{400, "ExpiredToken", storage.ErrDenied, 1},
		{400, "InvalidToken", storage.ErrDenied, 1},
		{404, "NoSuchBucket", storage.ErrUnreachable, 1},
		{501, "NotImplemented", storage.ErrNotCreateOnly, 1},
		{500, "InternalError", storage.ErrUnreachable, 4},
		{503, "SlowDown", storage.ErrUnreachable, 4},
		{507, "StorageFull", syscall.ENOSPC, 1},
	} {
		t.Run(c.code, func(t *testing.T) {
			var tries atomic.Int64
			h := answering(c.status, c.code)
			config := serveS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/vaults" { // to be made
					return
				}
				if r.Method == http.MethodPut {
					tries.Add(1)
					h.ServeHTTP(w, r)
					return
				}
				answering(404, "NoSuchKey").ServeHTTP(w, r)
			}))
			s := storage.NewRetry(openS3(t, config), storage.RetryOptions{Sleep: noSleep})
			err := s.Put(t.Context(), "packs/a", storage.Body([]byte("x")))
			// What asked again and found nothing has heard an answer: more tries.
			if !errors.Is(err, c.want) || tries.Load() < int64(c.tries) || c.tries == 1 && tries.Load() != 1 {
				t.Errorf("%v after %d tries, want %v after %d", err, tries.Load(), c.want, c.tries)
			}
		})
	}
}

func TestServiceThatIgnoresRangesIsNotBelieved(t *testing.T) {
	inner := s3Servers()["rclone's gofakes3"]()
	c := serveS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		inner.ServeHTTP(w, r)
	}))
	s := openS3(t, c)
	put(t, s, "packs/a", "0123456789")
	for _, r := range [][2]int64{{1, 10}, {3, 4}, {0, 4}} {
		if b, err := s.GetRange(t.Context(), "packs/a", r[0], r[1]); err == nil {
			t.Errorf("%d bytes at %d: %q, want an error", r[1], r[0], b)
		}
	}
}

func TestListingOfMoreThanOnePageIsWhole(t *testing.T) {
	for name, handler := range s3Servers() {
		s := openS3(t, serveS3(t, handler()))
		var want []string
		for i := range 2100 {
			want = append(want, fmt.Sprintf("packs/%04d", i))
			put(t, s, want[i], "")
		}
		if got := names(t, s); !slices.Equal(got, want) {
			t.Errorf("%s: %d names, want %d in order", name, len(got), len(want))
		}
	}
}

func TestConnectionThatBreaksInAPutIsOpenedAnew(t *testing.T) {
	for name, handler := range s3Servers() {
		for _, after := range []bool{false, true} { // the object was stored
			t.Run(fmt.Sprintf("%s/%v", name, after), func(t *testing.T) {
				var broken atomic.Bool
				inner := handler()
				c := serveS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/vaults/packs/a" && r.Method == http.MethodPut && !broken.Swap(true) {
						if after {
							inner.ServeHTTP(httptest.NewRecorder(), r)
						}
						panic(http.ErrAbortHandler) // the connection is closed without an answer
					}
					inner.ServeHTTP(w, r)
				}))
				s := storage.NewRetry(openS3(t, c), storage.RetryOptions{Sleep: noSleep})
				body := bytes.Repeat([]byte("0123456789"), 300_000)
				if err := s.Put(t.Context(), "packs/a", storage.Body(body)); err != nil || !broken.Load() {
					t.Errorf("Put: %v; broken %v", err, broken.Load())
				}
				if got, err := s.Get(t.Context(), "packs/a", 1<<30); err != nil || !bytes.Equal(got, body) {
					t.Errorf("Get: %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestWithoutKeysAServiceSaysThatItDenies(t *testing.T) {
	denying := answering(403, "InvalidAccessKeyId")
	c := serveS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut { // of the bucket
			denying.ServeHTTP(w, r)
		}
	}))
	c.Credentials = filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(c.Credentials, []byte("[default]\naws_access_key_id = a\naws_secret_access_key = b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openS3(t, c).Get(t.Context(), "vault.json", 10); !errors.Is(err, storage.ErrDenied) {
		t.Errorf("Get: %v, want ErrDenied", err)
	}
}
