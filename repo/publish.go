package repo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"time"

	"holm.example/keys"
	"holm.example/repo/apt"
	"holm.example/repo/yum"
)

// A Report says what a publish did.
type Report struct {
	Channel  string
	Version  string
	Written  []string  // names, in the order in which they were written; none: it was published already
	Date     time.Time // of the Release that is served now
	Revision int64     // greatest of yum that is served now
	Packages int       // of this release
	Newest   string    // version that is served now; above Version if an older one was added
	// Lost is what was published last, according to the log, and is not on the
	// site any more: it begins anew. Nil: nothing is.
	Lost *Record
}

// A publish is one run of Publish: what it was asked for, what is there, what it is going to do.
type publish struct {
	ctx  context.Context
	site Site
	o    *Options
	v    *Version
	now  time.Time
	head *head
	date time.Time // of everything that is signed in this run
	plan plan
	// newest is the version that is served; "" if none is.
	newest string
	// last is what the log remembers; empty: nothing.
	last *Record
	anew bool // something that last names is not there
	// unfinished and foreign are what head says about the pointers.
	unfinished bool
	foreign    []string
	number     int64            // of publish/head after this run
	revisions  map[string]int64 // of yum after this run, by base architecture

	debs []deb
	rpms []rpm
}

// A deb and a rpm are an artifact and what it says about itself.
type deb struct {
	Artifact
	pkg *apt.Package
}

type rpm struct {
	Artifact
	pkg   *yum.Package
	entry yum.Entry
}

// Publish adds a release to a channel of a site and switches the channel to it. Earlier
// versions stay installable. It plans everything before it writes anything;
// docs/repo-layout.md has the order of the writes and what is refused.
//
// The errors are those of this package for publishing, those of the site,
// and those of the signers.
func Publish(ctx context.Context, s Site, o Options, v Version, now time.Time) (report *Report, err error) {
	if err := o.check(&v); err != nil {
		return nil, err
	}
	unlock, err := s.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	p := &publish{ctx: ctx, site: s, o: &o, v: &v, now: now.UTC(), plan: plan{pointers: map[string]string{}}, revisions: map[string]int64{}}
	if p.head, err = readHead(ctx, s); err != nil {
		return nil, err
	}
	if p.head.Number > 0 && p.head.URL != o.URL && !o.Moved {
		return nil, fmt.Errorf("%w: from %s to %s", ErrMoved, p.head.URL, o.URL)
	}
	if err := p.remember(); err != nil {
		return nil, err
	}
	if err := p.checkSources(); err != nil {
		return nil, err
	}
	if p.newest, err = p.head.newest(ctx, s, o.Channel); err != nil {
		return nil, err
	}
	if err := p.readArtifacts(); err != nil {
		return nil, err
	}
	report = &Report{Channel: o.Channel, Version: v.Number, Packages: len(p.debs) + len(p.rpms)}
	newest, err := p.prepare(report)
	if err != nil {
		return nil, err
	}
	report.Newest = newest
	if report.Written, err = p.plan.run(ctx, s); err != nil {
		return report, err
	}
	if p.anew {
		report.Lost = p.last
	}
	return report, p.keep(newest, report)
}

// prepare plans every write, and returns the newest version after them.
func (p *publish) prepare(report *Report) (newest string, err error) {
	published, err := p.readApt()
	if err != nil {
		return "", err
	}
	revisions, err := p.readRevisions()
	if err != nil {
		return "", err
	}
	if err := p.checkAge(published, revisions); err != nil {
		return "", err
	}
	last := published.date()
	if last.Before(p.last.Date) { // begun anew
		last = p.last.Date
	}
	if p.date, err = nextDate(last, p.now); err != nil {
		return "", err
	}
	if report.Date, err = p.planApt(published); err != nil {
		return "", err
	}
	if report.Revision, err = p.planYum(revisions); err != nil {
		return "", err
	}
	if err := p.planKeys(); err != nil {
		return "", err
	}
	if newest, err = p.planDownloads(); err != nil {
		return "", err
	}
	return newest, p.planHead(newest, report)
}

// nextDate is the Date of the next Release: later than the last, a minute
// behind the clock if it can be, never ahead of it.
func nextDate(last, now time.Time) (time.Time, error) {
	date := now.Add(-time.Minute).Truncate(time.Second)
	if next := last.Add(time.Second); date.Before(next) {
		date = next
	}
	if date.After(now) {
		return date, fmt.Errorf("%w: it is dated %s, the clock says %s", ErrClock, last.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	return date, nil
}

// readArtifacts reads the packages of the release and checks them and all
// other artifacts against what the release says.
func (p *publish) readArtifacts() error {
	seen := map[string]bool{}
	for _, a := range p.v.Artifacts {
		if seen[a.Name] {
			return fmt.Errorf("%w: %s stands twice in the release", ErrArtifact, a.Name)
		}
		seen[a.Name] = true
		if err := p.readArtifact(a); err != nil {
			return err
		}
	}
	return nil
}

func (p *publish) readArtifact(a Artifact) error {
	f, err := a.open()
	if err != nil {
		return err
	}
	defer f.Close()
	switch path.Ext(a.Name) {
	case ".deb":
		err = p.readDEB(a, f)
	case ".rpm":
		err = p.readRPM(a, f)
	}
	// Whatever a parser left unread is still part of the artifact; that it is
	// not the one that was listed says more than how it cannot be read.
	if _, rest := io.Copy(io.Discard, f); rest != nil {
		return fmt.Errorf("reading artifact %s: %w", a.Name, rest)
	}
	return err
}

func (p *publish) readDEB(a Artifact, f io.Reader) error {
	pkg, err := apt.ReadPackage(f)
	if err != nil {
		return fmt.Errorf("reading package %s: %w", a.Name, err)
	}
	p.debs = append(p.debs, deb{a, pkg})
	return nil
}

func (p *publish) readRPM(a Artifact, f io.Reader) error {
	pkg, err := yum.ReadPackage(f)
	if err != nil {
		return fmt.Errorf("reading package %s: %w", a.Name, err)
	}
	if len(yum.BaseArchs(pkg.Arch)) == 0 {
		return fmt.Errorf("%w: %s is of architecture %s, for which the site has no directory", ErrArtifact, a.Name, pkg.Arch)
	}
	entry, err := pkg.Entry(packagesHref)
	if err != nil {
		return fmt.Errorf("describing package %s: %w", a.Name, err)
	}
	p.rpms = append(p.rpms, rpm{a, pkg, entry})
	return nil
}

// checkSigned verifies the signatures of an RPM under the given keys.
func (r rpm) checkSigned(ring keys.Keyring, now time.Time) error {
	policy := keys.Policy{Signers: ring.Fingerprints(), Threshold: 1, Now: now}
	if r.pkg.Signature == nil {
		return fmt.Errorf("%w: %s has no signature of its header", ErrUnsigned, r.Name)
	}
	if _, err := keys.VerifyDetached(r.pkg.Header, r.pkg.Signature, ring, policy); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnsigned, r.Name, err)
	}
	if r.pkg.LegacySignature == nil {
		return nil
	}
	f, err := r.open()
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("reading package %s: %w", r.Name, err)
	}
	if _, err := keys.VerifyDetached(r.pkg.SignedBytes(file), r.pkg.LegacySignature, ring, policy); err != nil {
		return fmt.Errorf("%w: %s, header and payload: %w", ErrUnsigned, r.Name, err)
	}
	return nil
}

// planPackage plans the upload of a package unless it is there already, and
// refuses to change it.
func (p *publish) planPackage(name string, a Artifact) error {
	sum, there, err := sumOf(p.ctx, p.site, name)
	switch {
	case err != nil:
		return err
	case there && sum == a.SHA256:
		return nil
	case there:
		return fmt.Errorf("%w: %s", ErrConflict, name)
	}
	p.plan.upload(name, a.open)
	return nil
}

// planKeys plans what stands in keys/. A file there that differs is
// replaced: clients read keys from their packages, people from here.
func (p *publish) planKeys() error {
	for _, f := range p.o.keyFiles() {
		name := "keys/" + f.Name
		same, err := holds(p.ctx, p.site, name, f.Data)
		if err != nil {
			return err
		}
		if !same {
			p.plan.put(stageFiles, name, f.Data)
		}
	}
	return nil
}

func certificateName(channel string, role Role, number int) string {
	return fmt.Sprintf("%s-%s-%d.asc", channel, role, number)
}

// planHead plans publish/head, the record of what the last stage makes
// visible, if there is anything to write or if the record is of a publish
// that will never be finished.
func (p *publish) planHead(newest string, report *Report) error {
	old := p.head.Channels[p.o.Channel]
	p.number = p.head.Number
	if p.plan.empty() && !p.unfinished {
		return nil
	}
	p.number = max(p.head.Number, p.last.Number) + 1
	next := headChannel{Version: newest, Commit: old.Commit, Date: report.Date, Revision: report.Revision,
		Pointers: map[string]string{}, Before: headBefore{p.newest, map[string]string{}}}
	if newest == p.v.Number {
		next.Commit = p.v.Commit
	}
	for _, pointers := range []map[string]string{old.Pointers, p.plan.pointers} {
		for name := range pointers {
			sum, there, err := sumOf(p.ctx, p.site, name)
			if err != nil {
				return err
			}
			if there {
				next.Before.Pointers[name] = hex.EncodeToString(sum[:])
				next.Pointers[name] = next.Before.Pointers[name]
			}
		}
	}
	for _, name := range p.foreign {
		// What somebody else wrote there does not become ours by being left.
		next.Pointers[name] = old.Pointers[name]
	}
	maps.Copy(next.Pointers, p.plan.pointers)
	data, err := p.head.next(p.o, p.number, next)
	if err != nil {
		return err
	}
	p.plan.put(stageIndexes, headName, data)
	return nil
}

// newer reports whether the release is at least as new as the newest one
// that is served.
func (p *publish) newer() bool { return CompareVersions(p.v.Number, p.newest) >= 0 }

// join puts the parts of a name together.
func join(parts ...string) string { return strings.Join(parts, "/") }
