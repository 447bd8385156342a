package signing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"holm.example/internal/durable"
	"holm.example/keys"
)

const (
	listName      = "keys.json"
	listFormat    = "site-keys 1"
	publicFolder  = "public"
	offlineFolder = "offline"
	keySuffix     = ".key"

	// MaxListSize bounds the key list, in bytes.
	MaxListSize = 1 << 20

	maxListed = 1000
)

// A Role says what a key signs.
type Role string

// The roles of keys.
const (
	Archive Role = "archive" // InRelease, Release.gpg and repomd.xml of one channel
	Package Role = "package" // RPM headers
	Release Role = "release" // SHA256SUMS
)

// A State says what a key is used for now.
type State string

// The states of keys.
const (
	Active  State = "active"  // signs
	Standby State = "standby" // shipped to clients, signs after the next rotation
	Offline State = "offline" // shipped to clients, kept away from the publisher
	Retired State = "retired" // signed once; clients keep it for what it signed
	Revoked State = "revoked" // signed or was shipped once; nobody is to trust it any more
)

// An Entry is one key of a Store.
type Entry struct {
	Role        Role   `json:"role"`
	Channel     string `json:"channel"`
	Number      int    `json:"number"` // position in the rotation of its role, from 1
	State       State  `json:"state"`
	Fingerprint string `json:"fingerprint"` // 40 upper case hexadecimal digits
	File        string `json:"file"`        // of the secret key, relative to the folder, with slashes
}

// name is the base of the entry's file names.
func (e Entry) name() string { return fmt.Sprintf("%s-%s-%d", e.Channel, e.Role, e.Number) }

// Trusted says whether clients are to hold the key: all are that were not
// revoked.
func (e Entry) Trusted() bool { return e.State != Revoked }

// A Store is the folder that holds the keys of a site: keys.json lists them,
// secret keys stand in <channel>-<role>-<n>.key (those that belong offline in
// offline/) and certificates in public/<channel>-<role>-<n>.asc. The folder
// and its files belong to their owner alone. One process at a time changes it,
// and none replaces a secret key.
//
// An empty list comes first, and a new key is listed after its files were
// written: a secret key that the list does not name has never signed anything,
// and one without any list says that the list was lost.
type Store struct {
	dir     string
	entries []Entry
	aside   []string
}

// list is keys.json.
type list struct {
	Format string  `json:"format"`
	Keys   []Entry `json:"keys"`
}

// CreateStore makes the folder, if need be, with an empty key list. An
// existing store is opened. The errors are ErrLocked and those of OpenStore
// but ErrNoStore.
func CreateStore(dir string) (*Store, error) {
	s, err := OpenStore(dir)
	if !errors.Is(err, ErrNoStore) {
		return s, err
	}
	for _, d := range folders(dir) {
		if err := durable.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("making the key folder: %w", err)
		}
		if err := private(d); err != nil {
			return nil, err
		}
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if s, err = OpenStore(dir); !errors.Is(err, ErrNoStore) {
		return s, err // another process was faster
	}
	s = &Store{dir: dir}
	return s, s.save([]Entry{})
}

// OpenStore reads the key list of a folder. The errors are ErrNoStore,
// ErrExposed, and ErrStore also if there are secret keys but no list.
func OpenStore(dir string) (*Store, error) {
	name := filepath.Join(dir, listName)
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		lost, err := strayKeys(dir)
		if err != nil {
			return nil, err
		}
		if len(lost) > 0 {
			return nil, fmt.Errorf("%w: %s is lost, but %s is there", ErrStore, name, lost[0])
		}
		return nil, fmt.Errorf("%w: %s", ErrNoStore, dir)
	}
	for _, n := range append(folders(dir), name) {
		if err := private(n); err != nil && !errors.Is(err, fs.ErrNotExist) { // offline/ may be away
			return nil, err
		}
	}
	data, err := readBounded(name, MaxListSize)
	if err != nil {
		return nil, err
	}
	entries, err := parseList(data)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, entries: entries}, nil
}

// parseList reads keys.json and refuses whatever a damaged or foreign file
// could say, since its names become paths.
func parseList(data []byte) ([]Entry, error) {
	var l list
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrStore, listName, err)
	}
	if l.Format != listFormat || len(l.Keys) > maxListed {
		return nil, fmt.Errorf("%w: %s has format %q and %d keys", ErrStore, listName, l.Format, len(l.Keys))
	}
	seen := make(map[string]bool)
	for _, e := range l.Keys {
		if err := e.check(); err != nil {
			return nil, err
		}
		if seen[e.name()] {
			return nil, fmt.Errorf("%w: %s stands twice", ErrStore, e.name())
		}
		seen[e.name()] = true
	}
	return l.Keys, nil
}

// check refuses entries that no Store writes.
func (e Entry) check() error {
	known := e.Role == Archive || e.Role == Package || e.Role == Release
	known = known && slices.Contains([]State{Active, Standby, Offline, Retired, Revoked}, e.State)
	if !known || e.Number < 1 || e.Number > maxListed || !ValidChannel(e.Channel) {
		return fmt.Errorf("%w: %s names key %q", ErrStore, listName, e.name())
	}
	if e.File != e.name()+keySuffix && e.File != path.Join(offlineFolder, e.name()+keySuffix) {
		return fmt.Errorf("%w: %s names file %q", ErrStore, listName, e.File)
	}
	if _, err := keys.ParseFingerprint(e.Fingerprint); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrStore, listName, err)
	}
	return nil
}

// ValidChannel says whether name may be that of a channel: 1 to 32 lower case
// letters, digits and inner dashes.
func ValidChannel(name string) bool {
	for i, r := range name {
		inner := i > 0 && i < len(name)-1
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && (r != '-' || !inner) {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

// Entries returns all keys, in the order of their making.
func (s *Store) Entries() []Entry { return append([]Entry(nil), s.entries...) }

// Select returns the keys of a role and channel that are in one of the states,
// or in any if none is named.
func (s *Store) Select(role Role, channel string, states ...State) []Entry {
	var found []Entry
	for _, e := range s.entries {
		match := len(states) == 0
		for _, state := range states {
			match = match || e.State == state
		}
		if match && e.Role == role && e.Channel == channel {
			found = append(found, e)
		}
	}
	return found
}

// SetAside returns the secret keys that stood unlisted under the name of a new
// one, under the names by which they are kept now.
func (s *Store) SetAside() []string { return slices.Clone(s.aside) }

// Add writes a new key, whose number follows those of its role and channel.
// The error is ErrLocked if another process changes the store.
func (s *Store) Add(role Role, channel string, state State, key *Key, passphrase []byte) (e Entry, err error) {
	err = s.change(func() error {
		e, err = s.add(role, channel, state, key, passphrase)
		return err
	})
	return e, err
}

// add is Add for those who hold the lock.
func (s *Store) add(role Role, channel string, state State, key *Key, passphrase []byte) (Entry, error) {
	e := Entry{
		Role: role, Channel: channel, State: state,
		Number:      len(s.Select(role, channel)) + 1,
		Fingerprint: key.Certificate().Fingerprint().String(),
	}
	e.File = e.name() + keySuffix
	if state == Offline {
		e.File = path.Join(offlineFolder, e.File)
	}
	if err := e.check(); err != nil {
		return e, err
	}
	secret, err := key.Format(passphrase)
	if err != nil {
		return e, err
	}
	if err := s.writeSecret(s.secretPath(e), secret); err != nil {
		return e, fmt.Errorf("writing secret key %s: %w", e.name(), err)
	}
	if err := durable.WriteFile(s.publicPath(e), key.Certificate().Armor(), 0o600); err != nil {
		return e, fmt.Errorf("writing certificate %s: %w", e.name(), err)
	}
	return e, s.save(append(s.Entries(), e))
}

// Key reads the secret key of an entry. The errors are ErrPassphrase,
// ErrExposed, ErrAbsent and ErrStore.
func (s *Store) Key(e Entry, passphrase []byte) (*Key, error) {
	name := s.secretPath(e)
	err := private(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrAbsent, name)
	}
	if err != nil {
		return nil, err
	}
	data, err := readBounded(name, MaxSecretKeySize)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(data, passphrase)
	if errors.Is(err, ErrPassphrase) {
		return nil, fmt.Errorf("reading secret key %s: %w", e.name(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: secret key %s: %w", ErrStore, e.name(), err)
	}
	if key.Certificate().Fingerprint().String() != e.Fingerprint {
		return nil, fmt.Errorf("%w: %s holds another key than listed", ErrStore, e.File)
	}
	return key, nil
}

// Certificate reads the public part of an entry. The error is ErrStore.
func (s *Store) Certificate(e Entry) (*keys.Certificate, error) {
	data, err := readBounded(s.publicPath(e), keys.MaxKeyringSize)
	if err != nil {
		return nil, err
	}
	cert, err := keys.ParseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate %s: %w", ErrStore, e.name(), err)
	}
	if cert.Fingerprint().String() != e.Fingerprint {
		return nil, fmt.Errorf("%w: certificate %s is another than listed", ErrStore, e.name())
	}
	return cert, nil
}

// Keyring reads the certificates of all trusted keys of the roles in a channel,
// those of the first role first. The errors are ErrNoKey if there is none, and ErrStore.
func (s *Store) Keyring(channel string, roles ...Role) (keys.Keyring, error) {
	var ring keys.Keyring
	for _, role := range roles {
		for _, e := range s.Select(role, channel) {
			if !e.Trusted() {
				continue
			}
			cert, err := s.Certificate(e)
			if err != nil {
				return nil, err
			}
			ring = append(ring, cert)
		}
	}
	if len(ring) == 0 {
		return nil, fmt.Errorf("%w: channel %s has none of %v", ErrNoKey, channel, roles)
	}
	return ring, nil
}

// Signer returns a signer of all active keys of a role and channel. The errors
// are ErrNoKey and those of Key.
func (s *Store) Signer(role Role, channel string, passphrase []byte, witnesses []Witness) (*Signer, error) {
	var active []*Key
	for _, e := range s.Select(role, channel, Active) {
		key, err := s.Key(e, passphrase)
		if err != nil {
			return nil, err
		}
		active = append(active, key)
	}
	if len(active) == 0 {
		return nil, fmt.Errorf("%w: no active %s key of channel %s", ErrNoKey, role, channel)
	}
	return NewSigner(witnesses, active...)
}

func (s *Store) publicPath(e Entry) string {
	return filepath.Join(s.dir, publicFolder, e.name()+".asc")
}

// Lifetime is how long archive and package keys are valid: longer than any
// installation, since rpm never learns of a later expiry.
const Lifetime = 20 * 365 * 24 * time.Hour
