package signing

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// A SetSpec describes the keys that a channel starts with.
type SetSpec struct {
	Product    string // for the user IDs, for example "holm"
	Email      string // for the user IDs
	Channel    string
	Created    time.Time
	Passphrase []byte // empty: none
}

// plannedKey is one key of a set.
type plannedKey struct {
	role      Role
	state     State
	algorithm Algorithm
	lifetime  time.Duration
}

// plan returns the keys of a channel in the order of their making: for the
// archive and for packages an active key, a standby and one that is kept
// offline, and two people's release keys. Release keys do not expire: that a
// trust document names them is what makes them valid.
func plan() []plannedKey {
	return []plannedKey{
		{Archive, Active, RSA4096, Lifetime},
		{Archive, Standby, RSA4096, Lifetime},
		{Archive, Offline, RSA4096, Lifetime},
		{Package, Active, RSA4096, Lifetime},
		{Package, Standby, RSA4096, Lifetime},
		{Package, Offline, RSA4096, Lifetime},
		{Release, Active, Ed25519, 0},
		{Release, Active, Ed25519, 0},
	}
}

// AddSet makes and stores all keys of a channel and returns their entries. The
// errors are ErrExists if the channel has keys, and ErrLocked. A set that was
// interrupted is completed: keys that the list names stay.
func (s *Store) AddSet(spec SetSpec) (added []Entry, err error) {
	if !ValidChannel(spec.Channel) {
		return nil, fmt.Errorf("%w: %q is no name of a channel", ErrNoKey, spec.Channel)
	}
	err = s.change(func() error {
		var missing []plannedKey
		planned := make(map[Role]int)
		for _, p := range plan() {
			planned[p.role]++
			if planned[p.role] > len(s.Select(p.role, spec.Channel)) {
				missing = append(missing, p)
			}
		}
		if len(missing) == 0 {
			return fmt.Errorf("%w: %s", ErrExists, spec.Channel)
		}
		added, err = s.make(missing, spec)
		return err
	})
	return added, err
}

// AddNext makes and stores one more key of a role: an archive or package key
// as a standby, which must be shipped long before it signs, and a release key
// as an active one. The errors are ErrNoKey if the channel has none of that
// role yet, and ErrLocked.
func (s *Store) AddNext(role Role, spec SetSpec) (added Entry, err error) {
	err = s.change(func() error {
		if len(s.Select(role, spec.Channel)) == 0 {
			return fmt.Errorf("%w: channel %s has no %s key that another could follow", ErrNoKey, spec.Channel, role)
		}
		next := plannedKey{role, Standby, RSA4096, Lifetime}
		if role == Release {
			next = plannedKey{role, Active, Ed25519, 0}
		}
		all, err := s.make([]plannedKey{next}, spec)
		if err == nil {
			added = all[0]
		}
		return err
	})
	return added, err
}

// make generates keys side by side and stores
// them one by one. The caller holds the lock.
func (s *Store) make(planned []plannedKey, spec SetSpec) ([]Entry, error) {
	generated := make([]*Key, len(planned))
	number := make(map[Role]int)
	var group errgroup.Group
	for i, p := range planned {
		number[p.role]++
		n := len(s.Select(p.role, spec.Channel)) + number[p.role]
		group.Go(func() (err error) {
			uid := fmt.Sprintf("%s %s %s key %d <%s>", spec.Product, spec.Channel, p.role, n, spec.Email)
			generated[i], err = Generate(p.algorithm, Spec{UserID: uid, Created: spec.Created, Lifetime: p.lifetime})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var added []Entry
	for i, p := range planned {
		e, err := s.add(p.role, spec.Channel, p.state, generated[i], spec.Passphrase)
		if err != nil {
			return nil, err
		}
		added = append(added, e)
	}
	return added, nil
}
