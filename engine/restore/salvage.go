package restore

import (
	"errors"

	"holm.example/engine/vault"
)

// salvage reads pieces after reading them together found damage: those that
// another pack has as well together there, the others one by one.
func (p *plan) salvage(pieces []piece) error {
	var elsewhere []piece
	for _, q := range pieces {
		if moved, err := p.move(&q); err != nil {
			return err
		} else if moved {
			elsewhere = append(elsewhere, q)
			continue
		}
		content, err := p.run.Catalog.ReadChunk(p.run.ctx, p.run.Vault, q.id)
		switch {
		case errors.Is(err, vault.ErrDamaged):
			err = p.give(q.file, err)
		case err == nil:
			err = p.writePiece(q, content)
		}
		if err != nil {
			return err
		}
	}
	byAddress(elsewhere)
	for len(elsewhere) > 0 {
		n := adjacent(elsewhere)
		if err := p.read(elsewhere[:n]); err != nil {
			return err
		}
		elsewhere = elsewhere[n:]
	}
	return nil
}

// move gives a piece another address, if it has one in another pack and was
// not moved before.
func (p *plan) move(q *piece) (bool, error) {
	if q.moved {
		return false, nil
	}
	list, err := p.run.Catalog.Addresses(q.id)
	for _, a := range list {
		if a.Pack != q.at.Pack && a.SizeBytes == q.at.SizeBytes {
			q.at, q.moved = a, true
			return true, err
		}
	}
	return false, err
}
