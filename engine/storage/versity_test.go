package storage_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// versityProgram is the gateway that acceptance/deps.sh builds.
func versityProgram(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "holm", "tools", "versitygw")
	needServer(t, program)
	return program
}

// serveVersity starts versitygw, a service that people keep data in, as a
// process of its own over a directory, with an empty bucket.
func serveVersity(t *testing.T) storage.S3Config {
	t.Helper()
	program := versityProgram(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "tester")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret of the tester")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	for _, name := range []string{"data/vaults", "beside"} { // a directory is a bucket
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--quiet", "--access", "tester", "--secret", "secret of the tester", "--port", address,
		"--health", "/health", "posix", "--sidecar", filepath.Join(dir, "beside"), filepath.Join(dir, "data"))
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for late := time.After(time.Minute); ; {
		if answer, err := http.Get("http://" + address + "/health"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatal("versitygw does not answer")
		}
	}
	return storage.S3Config{Endpoint: address, Plain: true, Bucket: "vaults", Region: "us-east-1"}
}

func TestVersityGatewayPassesTheSuite(t *testing.T) {
	c := serveVersity(t)
	places := 0
	storagetest.Suite(t, func(t *testing.T) storagetest.Place {
		places++
		c := c
		c.Prefix = fmt.Sprintf("place-%d", places)
		return func() storage.Store { return openS3(t, c) }
	})
}

// TestVersityGatewayCreatesOnceOfManyPutsAtTheSameMoment asks more often than
// the suite does: a server that looks first and writes then is right mostly.
func TestVersityGatewayCreatesOnceOfManyPutsAtTheSameMoment(t *testing.T) {
	c := serveVersity(t)
	s := openS3(t, c)
	const rounds, writers = 100, 8
	for round := range rounds {
		name := fmt.Sprintf("packs/%d", round)
		var created atomic.Int64
		var all sync.WaitGroup
		start := make(chan struct{})
		for w := range writers {
			all.Go(func() {
				<-start
				if s.Put(t.Context(), name, storage.Body([]byte{byte(w)})) == nil {
					created.Add(1)
				}
			})
		}
		close(start)
		all.Wait()
		if created.Load() != 1 {
			t.Fatalf("round %d: %d of %d Puts of one name succeeded, want 1", round, created.Load(), writers)
		}
	}
}
