package catalog

import (
	"encoding/binary"
	"errors"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// Avoid names the packs that are damaged or missing: what has another address
// is looked for there, and what has none is not held. They take the place of
// those that were named before. A pack that is not known counts for nothing.
func (c *Catalog) Avoid(packs []vault.PackID) error {
	numbers := map[uint64]struct{}{}
	err := c.view(func(t *tx) error {
		for _, id := range packs {
			f, known := get(t, bucketPackIDs, packKey(id))
			if !known {
				continue
			}
			if b := f.raw(8); b != nil {
				numbers[binary.BigEndian.Uint64(b)] = struct{}{}
			}
			if err := f.end("pack id"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.avoided.Store(&numbers)
	return nil
}

// Avoids reports whether any pack is avoided.
func (c *Catalog) Avoids() bool {
	numbers := c.avoided.Load()
	return numbers != nil && len(*numbers) > 0
}

func (c *Catalog) avoids(a Address) bool {
	numbers := c.avoided.Load()
	if numbers == nil {
		return false
	}
	_, is := (*numbers)[a.Pack]
	return is
}

// firstAddress is the address that a chunk was given first.
func firstAddress(t *tx, id seal.Hash) (a Address, known bool, err error) {
	f, known := get(t, bucketChunks, id[:])
	if !known {
		return a, false, nil
	}
	a = Address{f.uv(), f.uv(), uint32(f.uv())}
	return a, true, f.end("chunk")
}

// addressIn is the further address that a chunk has in a pack; number is as it
// stands in a key.
func addressIn(t *tx, id seal.Hash, number []byte) (a Address, known bool, err error) {
	f, known := get(t, bucketOthers, join(id[:], number))
	if !known {
		return a, false, nil
	}
	a, err = otherAddress(number, f)
	return a, true, err
}

func otherAddress(number []byte, f fields) (Address, error) {
	if len(number) != 8 {
		return Address{}, ErrDamaged
	}
	a := Address{binary.BigEndian.Uint64(number), f.uv(), uint32(f.uv())}
	return a, f.end("address of a chunk")
}

// eachAddress calls f for the addresses of a chunk, in the order in which it
// got them, until that returns errFull.
func eachAddress(t *tx, id seal.Hash, f func(Address) error) error {
	a, known, err := firstAddress(t, id)
	if err != nil || !known {
		return err
	}
	if err = f(a); err == nil {
		err = each(t, bucketOthers, id[:], func(number []byte, v fields) error {
			a, err := otherAddress(number, v)
			if err != nil {
				return err
			}
			return f(a)
		})
	}
	if errors.Is(err, errFull) {
		return nil
	}
	return err
}

// Chunk returns an address of a chunk, in a pack that is not avoided if there
// is one.
func (c *Catalog) Chunk(id seal.Hash) (a Address, known bool, err error) {
	err = c.view(func(t *tx) error {
		if a, known, err = firstAddress(t, id); err != nil || !known || !c.avoids(a) {
			return err
		}
		return eachAddress(t, id, func(other Address) error {
			if c.avoids(other) {
				return nil
			}
			a = other
			return errFull
		})
	})
	if err == nil && !known && c.beside != nil {
		if a, known, err = c.beside.Chunk(id); known {
			a.Pack |= besideBit
		}
	}
	return a, known, err
}

// Holds reports whether a chunk has an address in a pack that is not avoided.
func (c *Catalog) Holds(id seal.Hash) (bool, error) {
	a, known, err := c.Chunk(id)
	return known && !c.avoids(a), err
}

// Addresses lists where a chunk is, packs that are avoided last.
func (c *Catalog) Addresses(id seal.Hash) (list []Address, err error) {
	var avoided []Address
	err = c.view(func(t *tx) error {
		list, avoided = nil, nil
		return eachAddress(t, id, func(a Address) error {
			if c.avoids(a) {
				avoided = append(avoided, a)
			} else {
				list = append(list, a)
			}
			return nil
		})
	})
	list = append(list, avoided...)
	if err != nil || c.beside == nil {
		return list, err
	}
	more, err := c.besides(id)
	return append(list, more...), err
}
