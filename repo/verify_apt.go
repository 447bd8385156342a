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

// verifyAPT reads the channel as apt does: InRelease, its dates, every index by its hash, every package.
func (v *verifier) verifyAPT() {
	dist := distDir(v.channel)
	name := join(dist, "InRelease")
	data, err := v.file(name, apt.MaxReleaseBytes)
	if err != nil {
		v.refuse(name, err, ClientAPT)
		return
	}
	verified, err := keys.VerifyCleartext(data, v.apt, v.policy(v.apt))
	if err == nil {
		err = checkArmor(data)
	}
	if err != nil {
		v.refuse(name, err, ClientAPT)
		return
	}
	v.pointedBy(name, verified)
	release, err := apt.ParseRelease(verified.Message())
	if err != nil {
		v.refuse(name, err, ClientAPT)
		return
	}
	v.verdict.Date, v.verdict.ValidUntil = release.Date, release.ValidUntil
	if release.Suite != v.channel {
		v.refuse(name, fmt.Errorf("is of suite %q", release.Suite), ClientAPT)
	}
	if release.Date.After(v.now.Add(latestSkew)) {
		v.refuse(name, fmt.Errorf("is dated %s, in the future", release.Date.Format(time.RFC3339)), ClientAPT)
	}
	if !release.ValidUntil.After(v.now) {
		v.refuse(name, fmt.Errorf("was valid until %s", release.ValidUntil.Format(time.RFC3339)), ClientAPT)
	}
	v.releasePair(dist, verified.Message())
	for _, arch := range release.Architectures {
		v.aptIndex(dist, release, arch)
	}
}

// releasePair reads Release and Release.gpg, which stand in for InRelease.
func (v *verifier) releasePair(dist string, inline []byte) {
	name := join(dist, "Release")
	data, err := v.file(name, apt.MaxReleaseBytes)
	if err == nil && !bytes.Equal(data, inline) {
		err = errors.New("is not what InRelease says")
	}
	if err != nil {
		v.secondary(name, err, ClientAPT)
		return
	}
	name = join(dist, "Release.gpg")
	signature, err := v.file(name, keys.MaxSignatureSize)
	if err == nil && !bytes.HasPrefix(signature, []byte("-----BEGIN PGP SIGNATURE-----\n")) {
		err = errors.New("is not armored")
	}
	if err == nil {
		err = checkArmor(signature)
	}
	var verified *keys.Verified
	if err == nil {
		verified, err = keys.VerifyDetached(data, signature, v.apt, v.policy(v.apt))
	}
	if err != nil {
		v.secondary(name, err, ClientAPT)
		return
	}
	v.pointedBy(name, verified)
}

// aptIndex reads the index of one architecture and the packages in it.
func (v *verifier) aptIndex(dist string, release *apt.Release, arch string) {
	name := apt.IndexName(component, arch)
	where := join(dist, name+".gz")
	if packed, ok := release.Find(name + ".gz"); ok {
		where = join(dist, packed.ByHash())
		sum, there, err := sumOf(v.ctx, v, join(dist, packed.Name))
		if err == nil && (!there || sum != packed.SHA256) {
			err = fmt.Errorf("%w", errMismatch)
		}
		if err != nil {
			v.secondary(join(dist, packed.Name), err, ClientAPT)
		}
	}
	plain, byHash, err := openIndex(v.ctx, v, dist, release, name)
	if err != nil {
		v.refuse(where, err, ClientAPT)
		return
	}
	if !byHash {
		v.refuse(where, errors.New("is not there, though Release promises Acquire-By-Hash"), ClientAPT)
	}
	stanzas, err := apt.ParseIndex(plain)
	if err != nil {
		v.refuse(where, err, ClientAPT)
		return
	}
	for _, s := range stanzas {
		if !s.Serves(arch) {
			v.refuse(where, fmt.Errorf("lists %s for architecture %s", s.Name, s.Architecture), ClientAPT)
		}
		v.deb(s)
	}
}

// deb compares a package with its stanza.
func (v *verifier) deb(s apt.Stanza) {
	name := path.Join(aptRoot(v.channel), s.Filename)
	if seen, ok := v.read[name]; ok {
		if seen != sha256.Sum256(s.Text) {
			v.refuse(name, errors.New("has different stanzas in the indexes"), ClientAPT)
		}
		return
	}
	v.read[name] = sha256.Sum256(s.Text)
	f, err := v.fetch(name, s.Size, s.SHA256)
	if err != nil {
		v.refuse(name, err, ClientAPT)
		return
	}
	defer f.Close()
	pkg, err := apt.ReadPackage(f)
	switch {
	case err != nil:
	case !bytes.Equal(pkg.Stanza().Text, s.Text):
		err = errors.New("says of itself what its stanza does not say")
	}
	if err != nil {
		v.refuse(name, err, ClientAPT)
		return
	}
	v.verdict.Packages++
}
