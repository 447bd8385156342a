package repo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"holm.example/keys"
	"holm.example/repo/yum"
)

// packagesHref leads from a revision to the packages of its channel.
const packagesHref = "../../../pkgs/"

const (
	repomdName    = "repodata/repomd.xml"
	repomdSigName = repomdName + ".asc"
)

func yumRoot(channel string) string           { return join("yum", channel) }
func archDir(channel, basearch string) string { return join(yumRoot(channel), basearch) }
func mirrorName(channel, basearch string) string {
	return join(archDir(channel, basearch), "mirrorlist")
}
func revisionDir(channel, basearch string, revision int64) string {
	return join(archDir(channel, basearch), "r", strconv.FormatInt(revision, 10))
}
func currentDir(channel, basearch string) string {
	return join(archDir(channel, basearch), "r", "current")
}

// mirrorList is the pointer of yum: one line.
func mirrorList(url, channel, basearch string, revision int64) []byte {
	return []byte(url + "/" + revisionDir(channel, basearch, revision) + "/\n")
}

// parseMirrorList returns the base URL and the revision that a mirror list of
// a site names. It is not signed: where it leads is what counts.
func parseMirrorList(data []byte, channel, basearch string) (url string, revision int64, err error) {
	line, ended := strings.CutSuffix(string(data), "/\n")
	url, number, ok := strings.Cut(line, "/"+archDir(channel, basearch)+"/r/")
	revision, err = strconv.ParseInt(number, 10, 64)
	if !ended || !ok || err != nil || revision <= 0 || number != strconv.FormatInt(revision, 10) || !validURL(url) {
		return "", 0, fmt.Errorf("%s %w: it says %.200q", mirrorName(channel, basearch), errMismatch, data)
	}
	return url, revision, nil
}

// yumState is what is published in one directory of yum, verified.
type yumState struct {
	revision int64 // 0: nothing
	repomd   []byte
	current  bool // the key that signs now signed it
	entries  []yum.Entry
}

// readYum reads what is published in one directory.
func (p *publish) readYum(basearch string) (*yumState, error) {
	name := mirrorName(p.o.Channel, basearch)
	data, err := readIfThere(p.ctx, p.site, name, maxSmall)
	if err != nil || data == nil {
		return &yumState{}, err
	}
	state := &yumState{}
	// A site that moves to another base URL keeps its revisions.
	if _, state.revision, err = parseMirrorList(data, p.o.Channel, basearch); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	dir := revisionDir(p.o.Channel, basearch, state.revision)
	if state.repomd, err = readFile(p.ctx, p.site, join(dir, repomdName), yum.MaxRepomdBytes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	signature, err := readFile(p.ctx, p.site, join(dir, repomdSigName), keys.MaxSignatureSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	ring, policy := p.ownPolicy()
	verified, err := keys.VerifyDetached(state.repomd, signature, ring, policy)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrForeign, join(dir, repomdName), err)
	}
	state.current = p.signedNow(verified)
	md, err := yum.ParseRepomd(state.repomd)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrForeign, join(dir, repomdName), err)
	}
	if md.Revision != state.revision {
		return nil, fmt.Errorf("%w: %s says revision %d", ErrForeign, join(dir, repomdName), md.Revision)
	}
	if state.entries, err = openEntries(p.ctx, p.site, dir, md); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return state, nil
}

// readRevisions reads what is published in every directory.
func (p *publish) readRevisions() (map[string]*yumState, error) {
	published := map[string]*yumState{}
	for _, basearch := range baseArchs() {
		state, err := p.readYum(basearch)
		if err != nil {
			return nil, err
		}
		published[basearch] = state
	}
	return published, nil
}

// planYum plans the packages, revisions and pointers of yum, and returns the
// greatest revision that will be served.
func (p *publish) planYum(published map[string]*yumState) (int64, error) {
	listed := map[[32]byte]yum.Entry{}
	var last int64
	for _, basearch := range baseArchs() {
		state := published[basearch]
		last = max(last, state.revision, p.last.Revisions[basearch])
		for _, e := range state.entries {
			listed[e.SHA256] = e
		}
	}
	entries, err := p.planRPMs(listed)
	if err != nil {
		return 0, err
	}
	revision, err := p.freeRevision(max(last+1, p.date.Unix()))
	if err != nil {
		return 0, err
	}
	var greatest int64
	for _, basearch := range baseArchs() {
		var own []yum.Entry
		for _, e := range entries {
			if e.Serves(basearch) {
				own = append(own, e)
			}
		}
		if p.revisions[basearch], err = p.planRevision(basearch, published[basearch], own, revision); err != nil {
			return 0, err
		}
		greatest = max(greatest, p.revisions[basearch])
	}
	return greatest, nil
}

// freeRevision returns the first revision from one on that no publisher, also
// none that was killed, has written.
func (p *publish) freeRevision(revision int64) (int64, error) {
	for ; ; revision++ {
		free := true
		for _, basearch := range baseArchs() {
			data, err := readIfThere(p.ctx, p.site, join(revisionDir(p.o.Channel, basearch, revision), repomdSigName), maxSmall)
			if err != nil {
				return 0, err
			}
			free = free && data == nil
		}
		if free {
			return revision, nil
		}
	}
}

// planRPMs verifies the packages of the release, plans their uploads and
// returns what the indexes are going to list.
func (p *publish) planRPMs(listed map[[32]byte]yum.Entry) ([]yum.Entry, error) {
	all := slices.Collect(maps.Values(listed))
	for _, r := range p.rpms {
		// A release that is published again may be signed by a key that
		// was retired since.
		ring := p.o.ring(Package, signing)
		if _, again := listed[r.entry.SHA256]; again {
			ring = p.o.ring(Package, signed)
		}
		if err := r.checkSigned(ring, p.now); err != nil {
			return nil, err
		}
		known := false
		for _, e := range all {
			if e.Same(r.entry) && e.SHA256 != r.entry.SHA256 {
				return nil, fmt.Errorf("%w: %s", ErrConflict, r.pkg.FileName())
			}
			known = known || e.SHA256 == r.entry.SHA256
		}
		if !known {
			all = append(all, r.entry)
		}
		if err := p.planPackage(join(yumRoot(p.o.Channel), "pkgs", r.pkg.FileName()), r.Artifact); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// planRevision plans a new revision of one directory if its packages or the
// key that signs have changed, and the pointers to it. What is unchanged keeps its revision;
// pointers that a killed publisher left behind are put right. It returns the
// revision that will be served.
func (p *publish) planRevision(basearch string, published *yumState, entries []yum.Entry, revision int64) (int64, error) {
	channel := p.o.Channel
	repomd := published.repomd
	if published.revision == 0 || !published.current || !sameEntries(published.entries, entries) {
		md := yum.FormatRepodata(entries, revision)
		repomd = md.Format()
		dir := revisionDir(channel, basearch, revision)
		for _, d := range md.Data {
			p.plan.put(stageIndexes, join(dir, d.Href), d.Bytes())
		}
		signature, err := p.o.Archive.SignDetached(repomd, p.date)
		if err != nil {
			return 0, fmt.Errorf("signing repomd.xml: %w", err)
		}
		p.plan.put(stageIndexes, join(dir, repomdSigName), signature)
		p.plan.put(stageIndexes, join(dir, repomdName), repomd)
	} else {
		revision = published.revision
	}
	list := mirrorList(p.o.URL, channel, basearch, revision)
	same, err := holds(p.ctx, p.site, mirrorName(channel, basearch), list)
	if err != nil {
		return 0, err
	}
	if !same {
		p.plan.point(mirrorName(channel, basearch), list)
	}
	if same, err = holds(p.ctx, p.site, join(currentDir(channel, basearch), repomdName), repomd); err != nil {
		return 0, err
	}
	if !same {
		p.plan.alias(currentDir(channel, basearch), revisionDir(channel, basearch, revision), repomdName, repomd)
	}
	return revision, nil
}

// sameEntries compares sets of packages.
func sameEntries(a, b []yum.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	have := map[[32]byte]bool{}
	for _, e := range a {
		have[e.SHA256] = true
	}
	for _, e := range b {
		if !have[e.SHA256] {
			return false
		}
	}
	return true
}
