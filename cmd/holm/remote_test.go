package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/rogpeppe/go-internal/testscript"
)

// sftpServer is OpenSSH's own server; acceptance/deps.sh brings it.
const sftpServer = "/usr/lib/openssh/sftp-server"

// hasSFTP is the condition [sftp]: not to be left out where CI=true.
func hasSFTP() bool {
	_, err := os.Stat(sftpServer)
	return err == nil || os.Getenv("CI") == "true"
}

// serveS3 serves an empty bucket until the script ends, and sets a variable to
// its place: serves3 VAR [N]. The server breaks the connection of every Nth
// PUT of a pack or segment, in turn before and after it has stored the object.
func serveS3(ts *testscript.TestScript, neg bool, args []string) {
	every := int64(0)
	if len(args) > 1 {
		n, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		every = n
	}
	var puts atomic.Int64
	inner := gofakes3.New(s3mem.New()).Server()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int64(0)
		if r.Method == http.MethodPut && r.URL.Path != "/bucket" {
			n = puts.Add(1)
		}
		if every > 0 && n > 0 && n%every == 0 {
			if n/every%2 == 0 {
				inner.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler) // the connection breaks
		}
		inner.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	ts.Defer(server.Close)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, server.URL+"/bucket", nil)
	ts.Check(err)
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	ts.Check(answer.Body.Close())
	ts.Setenv(args[0], "s3:"+server.URL+"/bucket/vault")
}

// fakeSSH is a program that stands in for ssh and runs the SFTP server here.
// Each run leaves a file in the directory FAKESSH_RUNS; the first four break
// their connection when 700,000 bytes have been sent.
func fakeSSH() {
	dir := os.Getenv("FAKESSH_RUNS")
	run, err := os.CreateTemp(dir, "run-")
	if err != nil {
		log.Fatal(err)
	}
	run.Close()
	runs, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	server := exec.Command(sftpServer)
	server.Stdout, server.Stderr = os.Stdout, os.Stderr
	in, err := server.StdinPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		log.Fatal(err)
	}
	var from io.Reader = os.Stdin
	if len(runs) <= 4 {
		from = io.LimitReader(from, 700_000)
	}
	_, err = io.Copy(in, from)
	if closeErr := in.Close(); err == nil {
		err = closeErr
	}
	if waitErr := server.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		log.Fatal(err)
	}
}
