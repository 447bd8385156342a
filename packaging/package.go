package packaging

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"holm.example/internal/durable"
)

// maxNews bounds NEWS.md, in bytes.
const maxNews = 4 << 20

// A SignFunc returns the binary OpenPGP signature over data, for the header of
// an RPM. It may be called from several goroutines at once.
type SignFunc func(data []byte) ([]byte, error)

// PackageOptions say what Package makes of a build.
type PackageOptions struct {
	Config     *Config
	Source     *Source
	Dist       string   // folder of built releases
	AptKeyring []byte   // binary certificates: who signs the repository
	RPMKeys    []byte   // armored certificates: who signs the repository and the packages
	Sign       SignFunc // signs RPM headers
	SignerID   string   // names the signing key, so that another key is not taken for the same release
	Progress   Progress // nil: silent
}

// Package makes the archives, the packages and the key files of a version
// that Build made, and writes its release.json again. If they are there
// already, nothing is done. The errors are ErrNotBuilt, ErrChanged,
// ErrUnsigned and those of reading and writing.
func Package(ctx context.Context, o PackageOptions) (*Release, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	p := &packager{PackageOptions: o, folder: Folder(o.Dist, o.Source.Version)}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	inputs := p.inputs()
	if p.release.Packaged == inputs && p.release.Verify(p.folder) == nil {
		o.Progress("%s %s is packaged already", o.Config.Name, o.Source.Version)
		return p.release, nil
	}
	if err := p.begin(); err != nil {
		return nil, err
	}
	if err := p.makeAll(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(p.made, func(a, b File) int { return compareKinds(a, b) })
	for _, f := range p.made {
		if err := p.release.add(p.folder, f); err != nil {
			return nil, err
		}
	}
	p.release.Packaged = inputs
	return p.release, p.release.write(p.folder)
}

// A packager is one run of Package.
type packager struct {
	PackageOptions
	folder  string
	news    string
	release *Release

	mu   sync.Mutex
	made []File // guarded by mu
}

// prepare reads the build and refuses one of other inputs.
func (p *packager) prepare() (err error) {
	if p.Sign == nil {
		return fmt.Errorf("%w: no key", ErrUnsigned)
	}
	if p.Config.Keyring != nil && (len(p.AptKeyring) == 0 || len(p.RPMKeys) == 0) {
		return fmt.Errorf("%w: no certificates for the keyring package", ErrUnsigned)
	}
	if p.release, err = ReadRelease(p.folder); err != nil {
		return err
	}
	if p.release.Commit != p.Source.Commit || p.release.URL != p.Config.URL || p.release.Product != p.Config.Name {
		return fmt.Errorf("%w: %s holds commit %s for %s", ErrNotBuilt, p.folder, p.release.Commit, p.release.URL)
	}
	if p.Config.News == "" {
		return nil
	}
	news, err := readLimited(filepath.Join(p.Source.Dir, filepath.FromSlash(p.Config.News)), maxNews)
	p.news = string(news)
	return err
}

// readLimited reads a file of the source.
func readLimited(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// inputs is the digest of all that decides on the packages of a build. The
// texts of release.yaml stand in a commit, which the build is of, but a dirty
// work tree has others.
func (p *packager) inputs() string {
	texts := digestOf(fmt.Sprint(*p.Config.keyringOrZero(), p.Config.Package, p.Config.Maintainer, p.Config.Vendor, p.Config.License), p.news)
	return digestOf("package 1", p.release.Built, p.SignerID, string(p.AptKeyring), string(p.RPMKeys), texts)
}

func (c *Config) keyringOrZero() *PackageTexts {
	if c.Keyring == nil {
		return &PackageTexts{}
	}
	return c.Keyring
}

// begin checks the build's own files and removes what an earlier run made.
func (p *packager) begin() error {
	built := slices.DeleteFunc(slices.Clone(p.release.Files), func(f File) bool {
		return f.Kind != KindProgram && f.Kind != KindDocument
	})
	if err := verifyFiles(p.folder, built); err != nil {
		return err
	}
	for _, f := range p.release.Files {
		if f.Kind == KindProgram || f.Kind == KindDocument {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.folder, filepath.FromSlash(f.Name))); err != nil {
			return fmt.Errorf("beginning to package: %w", err)
		}
	}
	p.release.Files, p.release.Packaged = built, ""
	return p.release.write(p.folder)
}

// makeAll makes every file, as many at once as there are processors.
func (p *packager) makeAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, job := range p.jobs() {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			file, err := job.make()
			if err != nil {
				return fmt.Errorf("packaging %s: %w", job.what, err)
			}
			p.Progress("packaged %s", file.Name)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.made = append(p.made, file)
			return nil
		})
	}
	return group.Wait()
}

// A job makes one file.
type job struct {
	what string
	make func() (File, error)
}

// jobs lists the work, the longest first.
func (p *packager) jobs() []job {
	var jobs []job
	var targets []Target
	for _, text := range p.release.Targets {
		if t, err := ParseTarget(text); err == nil {
			targets = append(targets, t)
		}
	}
	for _, t := range targets {
		if pf := t.platform(); pf.deb != "" {
			jobs = append(jobs, job{"DEB for " + t.String(), func() (File, error) { return p.programDEB(t, pf.deb) }},
				job{"RPM for " + t.String(), func() (File, error) { return p.programRPM(t, pf.rpm) }})
		}
	}
	for _, t := range targets {
		jobs = append(jobs, job{"archive for " + t.String(), func() (File, error) {
			name, err := p.archive(t)
			return File{Name: name, Kind: KindArchive, OS: t.OS, Arch: t.Arch}, err
		}})
	}
	if p.Config.Keyring == nil {
		return jobs
	}
	return append(jobs,
		job{"keyring DEB", p.keyringDEB},
		job{"keyring RPM", func() (File, error) { return p.keyringRPM("", yumFolder, p.Config.YumEntry) }},
		job{"keyring RPM for zypper", func() (File, error) { return p.keyringRPM("-zypp", zyppFolder, p.Config.ZyppEntry) }},
		job{"keyring for apt", func() (File, error) { return p.keyFile(p.Config.AptKeyringName(), p.AptKeyring) }},
		job{"keys for rpm", func() (File, error) { return p.keyFile(p.Config.RPMKeyName(), p.RPMKeys) }},
	)
}

// compareKinds sorts files by kind and name.
func compareKinds(a, b File) int {
	if a.Kind != b.Kind {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	}
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// keyFile writes a keyring as the packages hold it, for the site.
func (p *packager) keyFile(name string, data []byte) (File, error) {
	name = path.Join("keys", name)
	return File{Name: name, Kind: KindKeyring}, p.writeFile(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// programPath returns where Build put a program.
func (p *packager) programPath(t Target, name string) string {
	return filepath.Join(p.folder, binaryFolder, t.folder(), name)
}

// writeFile makes a file of the release; its name appears when it is complete.
func (p *packager) writeFile(name string, write func(io.Writer) error) error {
	target := filepath.Join(p.folder, filepath.FromSlash(name))
	if err := durable.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(write(w))
	}()
	err := durable.WriteFrom(target, r, 0o644)
	r.CloseWithError(err) // so that a writer that is still at work ends
	<-done
	return err
}
