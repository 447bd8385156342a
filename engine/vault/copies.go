package vault

import (
	"context"
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
)

// configNames are the two copies of vault.json. One flipped bit in either of
// them must not lock a vault; docs/vault-format.md, section 3.
func configNames() []string { return []string{ConfigName, ConfigCopyName} }

// errOther is why a whole copy is not the one that was expected.
var errOther = errors.New("it is that of another vault")

// Find reads the configuration of the vault in a store. It returns ErrNoVault
// if there is none, ErrNewer if it must not be read, and ErrDamaged if no copy
// is intact, or two differ and the wrapped keys do not decide between them.
// want, if not nil, is the vault id that is expected; ErrOtherVault says that
// the store holds another vault.
func Find(ctx context.Context, s storage.Store, want *seal.Hash) (*Vault, error) {
	var good []Config
	var problem error
	missing := 0
	for _, name := range configNames() {
		c, err := readConfig(ctx, s, name, want)
		switch {
		case errors.Is(err, storage.ErrNotFound) && !errors.Is(err, ErrDamaged):
			missing++
		case storeGone(err):
			return nil, err
		case err != nil:
			problem = errors.Join(problem, err)
		case len(good) == 0 || c.ID() != good[0].ID():
			good = append(good, c)
		}
	}
	if missing == len(configNames()) {
		return nil, ErrNoVault
	}
	if len(good) == 0 {
		if errors.Is(problem, errOther) {
			named, err := namedVaults(ctx, s)
			if err != nil {
				return nil, err
			}
			if !named[*want] {
				return nil, fmt.Errorf("it does not belong to this data directory: %w", ErrOtherVault)
			}
		}
		return nil, problem
	}
	c := good[0]
	if len(good) > 1 {
		var err error
		if c, err = chooseConfig(ctx, s, good); err != nil {
			return nil, err
		}
	}
	if err := c.CheckRead(); err != nil {
		return nil, err
	}
	return New(s, c, nil)
}

// namedVaults are the vault ids that the intact wrapped keys of a store name.
func namedVaults(ctx context.Context, s storage.Store) (map[seal.Hash]bool, error) {
	named := map[seal.Hash]bool{}
	for _, prefix := range []string{KeysPrefix, KeysCopyPrefix} {
		for o, err := range s.List(ctx, prefix) {
			if err != nil {
				return nil, fmt.Errorf("listing keys: %w", err)
			}
			b, err := getObject(ctx, s, o.Name, seal.MaxKeyObject)
			if outOfReach(err) {
				return nil, fmt.Errorf("reading %s: %w", o.Name, err)
			}
			if err != nil {
				continue // damaged, or removed meanwhile
			}
			if id, err := seal.WrappedVault(b); err == nil {
				named[id] = true
			}
		}
	}
	return named, nil
}

// chooseConfig returns the one configuration whose vault id an intact wrapped
// key names. Only who does not know the vault id needs it.
func chooseConfig(ctx context.Context, s storage.Store, list []Config) (Config, error) {
	named, err := namedVaults(ctx, s)
	if err != nil {
		return Config{}, err
	}
	var fits []Config
	for _, c := range list {
		if named[c.ID()] {
			fits = append(fits, c)
		}
	}
	if len(fits) != 1 {
		return Config{}, fmt.Errorf("%s and %s differ, and the wrapped keys name %d of them: %w", ConfigName, ConfigCopyName, len(fits), ErrDamaged)
	}
	return fits[0], nil
}

// readConfig reads one copy of vault.json: storage.ErrNotFound if it is not
// there; with want, ErrDamaged for everything else that has another vault id,
// and errOther too if it is whole. ErrUnread is part of every error but those
// that prove a copy worthless: it is not what it was, or its disk has lost it.
func readConfig(ctx context.Context, s storage.Store, name string, want *seal.Hash) (Config, error) {
	b, err := getObject(ctx, s, name, MaxConfig)
	if errors.Is(err, storage.ErrNotFound) {
		return Config{}, fmt.Errorf("reading %s: %w", name, err)
	}
	if err != nil {
		return Config{}, objectError(name, err)
	}
	c, err := ParseConfig(b)
	if want != nil && seal.Sum(b) != *want {
		reason := ErrMalformed
		if err == nil {
			reason = errOther
		}
		return Config{}, fmt.Errorf("%s: %w: %w", name, ErrDamaged, reason)
	}
	return c, damaged(name, err)
}

// CheckConfig reports the copies of vault.json that are missing or damaged.
func (v *Vault) CheckConfig(ctx context.Context) []error {
	var problems []error
	for _, name := range configNames() {
		_, err := readConfig(ctx, v.Store, name, &v.ID)
		if errors.Is(err, storage.ErrNotFound) {
			err = damaged(name, err)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// PutConfig commits a new vault: vault.json, then its copy. It returns
// ErrVaultExists if somebody was first.
func (v *Vault) PutConfig(ctx context.Context) error {
	b := FormatConfig(v.Config)
	err := v.Store.Put(ctx, ConfigName, storage.Body(b))
	if errors.Is(err, storage.ErrExists) {
		return ErrVaultExists
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", ConfigName, err)
	}
	return v.RestoreConfig(ctx)
}

// RestoreConfig puts back the copies of vault.json that are missing or
// damaged, one after the other. What it writes has the vault id that was
// verified when the vault was opened. A copy that could not be read stays: it
// may be whole. If both are missing so is the vault, storage.ErrUnreachable:
// what is there is most often the empty directory on which its disk was
// mounted, and no place for them.
func (v *Vault) RestoreConfig(ctx context.Context) error {
	problems, missing := map[string]error{}, 0
	for _, name := range configNames() {
		_, err := readConfig(ctx, v.Store, name, &v.ID)
		problems[name] = err
		if errors.Is(err, storage.ErrNotFound) {
			missing++
		}
	}
	if missing == len(problems) {
		return fmt.Errorf("the vault is not there any more: %w: %w", storage.ErrUnreachable, ErrNoVault)
	}
	for _, name := range configNames() {
		err := problems[name]
		if err == nil {
			continue
		}
		if storeGone(err) || errors.Is(err, ErrUnread) {
			return err
		}
		if err := v.putBack(ctx, name, FormatConfig(v.Config), errors.Is(err, ErrDamaged)); err != nil {
			return err
		}
	}
	return nil
}

// putBack stores the bytes that one of two copies had: in the place of what is
// damaged, or else where nothing is. A store that cannot replace an object in
// one step has a moment in which none is there: nobody can use the damaged
// one, and to leave it would leave the vault with one copy.
func (v *Vault) putBack(ctx context.Context, name string, b []byte, damaged bool) error {
	if damaged {
		err := storage.Overwrite(ctx, v.Store, name, storage.Body(b))
		if errors.Is(err, errors.ErrUnsupported) {
			err = v.Store.Delete(ctx, name)
		} else if err == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("replacing the damaged %s: %w", name, err)
		}
	}
	if err := v.put(ctx, name, b); !errors.Is(err, storage.ErrExists) {
		return err
	}
	return nil // somebody else was first, with the same bytes
}
