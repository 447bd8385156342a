package signing_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"holm.example/keys"
	"holm.example/keys/signing"
)

func TestAnOfflineKeyComesBackForTheSecondRotation(t *testing.T) {
	store, dir := smallStore(t)
	third := store.Entries()[2]
	if _, err := store.Standby(signing.Archive, "stable", 1, nil); !errors.Is(err, signing.ErrState) {
		t.Errorf("the active key as a standby: %v, want ErrState", err)
	}
	if _, err := store.Standby(signing.Archive, "stable", 9, nil); !errors.Is(err, signing.ErrNoKey) {
		t.Errorf("a key that is not there: %v, want ErrNoKey", err)
	}
	back, err := store.Standby(signing.Archive, "stable", 3, nil)
	if err != nil || back.State != signing.Standby || back.File != "stable-archive-3.key" {
		t.Fatalf("%+v, %v", back, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, third.File)); err == nil {
		t.Error("a second copy of the secret key is left in offline/")
	}
	for _, want := range []int{2, 3} {
		_, active, err := store.Rotate(signing.Archive, "stable")
		if err != nil || active.Number != want {
			t.Fatalf("rotation to %+v, %v, want number %d", active, err, want)
		}
	}
	signer, err := store.Signer(signing.Archive, "stable", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := signer.Certificates()[0].Fingerprint().String(); got != third.Fingerprint {
		t.Errorf("signer %s, want the third key", got)
	}
}

func TestAStandbyMayStandBesideTheOthersAlready(t *testing.T) {
	store, dir := smallStore(t)
	// As by hand, or by a run that was killed between the move and the list.
	if err := os.Rename(filepath.Join(dir, "offline", "stable-archive-3.key"), filepath.Join(dir, "stable-archive-3.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Standby(signing.Archive, "stable", 3, nil); err != nil {
		t.Error(err)
	}
}

func TestAnOfflineKeyThatIsAwayOrBrokenStaysOffline(t *testing.T) {
	store, dir := smallStore(t)
	name := filepath.Join(dir, "offline", "stable-archive-3.key")
	if err := os.WriteFile(name, []byte("rotten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Standby(signing.Archive, "stable", 3, nil); !errors.Is(err, signing.ErrStore) {
		t.Errorf("a broken file: %v, want ErrStore", err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Standby(signing.Archive, "stable", 3, nil); !errors.Is(err, signing.ErrAbsent) {
		t.Errorf("no file: %v, want ErrAbsent", err)
	}
	opened, err := signing.OpenStore(dir)
	if err != nil || opened.Entries()[2].State != signing.Offline {
		t.Errorf("%+v, %v", opened.Entries()[2], err)
	}
}

func TestNoRotationToAKeyThatIsAway(t *testing.T) {
	store, dir := smallStore(t)
	if err := os.Remove(filepath.Join(dir, "stable-archive-2.key")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Rotate(signing.Archive, "stable"); !errors.Is(err, signing.ErrAbsent) {
		t.Errorf("error %v, want ErrAbsent", err)
	}
	if store.Entries()[0].State != signing.Active {
		t.Error("the active key is retired all the same")
	}
}

func TestARevokedKeyIsInNoKeyFile(t *testing.T) {
	store, dir := smallStore(t)
	if _, err := store.Revoke(signing.Archive, "stable", 1); !errors.Is(err, signing.ErrState) {
		t.Errorf("revoking the only active key: %v, want ErrState", err)
	}
	if _, _, err := store.Rotate(signing.Archive, "stable"); err != nil {
		t.Fatal(err)
	}
	stolen, err := store.Revoke(signing.Archive, "stable", 1)
	if err != nil || stolen.Trusted() {
		t.Fatalf("%+v, %v", stolen, err)
	}
	if _, err := store.Revoke(signing.Archive, "stable", 1); !errors.Is(err, signing.ErrState) {
		t.Errorf("revoking it again: %v, want ErrState", err)
	}
	opened, err := signing.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := opened.Keyring("stable", signing.Archive)
	if err != nil || len(ring) != 2 {
		t.Fatalf("keyring of %d certificates, %v, want 2", len(ring), err)
	}
	fingerprint, err := keys.ParseFingerprint(stolen.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if ring.Find(fingerprint) != nil {
		t.Error("the key files still hold the revoked key")
	}
}

func TestAReplacedReleaseKeySignsAtOnce(t *testing.T) {
	store, _ := smallStore(t)
	spec := signing.SetSpec{Product: "holm", Email: "keys@holm.example", Channel: "stable", Created: vectorBorn}
	if _, err := store.AddNext(signing.Release, spec); !errors.Is(err, signing.ErrNoKey) {
		t.Errorf("a next key without a first: %v, want ErrNoKey", err)
	}
	addKey(t, store, signing.Release, signing.Active, nil)
	second, err := store.AddNext(signing.Release, spec)
	if err != nil || second.State != signing.Active || second.Number != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	if _, err := store.Revoke(signing.Release, "stable", 1); err != nil {
		t.Fatal(err)
	}
	signer, err := store.Signer(signing.Release, "stable", nil, nil)
	if err != nil || len(signer.Certificates()) != 1 || signer.Certificates()[0].Fingerprint().String() != second.Fingerprint {
		t.Errorf("release keys %v, %v", signer, err)
	}
}

func TestANewArchiveKeyIsALaterStandby(t *testing.T) {
	if testing.Short() {
		t.Skip("makes an RSA-4096 key")
	}
	store, _ := smallStore(t)
	spec := signing.SetSpec{Product: "holm", Email: "keys@holm.example", Channel: "stable", Created: vectorBorn}
	e, err := store.AddNext(signing.Archive, spec)
	if err != nil || e.State != signing.Standby || e.Number != 4 {
		t.Fatalf("%+v, %v", e, err)
	}
	cert, err := store.Certificate(e)
	if err != nil || cert.Algorithm() != "rsa4096" || cert.UserIDs()[0] != "holm stable archive key 4 <keys@holm.example>" {
		t.Errorf("%v, %v", cert, err)
	}
	if _, active, err := store.Rotate(signing.Archive, "stable"); err != nil || active.Number != 2 {
		t.Errorf("rotation to %+v, %v, want the older standby", active, err)
	}
}
