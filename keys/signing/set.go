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
// error is ErrExists if the channel has keys. A set that was interrupted is
// completed: keys that the list names stay.
func (s *Store) AddSet(spec SetSpec) ([]Entry, error) {
	if !ValidChannel(spec.Channel) {
		return nil, fmt.Errorf("%w: %q is no name of a channel", ErrNoKey, spec.Channel)
	}
	planned := plan()
	missing, numbers := planned[:0:0], map[Role]int{}
	var from []int // number of each missing key
	for _, p := range planned {
		numbers[p.role]++
		if numbers[p.role] > len(s.Select(p.role, spec.Channel)) {
			missing, from = append(missing, p), append(from, numbers[p.role])
		}
	}
	if len(missing) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrExists, spec.Channel)
	}
	made := make([]*Key, len(missing))
	var group errgroup.Group
	for i, p := range missing {
		group.Go(func() (err error) {
			uid := fmt.Sprintf("%s %s %s key %d <%s>", spec.Product, spec.Channel, p.role, from[i], spec.Email)
			made[i], err = Generate(p.algorithm, Spec{UserID: uid, Created: spec.Created, Lifetime: p.lifetime})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var added []Entry
	for i, p := range missing {
		e, err := s.Add(p.role, spec.Channel, p.state, made[i], spec.Passphrase)
		if err != nil {
			return nil, err
		}
		added = append(added, e)
	}
	return added, nil
}
