package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
	"holm.example/packaging"
)

// A stolen archive key: another takes over, signs what is published, and the
// next release knows nothing of the stolen one any more.
func TestAStolenKeyIsGoneFromTheNextRelease(t *testing.T) {
	b := toyBench(t)
	store, err := signing.CreateStore(filepath.Join(b.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	var all []signing.Entry
	for _, k := range []signing.Entry{
		{Role: signing.Archive, State: signing.Active}, {Role: signing.Archive, State: signing.Standby},
		{Role: signing.Package, State: signing.Active}, {Role: signing.Release, State: signing.Active}, {Role: signing.Release, State: signing.Active},
	} {
		key, err := signing.Generate(signing.Ed25519, signing.Spec{UserID: "toy <toy@toy.example>", Created: time.Unix(1_700_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := store.Add(k.Role, "stable", k.State, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	stolen, next := all[0].Fingerprint, all[1].Fingerprint
	site := filepath.Join(b.dir, "site")
	release := func(version string) string {
		b.run(exitDone, "", "release", "--quiet", "--targets", "linux/amd64", "--site", site, "--version", version)
		return packaging.Folder(filepath.Join(b.dir, "dist"), version)
	}
	ring := func(name string) []string { return fingerprintsOf(t, mustRead(t, name)) }

	release("0.3.1")
	b.run(exitDone, "", "key", "rotate", "--role", "archive")
	folder := release("0.3.2")
	if got := ring(filepath.Join(folder, "keys", "RPM-GPG-KEY-toy")); !slices.Contains(got, stolen) {
		t.Errorf("before the revocation the key file holds %v", got)
	}
	b.run(exitDone, "", "key", "revoke", "--role", "archive", "--number", "1")
	folder = release("0.3.3")
	for _, name := range []string{
		filepath.Join(folder, "keys", "toy-archive-keyring.pgp"), filepath.Join(folder, "keys", "RPM-GPG-KEY-toy"),
		filepath.Join(site, "keys", "toy-archive-keyring.pgp"), filepath.Join(site, "keys", "RPM-GPG-KEY-toy"),
	} {
		if got := ring(name); slices.Contains(got, stolen) || !slices.Contains(got, next) {
			t.Errorf("%s holds %v", name, got)
		}
	}
	for _, name := range []string{filepath.Join(folder, "bin", "linux_amd64", "toy"), filepath.Join(folder, "release.json")} {
		if data := mustRead(t, name); bytes.Contains(data, []byte(stolen)) || !bytes.Contains(data, []byte(next)) {
			t.Errorf("%s still names the stolen key", name)
		}
	}

	// What the thief signs is not ours: publishing stops.
	thief, err := store.Key(all[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	forger, err := signing.NewSigner(nil, thief)
	if err != nil {
		t.Fatal(err)
	}
	pointer := filepath.Join(site, "apt", "stable", "dists", "stable", "InRelease")
	policy := keys.Policy{Threshold: 1, Now: time.Now()}
	known, err := store.Keyring("stable", signing.Archive)
	if err != nil {
		t.Fatal(err)
	}
	policy.Signers = known.Fingerprints()
	genuine, err := keys.VerifyCleartext(mustRead(t, pointer), known, policy)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := forger.SignCleartext(genuine.Message(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pointer, forged, 0o644); err != nil {
		t.Fatal(err)
	}
	b.run(exitVerify, "does not verify", "release", "--quiet", "--targets", "linux/amd64", "--site", site, "--version", "0.3.4")
}
