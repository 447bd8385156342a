package repo

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"

	"holm.example/keys"
	"holm.example/repo/yum"
)

// verifyYum reads every directory of yum: dnf by the mirror list, zypper by
// the plain base URL.
func (v *verifier) verifyYum() {
	for _, basearch := range baseArchs() {
		v.verifyBaseArch(basearch)
	}
}

func (v *verifier) verifyBaseArch(basearch string) {
	dnf := []string{ClientDNF, ClientDNFRPM}
	name := mirrorName(v.channel, basearch)
	data, err := v.file(name, maxSmall)
	var url string
	var revision int64
	if err == nil {
		url, revision, err = parseMirrorList(data, v.channel, basearch)
	}
	if err == nil && url != v.head.URL {
		err = fmt.Errorf("leads to %s, not to %s", url, v.head.URL)
	}
	if err != nil {
		v.refuse(name, err, dnf...)
	} else {
		dir := revisionDir(v.channel, basearch, revision)
		if md := v.revision(dir, basearch, dnf); md != nil && md.Revision != revision {
			v.refuse(join(dir, repomdName), fmt.Errorf("says that it is revision %d", md.Revision), dnf...)
		}
	}
	current := currentDir(v.channel, basearch)
	if md := v.revision(current, basearch, []string{ClientZypper}); md != nil && md.Revision != revision {
		v.secondary(join(current, repomdName), fmt.Errorf("is revision %d, the mirror list says %d", md.Revision, revision), ClientZypper)
	}
}

// revision reads what a client reads below one base URL.
func (v *verifier) revision(dir, basearch string, clients []string) *yum.Repodata {
	name := join(dir, repomdName)
	data, err := v.file(name, yum.MaxRepomdBytes)
	if err != nil {
		v.refuse(name, err, clients...)
		return nil
	}
	if !v.repomdSignature(dir, data, clients) {
		return nil
	}
	md, err := yum.ParseRepomd(data)
	if err != nil {
		v.refuse(name, err, clients...)
		return nil
	}
	entries, err := openEntries(v.ctx, v, dir, md)
	if err != nil {
		v.refuse(join(dir, "repodata"), err, clients...)
		return nil
	}
	for _, e := range entries {
		if !e.Serves(basearch) {
			v.refuse(join(dir, "repodata"), fmt.Errorf("lists %s for architecture %s", e.Name, e.Arch), clients...)
		}
		v.rpmPackage(dir, e)
	}
	return md
}

// repomdSignature checks the one signature, and that there is only one.
func (v *verifier) repomdSignature(dir string, repomd []byte, clients []string) bool {
	name := join(dir, repomdSigName)
	signature, err := v.file(name, keys.MaxSignatureSize)
	if err != nil {
		v.refuse(name, err, clients...)
		return false
	}
	blocks, packets, err := countSignatures(signature)
	if err == nil {
		err = checkArmor(signature)
	}
	if err != nil {
		v.refuse(name, err, clients...)
		return false
	}
	if packets > 1 && slices.Contains(clients, ClientDNFRPM) {
		v.refuse(name, fmt.Errorf("has %d signatures in one block: rpm's OpenPGP takes none of them", packets), ClientDNFRPM)
	} else if packets > 1 {
		v.refuse(name, fmt.Errorf("has %d signatures in one block", packets), clients...)
	}
	if blocks > 1 {
		v.refuse(name, fmt.Errorf("has %d armor blocks: rpm's OpenPGP reads only the first, zypper only the last", blocks), clients...)
	}
	if blocks != 1 || packets != 1 {
		return false
	}
	verified, err := keys.VerifyDetached(repomd, signature, v.rpm, v.policy(v.rpm))
	if err != nil {
		v.refuse(name, err, clients...)
		return false
	}
	v.pointedBy(name, verified)
	return true
}

// rpmPackage compares a package with its entries, and checks its signature.
func (v *verifier) rpmPackage(dir string, e yum.Entry) {
	name := path.Join(dir, e.Href)
	if path.Dir(name) != join(yumRoot(v.channel), "pkgs") {
		v.refuse(join(dir, "repodata"), fmt.Errorf("location %q leads out of the packages", e.Href), yumClients()...)
		return
	}
	described := sha256.Sum256(bytes.Join([][]byte{e.Primary, e.Filelists, e.Others}, nil))
	if seen, ok := v.read[name]; ok {
		if seen != described {
			v.refuse(name, errors.New("has different entries in the indexes"), yumClients()...)
		}
		return
	}
	v.read[name] = described
	if err := v.readRPM(name, e); err != nil {
		v.refuse(name, err, yumClients()...)
		return
	}
	v.verdict.Packages++
}

func (v *verifier) readRPM(name string, e yum.Entry) error {
	f, err := v.fetch(name, e.Size, e.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	pkg, err := yum.ReadPackage(f)
	if err != nil {
		return err
	}
	own, err := pkg.Entry(packagesHref)
	if err != nil {
		return err
	}
	if !bytes.Equal(own.Primary, e.Primary) || !bytes.Equal(own.Filelists, e.Filelists) || !bytes.Equal(own.Others, e.Others) {
		return errors.New("says of itself what the index does not say")
	}
	if pkg.Signature == nil {
		return errors.New("is not signed")
	}
	verified, err := keys.VerifyDetached(pkg.Header, pkg.Signature, v.rpm, v.policy(v.rpm))
	if err != nil {
		return err
	}
	v.signedBy(verified)
	return nil
}
