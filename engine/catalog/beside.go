package catalog

import "holm.example/engine/seal"

// besideBit is set in the numbers of packs that the catalog beside has.
const besideBit = 1 << 63

// Beside is the catalog for reading files whose chunks may be in packs that
// only other knows. Everything else is as in c, which is not changed. It is
// good until one of the two is closed.
func (c *Catalog) Beside(other *Catalog) *Catalog {
	both := &Catalog{store: c.store, beside: other}
	both.avoided.Store(c.avoided.Load())
	return both
}

// besides lists where a chunk is in packs that only the catalog beside knows.
func (c *Catalog) besides(id seal.Hash) (list []Address, err error) {
	all, err := c.beside.Addresses(id)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		p, err := c.beside.Pack(a.Pack)
		if err != nil {
			return nil, err
		}
		known := false
		err = c.view(func(t *tx) error {
			_, known = get(t, bucketPackIDs, packKey(p.ID))
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !known {
			a.Pack |= besideBit
			list = append(list, a)
		}
	}
	return list, nil
}
