package signing_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
)

// smallStore returns a store with Ed25519 keys, which are made in no time:
// archive 1 active, 2 standby, 3 offline.
func smallStore(t *testing.T) (*signing.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site-keys")
	store, err := signing.CreateStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []signing.State{signing.Active, signing.Standby, signing.Offline} {
		addKey(t, store, signing.Archive, state, nil)
	}
	return store, dir
}

func addKey(t *testing.T, store *signing.Store, role signing.Role, state signing.State, passphrase []byte) signing.Entry {
	t.Helper()
	key, err := signing.Generate(signing.Ed25519, signing.Spec{UserID: "holm test <test@holm.example>", Created: vectorBorn})
	if err != nil {
		t.Fatal(err)
	}
	e, err := store.Add(role, "stable", state, key, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnOpenedStoreHoldsWhatWasAdded(t *testing.T) {
	store, dir := smallStore(t)
	opened, err := signing.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(opened.Entries(), store.Entries()) {
		t.Errorf("entries %v, want %v", opened.Entries(), store.Entries())
	}
	var files []string
	for _, e := range opened.Entries() {
		files = append(files, e.File)
		if _, err := opened.Key(e, nil); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"stable-archive-1.key", "stable-archive-2.key", "offline/stable-archive-3.key"}; !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
	ring, err := opened.Keyring("stable", signing.Archive)
	if err != nil || len(ring) != 3 {
		t.Errorf("keyring of %d certificates: %v", len(ring), err)
	}
}

func TestRotationRetiresTheActiveKeyAndActivatesTheStandby(t *testing.T) {
	store, dir := smallStore(t)
	before := store.Entries()
	retired, active, err := store.Rotate(signing.Archive, "stable")
	if err != nil {
		t.Fatal(err)
	}
	if retired.Fingerprint != before[0].Fingerprint || active.Fingerprint != before[1].Fingerprint {
		t.Errorf("retired %v, active %v", retired, active)
	}
	opened, err := signing.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := opened.Signer(signing.Archive, "stable", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := signer.Certificates()[0].Fingerprint().String(); got != before[1].Fingerprint {
		t.Errorf("signer %s, want the old standby", got)
	}
	if _, _, err := opened.Rotate(signing.Archive, "stable"); !errors.Is(err, signing.ErrNoStandby) {
		t.Errorf("rotation without a standby: %v, want ErrNoStandby", err)
	}
}

func TestAStoreThatOthersCanReachIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows says nothing of others in a mode")
	}
	store, dir := smallStore(t)
	entry := store.Entries()[0]
	if err := os.Chmod(filepath.Join(dir, entry.File), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Key(entry, nil); !errors.Is(err, signing.ErrExposed) {
		t.Errorf("secret key of mode 0640: %v, want ErrExposed", err)
	}
	for name, mode := range map[string]os.FileMode{".": 0o755, "keys.json": 0o666, "public": 0o777, "offline": 0o710} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := signing.OpenStore(dir); !errors.Is(err, signing.ErrExposed) {
			t.Errorf("%s of mode %#o: %v, want ErrExposed", name, mode, err)
		}
		if err := os.Chmod(path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := signing.OpenStore(dir); err != nil {
		t.Error(err)
	}
}

func TestALinkToAKeyFolderIsFollowed(t *testing.T) {
	_, dir := smallStore(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	store, err := signing.OpenStore(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Key(store.Entries()[0], nil); err != nil {
		t.Error(err)
	}
}

func TestOfflineKeysMayBeAway(t *testing.T) {
	_, dir := smallStore(t)
	if err := os.RemoveAll(filepath.Join(dir, "offline")); err != nil {
		t.Fatal(err)
	}
	store, err := signing.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if ring, err := store.Keyring("stable", signing.Archive); err != nil || len(ring) != 3 {
		t.Errorf("keyring of %d certificates: %v", len(ring), err)
	}
	if _, _, err := store.Rotate(signing.Archive, "stable"); err != nil {
		t.Error(err)
	}
}

func TestAFolderWithoutAListHoldsNoKeys(t *testing.T) {
	if _, err := signing.OpenStore(t.TempDir()); !errors.Is(err, signing.ErrNoStore) {
		t.Errorf("error %v, want ErrNoStore", err)
	}
}

func TestDamagedListsAndFilesAreRefused(t *testing.T) {
	damage := map[string]func(string) string{
		"truncated":           func(s string) string { return s[:len(s)/2] },
		"empty":               func(string) string { return "" },
		"another format":      func(s string) string { return strings.Replace(s, "site-keys 1", "site-keys 2", 1) },
		"an unknown field":    func(s string) string { return strings.Replace(s, `"role"`, `"roll"`, 1) },
		"a path that escapes": func(s string) string { return strings.Replace(s, "stable-archive-1.key", "../stable-archive-1.key", 1) },
		"an unknown state":    func(s string) string { return strings.Replace(s, `"active"`, `"lively"`, 1) },
		"a short fingerprint": func(s string) string {
			return strings.Replace(s, `"fingerprint": "`, `"fingerprint": "00`, 1)
		},
		"a number twice": func(s string) string {
			return strings.Replace(strings.Replace(s, `"number": 2`, `"number": 1`, 1), "archive-2.key", "archive-1.key", 1)
		},
		"too long": func(s string) string { return s + strings.Repeat(" ", signing.MaxListSize) },
	}
	for name, change := range damage {
		_, dir := smallStore(t)
		list := filepath.Join(dir, "keys.json")
		data, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		changed := change(string(data))
		if changed == string(data) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if err := os.WriteFile(list, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := signing.OpenStore(dir); !errors.Is(err, signing.ErrStore) {
			t.Errorf("%s: %v, want ErrStore", name, err)
		}
	}
}

func TestAKeyFileThatHoldsAnotherKeyIsRefused(t *testing.T) {
	store, dir := smallStore(t)
	entries := store.Entries()
	other, err := os.ReadFile(filepath.Join(dir, entries[1].File))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, entries[0].File), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Key(entries[0], nil); !errors.Is(err, signing.ErrStore) {
		t.Errorf("error %v, want ErrStore", err)
	}
	if err := os.Remove(filepath.Join(dir, entries[0].File)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Key(entries[0], nil); !errors.Is(err, signing.ErrAbsent) || errors.Is(err, signing.ErrStore) {
		t.Errorf("missing file: %v, want ErrAbsent", err)
	}
}

func TestAWrongPassphraseIsNotAMalformedKey(t *testing.T) {
	store, err := signing.CreateStore(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	e := addKey(t, store, signing.Release, signing.Active, []byte("right"))
	if _, err := store.Key(e, []byte("right")); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "wrong"} {
		if _, err := store.Key(e, []byte(wrong)); !errors.Is(err, signing.ErrPassphrase) {
			t.Errorf("passphrase %q: %v, want ErrPassphrase", wrong, err)
		}
	}
}

func TestASetIsCompletedOnceAndThenRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes RSA-4096 keys")
	}
	dir := filepath.Join(t.TempDir(), "keys")
	store, err := signing.CreateStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := addKey(t, store, signing.Archive, signing.Active, nil) // as if the rest had not been written
	spec := signing.SetSpec{Product: "holm", Email: "keys@holm.example", Channel: "stable", Created: vectorBorn}
	if _, err := store.AddSet(spec); err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, e := range store.Entries() {
		cert, err := store.Certificate(e)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, string(e.Role)+" "+string(e.State)+" "+cert.Algorithm())
		if e.Role != signing.Release && e.Fingerprint != first.Fingerprint && cert.Expires().Before(vectorBorn.AddDate(15, 0, 0)) {
			t.Errorf("%v expires at %s, rpm needs 15 years", e, cert.Expires())
		}
	}
	want := []string{
		"archive active ed25519", "archive standby rsa4096", "archive offline rsa4096", "package active rsa4096", "package standby rsa4096",
		"package offline rsa4096", "release active ed25519", "release active ed25519",
	}
	if !slices.Equal(states, want) {
		t.Errorf("keys %v\nwant %v", states, want)
	}
	if _, err := store.AddSet(spec); !errors.Is(err, signing.ErrExists) {
		t.Errorf("second set: %v, want ErrExists", err)
	}
}

func TestNoChannelNameLeavesTheFolder(t *testing.T) {
	for _, name := range []string{"", "..", "a/b", "Stable", "-x", "x-", strings.Repeat("a", 33), "a b", `a\b`} {
		if signing.ValidChannel(name) {
			t.Errorf("%q is taken for a channel", name)
		}
	}
	for _, name := range []string{"stable", "beta", "x", "night-ly2"} {
		if !signing.ValidChannel(name) {
			t.Errorf("%q is no channel", name)
		}
	}
}

func TestAFullDiskLeavesTheListAsItWas(t *testing.T) {
	store, dir := smallStore(t)
	// A folder in the place of the new secret key fails like a full disk: the
	// write is refused before the list is touched.
	if err := os.Mkdir(filepath.Join(dir, "stable-archive-4.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := signing.Generate(signing.Ed25519, signing.Spec{UserID: "x <x@holm.example>", Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Add(signing.Archive, "stable", signing.Standby, key, nil); err == nil {
		t.Fatal("no error")
	}
	opened, err := signing.OpenStore(dir)
	if err != nil || len(opened.Entries()) != 3 || len(store.Entries()) != 3 {
		t.Errorf("the list changed: %v", err)
	}
	if _, err := keys.ParseFingerprint(opened.Entries()[0].Fingerprint); err != nil {
		t.Error(err)
	}
}
