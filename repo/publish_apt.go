package repo

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"time"

	"holm.example/keys"
	"holm.example/repo/apt"
)

// renewBefore is how much life a Release has left when a publish that
// changes nothing else renews it.
const renewBefore = 10 * 24 * time.Hour

const component = "main"

func aptRoot(channel string) string { return join("apt", channel) }
func distDir(channel string) string { return join(aptRoot(channel), "dists", channel) }

// aptState is what is published for apt, verified.
type aptState struct {
	release *apt.Release            // nil: nothing
	text    []byte                  // of it, as signed
	current bool                    // the key that signs now signed it
	indexes map[string][]byte       // Packages by architecture
	stanzas map[[32]byte]apt.Stanza // by SHA-256 of the package
}

func (s *aptState) date() time.Time {
	if s.release == nil {
		return time.Time{}
	}
	return s.release.Date
}

// ownPolicy accepts what an archive key of the channel signs or signed.
func (p *publish) ownPolicy() (keys.Keyring, keys.Policy) {
	ring := p.o.ring(Archive, signed)
	return ring, keys.Policy{Signers: ring.Fingerprints(), Threshold: 1, Now: p.now}
}

// signedNow reports whether exactly the keys that sign now made the signatures.
func (p *publish) signedNow(verified *keys.Verified) bool {
	now := p.o.ring(Archive, signing)
	for _, s := range verified.Signatures() {
		if now.Find(s.Signer) == nil {
			return false
		}
	}
	return len(verified.Signatures()) == len(now)
}

// readApt reads what is published for apt. What does not verify, or is not
// what the verified Release names, is ErrForeign.
func (p *publish) readApt() (*aptState, error) {
	state := &aptState{indexes: map[string][]byte{}, stanzas: map[[32]byte]apt.Stanza{}}
	name := join(distDir(p.o.Channel), "InRelease")
	data, err := readIfThere(p.ctx, p.site, name, apt.MaxReleaseBytes)
	if err != nil || data == nil {
		return state, err
	}
	ring, policy := p.ownPolicy()
	verified, err := keys.VerifyCleartext(data, ring, policy)
	if errors.Is(err, keys.ErrSignatureTime) {
		return nil, fmt.Errorf("%w: %s: %w", ErrClock, name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrForeign, name, err)
	}
	state.text, state.current = verified.Message(), p.signedNow(verified)
	if state.release, err = apt.ParseRelease(state.text); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrForeign, name, err)
	}
	for _, arch := range state.release.Architectures {
		if err := p.readAptIndex(state, arch); err != nil {
			return nil, err
		}
	}
	return state, nil
}

// readAptIndex reads the index of one architecture that a verified Release names.
func (p *publish) readAptIndex(state *aptState, arch string) error {
	plain, _, err := openIndex(p.ctx, p.site, distDir(p.o.Channel), state.release, apt.IndexName(component, arch))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	state.indexes[arch] = plain
	stanzas, err := apt.ParseIndex(plain)
	if err != nil {
		return fmt.Errorf("%w: index of %s: %w", ErrForeign, arch, err)
	}
	for _, s := range stanzas {
		state.stanzas[s.SHA256] = s
	}
	return nil
}

// planApt plans the packages, indexes and pointers of apt, and returns the
// Date that will be served.
func (p *publish) planApt(published *aptState) (time.Time, error) {
	release := p.newRelease()
	if err := checkWriteOnce(published.release, release); err != nil {
		return time.Time{}, err
	}
	stanzas, err := p.planDebs(published)
	if err != nil {
		return time.Time{}, err
	}
	dist := distDir(p.o.Channel)
	changed := published.release == nil || !published.current || published.release.ValidUntil.Sub(p.now) < renewBefore ||
		fmt.Sprint(published.release.Architectures) != fmt.Sprint(release.Architectures)
	packed := map[string][]byte{} // Packages.gz by architecture
	for _, arch := range release.Architectures {
		var own []apt.Stanza
		for _, s := range stanzas {
			if s.Serves(arch) {
				own = append(own, s)
			}
		}
		plain := apt.FormatIndex(own)
		packed[arch] = apt.Compress(plain)
		name := apt.IndexName(component, arch)
		release.Files = append(release.Files,
			apt.File{Name: name, Size: int64(len(plain)), SHA256: sha256.Sum256(plain)},
			apt.File{Name: name + ".gz", Size: int64(len(packed[arch])), SHA256: sha256.Sum256(packed[arch])})
		changed = changed || !bytes.Equal(plain, published.indexes[arch])
	}
	if !changed {
		if changed, err = p.leftBehind(published); err != nil || !changed {
			return published.release.Date, err
		}
	}
	for _, arch := range release.Architectures {
		file, _ := release.Find(apt.IndexName(component, arch) + ".gz")
		same, err := holds(p.ctx, p.site, join(dist, file.ByHash()), packed[arch])
		if err != nil {
			return time.Time{}, err
		}
		if !same {
			p.plan.put(stageIndexes, join(dist, file.ByHash()), packed[arch])
		}
		p.plan.put(stageSwitch, join(dist, file.Name), packed[arch])
	}
	return release.Date, p.signRelease(release)
}

// leftBehind reports whether the files beside InRelease are of another
// publish, which was killed and is not being finished.
func (p *publish) leftBehind(published *aptState) (bool, error) {
	dist := distDir(p.o.Channel)
	for _, arch := range published.release.Architectures {
		file, _ := published.release.Find(apt.IndexName(component, arch) + ".gz")
		sum, there, err := sumOf(p.ctx, p.site, join(dist, file.Name))
		if err != nil || !there || sum != file.SHA256 {
			return true, err
		}
	}
	same, err := holds(p.ctx, p.site, join(dist, "Release"), published.text)
	if err != nil || !same {
		return true, err
	}
	signature, err := readIfThere(p.ctx, p.site, join(dist, "Release.gpg"), keys.MaxSignatureSize)
	if err != nil {
		return true, err
	}
	ring, policy := p.ownPolicy()
	verified, err := keys.VerifyDetached(published.text, signature, ring, policy)
	return err != nil || !p.signedNow(verified), nil
}

// newRelease returns the Release to come, without its files.
func (p *publish) newRelease() *apt.Release {
	return &apt.Release{
		Origin: p.o.Title, Label: p.o.Title, Suite: p.o.Channel, Codename: p.o.Channel,
		Architectures: aptArchitectures(), Components: []string{component},
		Description: p.o.Title + " packages, channel " + p.o.Channel,
		Date:        p.date, ValidUntil: p.date.Add(apt.Lifetime),
	}
}

// checkWriteOnce refuses changes that every client of apt would stop at.
func checkWriteOnce(old, new *apt.Release) error {
	if old == nil {
		return nil
	}
	for _, f := range []struct{ name, old, new string }{
		{"Origin", old.Origin, new.Origin}, {"Label", old.Label, new.Label},
		{"Suite", old.Suite, new.Suite}, {"Codename", old.Codename, new.Codename},
		{"NotAutomatic", old.Other.Get("NotAutomatic"), new.Other.Get("NotAutomatic")},
	} {
		if f.old != f.new {
			return fmt.Errorf("%s of the Release, published as %q, now %q: it %w", f.name, f.old, f.new, ErrWriteOnce)
		}
	}
	return nil
}

// planDebs plans the uploads and returns what the indexes are going to list:
// the packages of the release and every earlier one.
func (p *publish) planDebs(published *aptState) ([]apt.Stanza, error) {
	all := make([]apt.Stanza, 0, len(published.stanzas)+len(p.debs))
	for _, s := range published.stanzas {
		all = append(all, s)
	}
	for _, d := range p.debs {
		s := d.pkg.Stanza()
		if !aptServed(s) {
			return nil, fmt.Errorf("%w: %s is of architecture %s, for which the site has no index", ErrArtifact, d.Name, s.Architecture)
		}
		listed := false
		for _, other := range all {
			if other.Same(s) && other.SHA256 != s.SHA256 {
				return nil, fmt.Errorf("%w: %s %s %s", ErrConflict, s.Name, s.Version, s.Architecture)
			}
			listed = listed || other.SHA256 == s.SHA256
		}
		if !listed {
			all = append(all, s)
		}
		if err := p.planPackage(join(aptRoot(p.o.Channel), s.Filename), d.Artifact); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func aptServed(s apt.Stanza) bool {
	for _, arch := range aptArchitectures() {
		if s.Serves(arch) {
			return true
		}
	}
	return false
}

// signRelease plans Release, Release.gpg and, last, InRelease.
func (p *publish) signRelease(release *apt.Release) error {
	text := release.Format()
	detached, err := p.o.Archive.SignDetached(text, p.date)
	if err != nil {
		return fmt.Errorf("signing Release: %w", err)
	}
	inline, err := p.o.Archive.SignCleartext(text, p.date)
	if err != nil {
		return fmt.Errorf("signing InRelease: %w", err)
	}
	dist := distDir(p.o.Channel)
	p.plan.point(path.Join(dist, "Release"), text)
	p.plan.point(path.Join(dist, "Release.gpg"), detached)
	p.plan.point(path.Join(dist, "InRelease"), inline)
	return nil
}
