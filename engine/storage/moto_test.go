package storage_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"sync"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// serveMoto starts moto_server (getmoto/moto), an implementation of the
// service in Python, as a process of its own, and returns its address.
func serveMoto(t *testing.T) (address string) {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("no moto_server here, which Debian does not package")
	}
	cmd := exec.Command(program, "-H", "127.0.0.1", "-p", "0")
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	running := regexp.MustCompile(`Running on http://(127\.0\.0\.1:[0-9]+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := running.FindStringSubmatch(lines.Text()); m != nil {
			go func() { // it says a line for each request
				for lines.Scan() {
				}
			}()
			return m[1]
		}
	}
	t.Skip("moto_server does not start here")
	return ""
}

// oneAtATime hands requests on to a server, of those that put only one at a
// time: moto looks whether an object is there and writes it then.
func oneAtATime(address string) http.Handler {
	var mu sync.Mutex
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // of connections that tests break
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			mu.Lock()
			defer mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	})
}

func TestS3ServerInAProcessOfItsOwnPassesTheSuite(t *testing.T) {
	handler := oneAtATime(serveMoto(t))
	places := 0
	storagetest.Suite(t, func(t *testing.T) storagetest.Place {
		places++
		c := serveS3(t, handler)
		c.Prefix = fmt.Sprintf("place-%d", places)
		return func() storage.Store { return openS3(t, c) }
	})
}
