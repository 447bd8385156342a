package repo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"

	"holm.example/keys/signing"
	"holm.example/repo"
)

// now is the time of all tests of publishing.
func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// A workshop is a publisher: the keys of a channel and what they make.
// Ed25519 keys, because making them takes no time.
type workshop struct {
	t       testing.TB
	archive []*signing.Key // active, standby
	pack    *signing.Key
	release []*signing.Key
	change  func(*nfpm.Info) // of every package
}

func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	w := &workshop{t: t}
	for _, n := range []string{"archive 1", "archive 2", "package 1", "release 1", "release 2"} {
		k, err := signing.Generate(signing.Ed25519, signing.Spec{UserID: n + " <keys@holm.example>", Created: now().Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(n, "archive"):
			w.archive = append(w.archive, k)
		case strings.HasPrefix(n, "package"):
			w.pack = k
		default:
			w.release = append(w.release, k)
		}
	}
	return w
}

func (w *workshop) signer(all ...*signing.Key) *signing.Signer {
	w.t.Helper()
	s, err := signing.NewSigner(nil, all...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *workshop) options() repo.Options {
	w.t.Helper()
	o := repo.Options{Product: "holm", Title: "holm", Vendor: "The holm authors", Summary: "encrypted backup", Homepage: "https://holm.example/",
		URL: "http://127.0.0.1:8417", Channel: "stable", Rehearsal: true, Archive: w.signer(w.archive[0]), Release: w.signer(w.release...)}
	add := func(role repo.Role, number int, k *signing.Key, signs bool) {
		o.Certificates = append(o.Certificates, repo.Certificate{Role: role, Number: number, Certificate: k.Certificate(), Signing: signs, Signed: signs})
	}
	for i, k := range w.archive {
		add(repo.Archive, i+1, k, i == 0)
	}
	add(repo.Package, 1, w.pack, true)
	for i, k := range w.release {
		add(repo.Release, i+1, k, true)
	}
	return o
}

// rotated are the options after the standby archive key became the active one.
func (w *workshop) rotated() repo.Options {
	o := w.options()
	o.Archive = w.signer(w.archive[1])
	o.Certificates[0].Signing = false
	o.Certificates[1].Signing, o.Certificates[1].Signed = true, true
	return o
}

// version makes a release: packages of the program for one machine, the
// keyring for all, and archives. Equal versions have equal bytes.
func (w *workshop) version(number string) repo.Version {
	w.t.Helper()
	v := repo.Version{Number: number, Commit: "commit-" + number, Time: now().Add(-time.Minute)}
	for _, p := range []struct{ name, arch string }{{"holm", "amd64"}, {"holm", "386"}, {"holm-archive-keyring", "all"}} {
		v.Artifacts = append(v.Artifacts,
			artifact(fmt.Sprintf("%s_%s_%s.deb", p.name, number, p.arch), w.build(&deb.Deb{}, "deb", p.name, p.arch, number)),
			artifact(fmt.Sprintf("%s-%s.%s.rpm", p.name, number, p.arch), w.build(rpm.DefaultRPM, "rpm", p.name, p.arch, number)))
	}
	for _, target := range []string{"linux_amd64.tar.gz", "windows_amd64.zip", "darwin_arm64.tar.gz"} {
		v.Artifacts = append(v.Artifacts, artifact("holm_"+number+"_"+target, []byte(target+number)))
	}
	return v
}

func artifact(name string, data []byte) repo.Artifact {
	return repo.Artifact{Name: name, Size: int64(len(data)), SHA256: sha256.Sum256(data),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

func (w *workshop) build(p nfpm.Packager, format, name, arch, version string) []byte {
	w.t.Helper()
	source := filepath.Join(w.t.TempDir(), "file")
	if err := os.WriteFile(source, []byte(name+version), 0o644); err != nil {
		w.t.Fatal(err)
	}
	when := now().Add(-time.Minute)
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: name, Arch: arch, Version: version, Description: "encrypted backup", Maintainer: "The holm authors <packages@holm.example>",
		Vendor: "The holm authors", License: "Apache-2.0", MTime: when,
		Overridables: nfpm.Overridables{
			RPM: nfpm.RPM{Compression: "gzip", BuildHost: "localhost"}, Deb: nfpm.Deb{Compression: "gzip"},
			Contents: files.Contents{{Source: source, Destination: "/usr/bin/" + name, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o755, MTime: when}}},
		},
	})
	info.RPM.Signature.SignFn = func(r io.Reader) ([]byte, error) {
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		return w.signer(w.pack).SignBinary(data, when)
	}
	if w.change != nil {
		w.change(info)
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Package(info, &out); err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}

// errKilled is what a site says that has been killed.
var errKilled = errors.New("killed")

// A memory is a site in memory that can be cloned, and killed after a number
// of writes.
type memory struct {
	mu      sync.Mutex
	files   map[string][]byte
	aliases map[string]string
	locked  bool
	writes  int
	limit   int // writes before it is killed; negative: none
	after   func(*memory)
}

func newMemory() *memory {
	return &memory{files: map[string][]byte{}, aliases: map[string]string{}, limit: -1}
}

func (m *memory) clone() *memory {
	return &memory{files: maps.Clone(m.files), aliases: maps.Clone(m.aliases), limit: -1}
}

// resolve follows the aliases of directories.
func (m *memory) resolve(name string) string {
	for alias, dir := range m.aliases {
		if rest, ok := strings.CutPrefix(name, alias+"/"); ok {
			return path.Join(dir, rest)
		}
	}
	return name
}

func (m *memory) Open(_ context.Context, name string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[m.resolve(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) write(change func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writes == m.limit {
		return errKilled
	}
	change()
	m.writes++
	if m.after != nil {
		m.after(m.clone())
	}
	return nil
}

func (m *memory) Put(_ context.Context, name string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return m.write(func() { m.files[m.resolve(name)] = data })
}

func (m *memory) Copy(_ context.Context, to, from string) error {
	return m.write(func() { m.files[m.resolve(to)] = m.files[m.resolve(from)] })
}

func (m *memory) Alias(_ context.Context, name, dir string) error {
	return m.write(func() { m.aliases[name] = dir })
}

func (m *memory) Lock(context.Context) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, errKilled
	}
	m.locked = true
	return func() error { m.mu.Lock(); m.locked = false; m.mu.Unlock(); return nil }, nil
}

// publish publishes and must succeed.
func publish(t testing.TB, s repo.Site, o repo.Options, v repo.Version, at time.Time) *repo.Report {
	t.Helper()
	report, err := repo.Publish(context.Background(), s, o, v, at)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// verdict reads the channel stable as clients do.
func verdict(t testing.TB, r repo.Reader, at time.Time) *repo.Verdict {
	t.Helper()
	all, err := repo.Verify(context.Background(), r, repo.VerifyOptions{}, at)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// accepted wants no finding at all.
func accepted(t testing.TB, r repo.Reader, at time.Time) *repo.Verdict {
	t.Helper()
	v := verdict(t, r, at)
	for _, f := range v.Findings {
		t.Errorf("%v: %s: %s", f.Clients, f.File, f.Problem)
	}
	return v
}

func rpmPackager() nfpm.Packager { return rpm.DefaultRPM }
