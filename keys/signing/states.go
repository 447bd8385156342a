package signing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"holm.example/internal/durable"
)

// Rotate retires the active key of a role and activates its first standby,
// which clients hold already. The errors are ErrNoStandby if there is none,
// ErrAbsent if its secret key is not at hand, and ErrLocked.
func (s *Store) Rotate(role Role, channel string) (retired, active Entry, err error) {
	err = s.change(func() error {
		changed := s.Entries()
		from, to := -1, -1
		for i, e := range changed {
			switch {
			case e.Role != role || e.Channel != channel:
			case e.State == Active && from < 0:
				from = i
			case e.State == Standby && to < 0:
				to = i
			}
		}
		if from < 0 || to < 0 {
			return fmt.Errorf("%w: channel %s lacks an active or a standby %s key", ErrNoStandby, channel, role)
		}
		if _, err := os.Stat(s.secretPath(changed[to])); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s", ErrAbsent, changed[to].File)
		}
		changed[from].State, changed[to].State = Retired, Active
		retired, active = changed[from], changed[to]
		return s.save(changed)
	})
	return retired, active, err
}

// Standby makes an offline key a standby, which a later rotation
// activates. Its secret key has been brought back, into offline/ or beside the
// others, and is read first, since a medium may have failed. The errors are
// ErrNoKey, ErrState if the key is not offline, ErrAbsent, ErrLocked and those
// of Key.
func (s *Store) Standby(role Role, channel string, number int, passphrase []byte) (Entry, error) {
	return s.transit(role, channel, number, func(e *Entry) error {
		if e.State != Offline {
			return fmt.Errorf("%w: %s is %s, not offline", ErrState, e.name(), e.State)
		}
		listed := *e
		e.State, e.File = Standby, e.name()+keySuffix
		if _, err := os.Stat(s.secretPath(*e)); err == nil {
			_, err = s.Key(*e, passphrase) // moved by hand, or by a run that was interrupted
			return err
		}
		if _, err := s.Key(listed, passphrase); err != nil {
			return err
		}
		if err := durable.Rename(s.secretPath(listed), s.secretPath(*e)); err != nil {
			return fmt.Errorf("moving secret key %s: %w", e.name(), err)
		}
		return nil
	})
}

// Revoke takes a key out of all key files to come and out of the keys whose
// earlier signatures count. The errors are ErrNoKey, ErrLocked, and ErrState
// if it is the only active key of its role or is revoked.
func (s *Store) Revoke(role Role, channel string, number int) (Entry, error) {
	return s.transit(role, channel, number, func(e *Entry) error {
		if e.State == Active && len(s.Select(role, channel, Active)) == 1 {
			return fmt.Errorf("%w: %s is the only active one", ErrState, e.name())
		}
		if e.State == Revoked {
			return fmt.Errorf("%w: %s is revoked", ErrState, e.name())
		}
		e.State = Revoked
		return nil
	})
}

// transit changes one entry.
func (s *Store) transit(role Role, channel string, number int, step func(*Entry) error) (changed Entry, err error) {
	err = s.change(func() error {
		all := s.Entries()
		for i, e := range all {
			if e.Role != role || e.Channel != channel || e.Number != number {
				continue
			}
			if err := step(&all[i]); err != nil {
				return err
			}
			changed = all[i]
			return s.save(all)
		}
		return fmt.Errorf("%w: %s key %d of channel %s", ErrNoKey, role, number, channel)
	})
	return changed, err
}

func (s *Store) secretPath(e Entry) string {
	return filepath.Join(s.dir, filepath.FromSlash(e.File))
}
