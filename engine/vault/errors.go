package vault

import (
	"errors"
	"fmt"
)

var (
	// ErrMalformed is returned for bytes that break the format.
	ErrMalformed = errors.New("malformed")
	// ErrDamaged is returned when an object of the store is not what its
	// device wrote: changed, truncated, swapped or missing.
	ErrDamaged = errors.New("damaged object")
	// ErrOtherObject is part of ErrDamaged of an object that has not the hash
	// that it had.
	ErrOtherObject = errors.New("not what it was")
	// ErrRepairable is part of ErrDamaged of an object that its parity makes
	// good: nothing of it is lost.
	ErrRepairable = errors.New("repairable from the rest of it")
	// ErrUnread is returned when the store could not read an object now: a
	// right that is missing, too many open files, an answer that was cut.
	// Nobody has seen bytes that are wrong, and it may pass. Of a pack, and of
	// what ends too early, it comes with ErrDamaged.
	ErrUnread = errors.New("cannot be read")
	// ErrNewer is returned for what only a later version of holm understands.
	ErrNewer = errors.New("needs a newer version of holm")
	// ErrNoVault is returned when a store holds no vault.
	ErrNoVault = errors.New("no vault here")
	// ErrVaultExists is returned by Create when a store holds a vault.
	ErrVaultExists = errors.New("a vault is here already")
	// ErrOtherVault is returned when a store holds a vault, but not the one
	// that was asked for.
	ErrOtherVault = errors.New("another vault")
	// ErrForeign is returned for the card of a device of another vault, which
	// an init that was stopped or came second has left.
	ErrForeign = errors.New("card of another vault")
	// ErrBadMemory is returned when what was just sealed does not open to what
	// it was made of.
	ErrBadMemory = errors.New("what was sealed differs from its source: memory or processor fault")
	// ErrFull is returned when a value would not fit the limits of an object.
	ErrFull = errors.New("does not fit")
)

// damaged wraps an error in reading an object with its name.
func damaged(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w: %w", name, ErrDamaged, err)
}
