package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"holm.example/keys"
)

// releaseThreshold is how many release keys have signed a release of a
// channel.
func releaseThreshold(channel string) int {
	if channel == "beta" {
		return 1
	}
	return 2
}

// verifyDownloads reads the downloads as a careful person does: the list,
// its signatures, every file in it.
func (v *verifier) verifyDownloads() {
	v.verifySums(currentRoot)
	v.verifySums(releaseDir(v.verdict.Version))
}

func (v *verifier) verifySums(dir string) {
	name := join(dir, sumsName)
	data, err := v.file(name, maxSmall)
	if err != nil {
		v.refuse(name, err, ClientPerson)
		return
	}
	signature, err := v.file(join(dir, sumsSigName), keys.MaxSignatureSize)
	if err == nil {
		err = checkArmor(signature)
	}
	if err == nil {
		policy := v.policy(v.release)
		policy.Threshold = releaseThreshold(v.channel)
		var verified *keys.Verified
		if verified, err = keys.VerifyDetached(data, signature, v.release, policy); err == nil {
			v.signedBy(verified)
		}
	}
	if err != nil {
		v.refuse(join(dir, sumsSigName), err, ClientPerson)
		return
	}
	sums, err := parseSums(data)
	if err != nil {
		v.refuse(name, err, ClientPerson)
		return
	}
	for _, s := range sums {
		have, there, err := sumOf(v.ctx, v, join(dir, s.name))
		switch {
		case err != nil:
		case !there:
			err = fs.ErrNotExist
		case have != s.sum:
			err = fmt.Errorf("has another SHA-256 than %s says", name)
		}
		if err != nil {
			v.refuse(join(dir, s.name), err, ClientPerson)
		}
	}
}

// verifyPage looks for the full fingerprint of every key on the landing
// page: people compare them with what their package manager shows.
func (v *verifier) verifyPage() {
	page, err := v.file(pageName, maxSmall)
	if err != nil {
		v.refuse(pageName, err, ClientPerson)
		return
	}
	for _, ring := range []keys.Keyring{v.apt, v.rpm, v.release} {
		for _, c := range ring {
			if f := c.Fingerprint().String(); !bytes.Contains(page, []byte(groups(f))) {
				v.refuse(pageName, errors.New("does not show the fingerprint "+f), ClientPerson)
			}
		}
	}
}
