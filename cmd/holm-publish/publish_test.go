package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/rpm"

	"holm.example/keys/signing"
	"holm.example/packaging"
	"holm.example/repo/site"
)

// A desk is a folder with keys and built releases, and the command line.
type desk struct {
	t   *testing.T
	dir string
}

// run runs one command line with the folders of the desk.
func (d desk) run(args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--keys", filepath.Join(d.dir, "keys"), "--dist", filepath.Join(d.dir, "dist"), "--config", filepath.Join("..", "..", "packaging", "release.yaml"))
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// newDesk makes the keys of a rehearsal and two releases.
func newDesk(t *testing.T) desk {
	t.Helper()
	d := desk{t, t.TempDir()}
	if code, _, stderr := d.run("key", "new", "--quiet"); code != exitDone {
		t.Fatal(stderr)
	}
	d.release("1.0.0")
	d.release("1.0.1")
	return d
}

// release puts a packaged release into the folder of built releases.
func (d desk) release(version string) {
	d.t.Helper()
	store, err := signing.OpenStore(filepath.Join(d.dir, "keys"))
	if err != nil {
		d.t.Fatal(err)
	}
	signer, err := store.Signer(signing.Package, "stable", nil, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	folder := packaging.Folder(filepath.Join(d.dir, "dist"), version)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		d.t.Fatal(err)
	}
	r := packaging.Release{Format: "release 1", Product: "holm", Version: version, Commit: "c", Epoch: 1_700_000_000, URL: "http://127.0.0.1:8417",
		Channel: "stable", Packaged: "yes"}
	add := func(name string, kind packaging.Kind, data []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			d.t.Fatal(err)
		}
		r.Files = append(r.Files, packaging.File{Name: name, Kind: kind, Size: int64(len(data)), SHA256: fmt.Sprintf("%x", sha256.Sum256(data))})
	}
	info := func() *nfpm.Info {
		i := nfpm.WithDefaults(&nfpm.Info{Name: "holm", Arch: "amd64", Version: version, Description: "backup", Maintainer: "m <m@holm.example>", MTime: time.Unix(r.Epoch, 0)})
		i.RPM.Signature.SignFn = func(r io.Reader) ([]byte, error) {
			data, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			return signer.SignBinary(data, time.Unix(1_700_000_000, 0))
		}
		return i
	}
	var debFile, rpmFile bytes.Buffer
	if err := (&deb.Deb{}).Package(info(), &debFile); err != nil {
		d.t.Fatal(err)
	}
	if err := rpm.DefaultRPM.Package(info(), &rpmFile); err != nil {
		d.t.Fatal(err)
	}
	add("holm_"+version+"_amd64.deb", packaging.KindDEB, debFile.Bytes())
	add("holm-"+version+"-1.x86_64.rpm", packaging.KindRPM, rpmFile.Bytes())
	add("holm_"+version+"_windows_amd64.zip", packaging.KindArchive, []byte("zip"+version))
	ring, err := store.Keyring("stable", signing.Archive)
	if err != nil {
		d.t.Fatal(err)
	}
	add("holm-archive-keyring.pgp", packaging.KindKeyring, ring.Binary())
	data, err := json.Marshal(r)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "release.json"), data, 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// allKeys writes every certificate of the site into one file.
func (d desk) allKeys(folder string) string {
	d.t.Helper()
	var all []byte
	found, err := filepath.Glob(filepath.Join(folder, "keys", "stable-*.asc"))
	if err != nil || len(found) != 8 {
		d.t.Fatalf("%v: %v", err, found)
	}
	for _, name := range found {
		data, err := os.ReadFile(name)
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, data...)
	}
	name := filepath.Join(d.dir, "all.asc")
	if err := os.WriteFile(name, all, 0o644); err != nil {
		d.t.Fatal(err)
	}
	return name
}

// says wants an exit code and words on stdout and stderr.
func (d desk) says(wantCode int, wantOut, wantErr string, args ...string) {
	d.t.Helper()
	code, stdout, stderr := d.run(args...)
	if code != wantCode || !strings.Contains(stdout, wantOut) || !strings.Contains(stderr, wantErr) || wantOut == "" && stdout != "" {
		d.t.Errorf("%v: exit %d, want %d\nstdout %s\nstderr %s", args, code, wantCode, stdout, stderr)
	}
}

func TestPublish(t *testing.T) {
	d := newDesk(t) // six RSA keys take seconds: both stories share them
	t.Run("a release is published, served and verified", d.isPublished)
	t.Run("what may not be published is refused in words", d.isRefused)
}

func (d desk) isPublished(t *testing.T) {
	d.t = t
	folder := filepath.Join(d.dir, "site")
	d.says(exitDone, "published holm 1.0.0", "", "publish", "--site", folder, "--version", "1.0.0")
	d.says(exitDone, "nothing written", "", "publish", "--site", folder, "--version", "1.0.0")
	d.says(exitDone, `"version":"1.0.1","changed":true`, "", "publish", "--site", folder, "--json")
	d.says(exitDone, "version 1.0.1: accepted by apt, dnf, zypper; 4 packages", "", "site", "verify", folder)
	handler, err := site.NewHandler(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close()
	server := httptest.NewServer(handler)
	defer server.Close()
	d.says(exitDone, "accepted", "", "site", "verify", server.URL)
	d.says(exitVerify, "REFUSED", "refused by person", "site", "verify", folder, "--keyring", filepath.Join(folder, "keys", "RPM-GPG-KEY-holm"))
	d.says(exitDone, "accepted", "", "site", "verify", folder, "--keyring", d.allKeys(folder), "--channel", "stable")

	page, err := os.ReadFile(filepath.Join(folder, "index.html"))
	if err != nil || !strings.Contains(string(page), "This is a rehearsal") {
		t.Errorf("the page does not say that it is a rehearsal: %v", err)
	}
	d.says(exitDone, "standby", "", "key", "list")
	d.says(exitDone, "retired", "", "key", "rotate", "--role", "archive")
	d.says(exitDone, "accepted", "signed by the retired key", "site", "verify", folder)
	d.says(exitDone, `"version":"1.0.1","changed":true`, "", "publish", "--site", folder, "--version", "1.0.1", "--json")
	if _, _, stderr := d.run("site", "verify", folder); strings.Contains(stderr, "retired") {
		t.Errorf("published again, still of the retired key: %s", stderr)
	}
	d.release("1.0.2")
	d.says(exitDone, "published holm 1.0.2", "", "publish", "--site", folder)

	d.release("0.9.0")
	d.says(exitDone, "published holm 0.9.0", "1.0.2 is newer and stays", "publish", "--site", folder, "--version", "0.9.0")

	earlier := filepath.Join(d.dir, "earlier")
	if err := os.CopyFS(earlier, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	d.release("1.0.3")
	d.says(exitDone, "published holm 1.0.3", "", "publish", "--site", folder)
	d.says(exitVerify, "", "put the newest copy of the site back", "publish", "--site", earlier, "--version", "1.0.3")
	d.says(exitDone, "published holm 1.0.0", "version 1.0.3, publish 6", "publish", "--site", filepath.Join(d.dir, "empty"), "--version", "1.0.0")

	if err := os.WriteFile(filepath.Join(folder, "apt", "stable", "dists", "stable", "InRelease"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.says(exitVerify, `"clients":["apt"]`, "refused by apt", "site", "verify", folder, "--json")
	d.says(exitVerify, "", "is lost, or is not what the last publish wrote", "publish", "--site", folder, "--version", "1.0.2")
}

func (d desk) isRefused(t *testing.T) {
	d.t = t
	folder := filepath.Join(d.dir, "other")
	d.says(exitFailed, "", "holm-publish build makes it", "publish", "--site", folder, "--version", "9.0.0")
	d.says(exitFailed, "", "for channel stable", "publish", "--site", folder, "--channel", "beta")
	d.says(exitFailed, "", "build and package again", "publish", "--site", folder, "--url", "http://127.0.0.1:1")
	name := filepath.Join(d.dir, "dist", "1.0.3", "holm_1.0.3_amd64.deb")
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.says(exitVerify, "", packaging.ErrChanged.Error(), "publish", "--site", folder)
	// A keyring that is still one, but not the one of the release.
	store, err := signing.OpenStore(filepath.Join(d.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := store.Keyring("stable", signing.Archive, signing.Package)
	if err != nil {
		t.Fatal(err)
	}
	d.release("1.0.3")
	name = filepath.Join(d.dir, "dist", "1.0.3", "holm-archive-keyring.pgp")
	if err := os.WriteFile(name, more.Binary(), 0o644); err != nil {
		t.Fatal(err)
	}
	d.says(exitVerify, "", packaging.ErrChanged.Error(), "publish", "--site", folder)
	d.says(exitUsage, "", "makes a site of this one", "publish", "--site", filepath.Join(d.dir, "dist"), "--version", "1.0.0")
	unlock, err := site.OpenDir(folder).Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	d.says(exitRunning, "", "another publisher", "publish", "--site", folder, "--version", "1.0.0")
}

func TestWhatSiteVerifyCannotReadIsTold(t *testing.T) {
	d := desk{t, t.TempDir()}
	d.says(exitNoStore, "", "cannot be reached", "site", "verify", filepath.Join(d.dir, "none"))
	d.says(exitNoStore, "", "cannot be reached", "site", "verify", "http://127.0.0.1:1")
	if _, _, stderr := d.run("site", "verify", "http://127.0.0.1:1"); strings.Contains(stderr, "read the site") {
		t.Errorf("a site that nobody read was read: %s", stderr)
	}
	d.says(exitFailed, "", "nothing is published there", "site", "verify", d.dir)
	d.says(exitUsage, "", "arg", "site", "verify")
	d.says(exitUsage, "", "no base URL", "site", "verify", "ftp://holm.example")
	d.says(exitFailed, "", "opening the site", "serve", "--site", filepath.Join(d.dir, "none"))
}

// A lineWriter hands over the lines that are written to it.
type lineWriter struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	lines chan string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	for {
		line, err := w.buf.ReadString('\n')
		if err != nil {
			w.buf.WriteString(line)
			return len(b), nil
		}
		w.lines <- strings.TrimSpace(line)
	}
}

func TestServeAnswersAndLogsUntilItIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := site.OpenDir(dir).Put(context.Background(), "index.html", strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log := &lineWriter{lines: make(chan string, 10)}
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"serve", "--site", dir, "--listen", "127.0.0.1:0", "--verbose"}, io.Discard, log)
	}()
	_, address, ok := strings.Cut(<-log.lines, " at ")
	if !ok {
		t.Fatal("serve does not say where")
	}
	where, err := site.OpenHTTP(address, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	f, err := where.Open(context.Background(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(f); err != nil || string(data) != "hello" {
		t.Errorf("%q, %v", data, err)
	}
	f.Close()
	if line := <-log.lines; !strings.Contains(line, `GET "/index.html" 200 5`) {
		t.Errorf("logged %q", line)
	}
	stop()
	if code := <-done; code != exitDone {
		t.Errorf("exit %d", code)
	}
}
