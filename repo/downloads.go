package repo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"holm.example/keys"
)

const (
	sumsName    = "SHA256SUMS"
	sumsSigName = sumsName + ".asc"
	currentName = "current"
	// currentRoot is the other name of the newest release under names
	// without a version.
	currentRoot = "releases/" + currentName
	maxSums     = 10000 // lines
)

func releaseDir(version string) string { return join("releases", version) }

// A sum is one line of SHA256SUMS (sha256sum(1)).
type sum struct {
	name string
	sum  [32]byte
}

// formatSums writes SHA256SUMS, sorted by name.
func formatSums(sums []sum) []byte {
	slices.SortFunc(sums, func(a, b sum) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	for _, s := range sums {
		fmt.Fprintf(&b, "%x  %s\n", s.sum, s.name)
	}
	return b.Bytes()
}

// parseSums reads SHA256SUMS as formatSums writes it.
func parseSums(data []byte) ([]sum, error) {
	var sums []sum
	for line := range bytes.Lines(data) {
		text, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "  ")
		s := sum{name: name}
		raw, err := hex.DecodeString(text)
		if !ok || err != nil || len(raw) != 32 || !fileForm.MatchString(name) || len(sums) == maxSums {
			return nil, fmt.Errorf("%s %w: line %.100q", sumsName, errMismatch, line)
		}
		copy(s.sum[:], raw)
		sums = append(sums, s)
	}
	if !bytes.Equal(formatSums(slices.Clone(sums)), data) {
		return nil, fmt.Errorf("%s %w: not as it is written", sumsName, errMismatch)
	}
	return sums, nil
}

// plainName is the name of an artifact without a version: what people link
// to, and what instructions can say.
func (p *publish) plainName(a Artifact) string {
	for _, d := range p.debs {
		if d.Name == a.Name {
			return d.pkg.Name + unless(d.pkg.Architecture, "all", "_") + ".deb"
		}
	}
	for _, r := range p.rpms {
		if r.Name == a.Name {
			return r.pkg.Name + unless(r.pkg.Arch, "noarch", ".") + ".rpm"
		}
	}
	return strings.NewReplacer("_"+p.v.Number+"_", "_", "-"+p.v.Number+"-", "-", "_"+p.v.Number+".", ".", "-"+p.v.Number+".", ".").Replace(a.Name)
}

// unless returns a separator and an architecture, or nothing for packages of
// every architecture.
func unless(arch, every, separator string) string {
	if arch == every {
		return ""
	}
	return separator + arch
}

// planDownloads plans releases/<version>, its copies without versions, the
// alias of the newest and the landing page. It returns the newest version.
func (p *publish) planDownloads() (newest string, err error) {
	newest = p.newest
	dir := releaseDir(p.v.Number)
	var named, plain []sum
	origin := map[string]string{} // plain name → artifact
	for _, a := range p.v.Artifacts {
		name := p.plainName(a)
		if other, twice := origin[name]; twice {
			return "", fmt.Errorf("%w: %s and %s are both %s without their versions", ErrArtifact, a.Name, other, name)
		}
		origin[name] = a.Name
		named, plain = append(named, sum{a.Name, a.SHA256}), append(plain, sum{name, a.SHA256})
	}
	known, err := p.planSums(dir, named)
	if err != nil {
		return "", err
	}
	if known {
		// The release is there, with these artifacts or with more.
		data, err := readFile(p.ctx, p.site, join(dir, currentName, sumsName), maxSmall)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrForeign, err)
		}
		if plain, err = parseSums(data); err != nil {
			return "", fmt.Errorf("%w: %w", ErrForeign, err)
		}
	} else if err := p.planArtifacts(dir, named, plain, origin); err != nil {
		return "", err
	}
	if !p.newer() {
		return newest, nil
	}
	sums := formatSums(plain)
	same, err := holds(p.ctx, p.site, join(currentRoot, sumsName), sums)
	if err != nil {
		return "", err
	}
	if !same {
		p.plan.alias(currentRoot, join(dir, currentName), sumsName, sums)
	}
	return p.v.Number, p.planPage(plain)
}

// planSums compares the release with what is published of its version. It is
// known if all its artifacts are there and signed. More artifacts than
// published, as after a build for more targets, are added; another
// artifact of the same name is refused.
func (p *publish) planSums(dir string, sums []sum) (known bool, err error) {
	ring := p.o.ring(Release, signed)
	threshold := len(p.o.ring(Release, signing))
	data, err := readIfThere(p.ctx, p.site, join(dir, sumsName), maxSmall)
	if err != nil || data == nil {
		return false, err
	}
	published, err := parseSums(data)
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrForeign, dir, err)
	}
	isSigned := true
	for _, where := range []string{dir, join(dir, currentName)} {
		ok, err := p.signedSums(where, ring, threshold)
		if err != nil {
			return false, err
		}
		isSigned = isSigned && ok
	}
	have := map[string][32]byte{}
	for _, s := range published {
		have[s.name] = s.sum
	}
	var missing, other []string
	for _, s := range sums {
		if old, there := have[s.name]; !there {
			missing = append(missing, s.name)
		} else if old != s.sum {
			other = append(other, s.name)
		}
		delete(have, s.name)
	}
	switch {
	case !isSigned && (len(other) > 0 || len(have) > 0):
		// A list that a killed publisher left names what this release
		// holds, or less. This one is of somebody else.
		return false, fmt.Errorf("%w: %s is not signed by the release keys", ErrForeign, join(dir, sumsName))
	case len(other) > 0:
		return false, fmt.Errorf("%w: %s", ErrConflict, join(dir, other[0]))
	case len(missing) > 0 && len(have) > 0:
		return false, fmt.Errorf("%w: release %s lacks published artifacts and has others, such as %s; publish all of them together", ErrConflict, p.v.Number, missing[0])
	}
	return isSigned && len(missing) == 0, nil
}

// signedSums reports whether a SHA256SUMS is there and signed.
func (p *publish) signedSums(dir string, ring keys.Keyring, threshold int) (bool, error) {
	data, err := readIfThere(p.ctx, p.site, join(dir, sumsName), maxSmall)
	if err != nil || data == nil {
		return false, err
	}
	signature, err := readIfThere(p.ctx, p.site, join(dir, sumsSigName), keys.MaxSignatureSize)
	if err != nil || signature == nil {
		return false, err
	}
	_, err = keys.VerifyDetached(data, signature, ring, keys.Policy{Signers: ring.Fingerprints(), Threshold: threshold, Now: p.now})
	for _, occasion := range []error{keys.ErrBadSignature, keys.ErrNotSigned, keys.ErrMalformed} {
		if errors.Is(err, occasion) {
			return false, nil
		}
	}
	return err == nil, err
}

// planArtifacts plans the files of a release: packages are the same files as
// in the repositories, and every file is there again under its plain name.
func (p *publish) planArtifacts(dir string, named, plain []sum, origin map[string]string) error {
	stored := map[string]string{}
	for _, d := range p.debs {
		stored[d.Name] = join(aptRoot(p.o.Channel), d.pkg.PoolPath())
	}
	for _, r := range p.rpms {
		stored[r.Name] = join(yumRoot(p.o.Channel), "pkgs", r.pkg.FileName())
	}
	for _, a := range p.v.Artifacts {
		name := join(dir, a.Name)
		if err := p.planCopy(name, stored[a.Name], a); err != nil {
			return err
		}
	}
	for _, s := range plain {
		a := p.v.Artifacts[slices.IndexFunc(p.v.Artifacts, func(a Artifact) bool { return a.Name == origin[s.name] })]
		if err := p.planCopy(join(dir, currentName, s.name), join(dir, a.Name), a); err != nil {
			return err
		}
	}
	for _, list := range []struct {
		dir  string
		sums []sum
	}{{dir, named}, {join(dir, currentName), plain}} {
		text := formatSums(list.sums)
		signature, err := p.o.Release.SignDetached(text, p.v.Time)
		if err != nil {
			return fmt.Errorf("signing %s: %w", sumsName, err)
		}
		p.plan.put(stageFiles, path.Join(list.dir, sumsName), text)
		p.plan.put(stageFiles, path.Join(list.dir, sumsSigName), signature)
	}
	return nil
}

// planCopy plans a file of a release, from a file of the site if there is
// one with the same bytes, unless it is there already. Nothing names it before its SHA256SUMS is
// signed, so what a killed publisher left is replaced.
func (p *publish) planCopy(name, from string, a Artifact) error {
	have, there, err := sumOf(p.ctx, p.site, name)
	if err != nil || there && have == a.SHA256 {
		return err
	}
	if from == "" || there {
		p.plan.upload(name, a.open)
		return nil
	}
	p.plan.link(name, from)
	return nil
}
