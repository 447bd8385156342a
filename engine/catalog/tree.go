package catalog

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// lostAndFound is the directory of what has no known parent.
var lostAndFound = seal.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// placing says how a directory id is known.
type placing byte

const (
	unplaced placing = iota // not known
	placed                  // at parent and name
	detached                // deleted or replaced; node is what it was last
	top                     // a source, or lost+found
)

// where is where a directory is.
type where struct {
	state  placing
	parent seal.ID
	name   string
	node   []byte // only of a detached one
}

func (f *fold) whereIs(dir seal.ID) (where, error) {
	if dir == lostAndFound {
		return where{state: top}, nil
	}
	r, known := get(f.t, bucketWhere, join(f.device[:], dir[:]))
	if !known {
		return where{}, nil
	}
	var w where
	if b := r.raw(1); b != nil {
		w.state = placing(b[0])
	}
	w.parent, w.name, w.node = r.id(), string(r.bytes()), append([]byte(nil), r.bytes()...)
	return w, r.end("place of a directory")
}

func (f *fold) setWhere(dir seal.ID, w where) error {
	value := append([]byte{byte(w.state)}, w.parent[:]...)
	value = appendBytes(value, []byte(w.name))
	value = appendBytes(value, w.node)
	return put(f.t, bucketWhere, join(f.device[:], dir[:]), value)
}

// Gone returns the directory that was last under a name and is detached, so
// that one that reappears there takes its old id again.
func (c *Catalog) Gone(device seal.ID, n vault.EntryName) (dir seal.ID, ok bool, err error) {
	err = c.view(func(t *tx) error {
		f, known := get(t, bucketGone, join(device[:], n.Parent[:], []byte(n.Name)))
		if !known {
			return nil
		}
		dir = f.id()
		if err := f.end("gone directory"); err != nil {
			return err
		}
		w, err := (&fold{t: t, device: device}).whereIs(dir)
		ok = w.state == detached
		return err
	})
	return dir, ok, err
}

// strayNode is the node of a directory that nobody has put.
func strayNode(dir seal.ID) *vault.Node {
	return &vault.Node{Meta: vault.Meta{Mode: 0o700}, Kind: vault.KindDirectory, Directory: dir}
}

// know places a directory that is not known in lost+found (rule 2).
func (f *fold) know(dir seal.ID) error {
	w, err := f.whereIs(dir)
	if err != nil || w.state != unplaced {
		return err
	}
	return f.set(vault.EntryName{Parent: lostAndFound, Name: hex.EncodeToString(dir[:])}, strayNode(dir))
}

// within reports whether dir is inner itself or one of its ancestors. A way up
// of more than vault.MaxDepth directories counts as one that meets dir: rule 3
// forbids both.
func (f *fold) within(dir, inner seal.ID) (bool, error) {
	for range vault.MaxDepth {
		if inner == dir {
			return true, nil
		}
		w, err := f.whereIs(inner)
		if err != nil || w.state != placed {
			return false, err
		}
		inner = w.parent
	}
	return true, nil
}

// put is rule 3.
func (f *fold) put(o *vault.Put) error {
	if err := f.know(o.Parent); err != nil {
		return err
	}
	if o.Kind != vault.KindDirectory {
		return f.set(o.EntryName, &o.Node)
	}
	w, err := f.whereIs(o.Directory)
	if err != nil || w.state == top {
		return err
	}
	if w.state == placed && w.parent == o.Parent && w.name == o.Name {
		return f.set(o.EntryName, &o.Node)
	}
	if inside, err := f.within(o.Directory, o.Parent); err != nil || inside {
		return err
	}
	if w.state == placed {
		if err := f.end(vault.EntryName{Parent: w.parent, Name: w.name}); err != nil {
			return err
		}
	}
	return f.set(o.EntryName, &o.Node)
}

// moveDir is rule 4.
func (f *fold) moveDir(o *vault.MoveDir) error {
	if err := f.know(o.Directory); err != nil {
		return err
	}
	if err := f.know(o.To.Parent); err != nil {
		return err
	}
	w, err := f.whereIs(o.Directory)
	if err != nil || w.state == top {
		return err
	}
	node := w.node
	if w.state == placed {
		if w.parent == o.To.Parent && w.name == o.To.Name {
			return nil
		}
		s, err := f.pages.find(w.parent, w.name)
		if err != nil {
			return err
		}
		if s == nil {
			return fmt.Errorf("directory is not where it is placed: %w", ErrDamaged)
		}
		node = s.node
	}
	n, err := vault.ParseNode(node)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return f.put(&vault.Put{EntryName: o.To, Node: n})
}

// delete is rule 5.
func (f *fold) delete(o *vault.Delete) error {
	if err := f.know(o.Parent); err != nil {
		return err
	}
	s, err := f.pages.find(o.Parent, o.Name)
	if err != nil || s == nil {
		return err
	}
	if err := f.detach(o.EntryName, s, nil); err != nil {
		return err
	}
	return f.end(o.EntryName)
}

// detach marks the directory that an entry is, unless it is also what takes
// the entry's place; next is nil if nothing does.
func (f *fold) detach(n vault.EntryName, s *stored, next *vault.Node) error {
	dir, is, err := s.directory()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !is || next != nil && next.Kind == vault.KindDirectory && next.Directory == dir {
		return nil
	}
	if err := put(f.t, bucketGone, join(f.device[:], n.Parent[:], []byte(n.Name)), dir[:]); err != nil {
		return err
	}
	return f.setWhere(dir, where{state: detached, node: append([]byte(nil), s.node...)})
}

// end removes the entry of a name from now and keeps it in the past.
func (f *fold) end(n vault.EntryName) error {
	s, err := f.pages.find(n.Parent, n.Name)
	if err != nil || s == nil {
		return err
	}
	if err := f.remember(n.Parent, s); err != nil {
		return err
	}
	return f.pages.remove(n.Parent, n.Name)
}

// remember keeps an entry that ends here in the past.
func (f *fold) remember(dir seal.ID, s *stored) error {
	if s.from == uint64(f.pos) {
		return nil // it was never seen
	}
	key := join(f.device[:], dir[:], binary.BigEndian.AppendUint64(nil, uint64(f.pos)), []byte(s.name))
	return put(f.t, bucketPast, key, appendStored(nil, s))
}

// set sets the entry of a name whose parent is known, and where it is if it
// is a directory.
func (f *fold) set(n vault.EntryName, node *vault.Node) error {
	old, err := f.pages.find(n.Parent, n.Name)
	if err != nil {
		return err
	}
	if old != nil {
		if err := f.detach(n, old, node); err != nil {
			return err
		}
		if err := f.remember(n.Parent, old); err != nil {
			return err
		}
	}
	s := stored{n.Name, uint64(f.pos), vault.AppendNode(nil, node)}
	if err := f.pages.set(n.Parent, s); err != nil {
		return err
	}
	if node.Kind != vault.KindDirectory {
		return nil
	}
	return f.setWhere(node.Directory, where{state: placed, parent: n.Parent, name: n.Name})
}
