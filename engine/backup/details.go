package backup

import (
	"errors"
	"fmt"

	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
)

// ErrTooLarge is the problem of metadata that the format has no room for. The
// rest of the entry is stored; without its name or target there is none.
var ErrTooLarge = errors.New("metadata is too large to be stored")

// maxLinked bounds the chunk ids that linked remembers.
const maxLinked = 32768

// details is what a scan knows beside the entries that it sees.
type details struct {
	owners source.Owners
	// linked are files with several names that this run has read: another
	// name needs no reading. It forgets all when it is full.
	linked map[source.FileID]linkedFile
	ids    int // of chunks, in linked
	// zero is the chunk that a hole is cut into; nothing if no file had a hole.
	zero   seal.Hash
	zeroes int // its length in bytes
}

type linkedFile struct {
	entry source.Entry
	node  vault.Node
}

// describe completes a node that is put: the names of its owners, its
// attributes, and which other names the file has. What has no room is left
// out and told.
func (d *details) describe(key seal.ChunkKey, n *vault.Node, e source.Entry, list []source.Attribute) (problems []error) {
	n.Meta.User, n.Meta.Group = d.owners.Names(e.UID, e.GID)
	if len(list) > vault.MaxAttributes {
		problems = append(problems, fmt.Errorf("%d extended attributes: %w", len(list), ErrTooLarge))
		list = list[:vault.MaxAttributes]
	}
	n.Meta.Attributes = nil
	room := source.MaxAttributeBytes // a thousand of the largest would not fit into a segment
	for _, a := range list {
		size := len(a.Name) + len(a.Value)
		if len(a.Name) > vault.MaxText || len(a.Value) > vault.MaxText || size > room {
			problems = append(problems, fmt.Errorf("extended attribute %.64q: %w", a.Name, ErrTooLarge))
			continue
		}
		room -= size
		n.Meta.Attributes = append(n.Meta.Attributes, vault.Attribute{Name: a.Name, Value: a.Value})
	}
	if hardLinked(e) {
		n.Meta.LinkGroup = linkGroup(key, e.ID)
	}
	return problems
}

// storable returns ErrTooLarge for an entry that the format has no room for.
func storable(name string, e source.Entry) error {
	switch {
	case len(name) > vault.MaxName:
		return fmt.Errorf("a name of %d bytes: %w", len(name), ErrTooLarge)
	case len(e.Target) > vault.MaxText:
		return fmt.Errorf("a link to a path of %d bytes: %w", len(e.Target), ErrTooLarge)
	}
	return nil
}

func hardLinked(e source.Entry) bool {
	return e.Kind == source.File && e.Links > 1 && e.ID != (source.FileID{})
}

// linkGroup follows from which file it is, so that nothing need be remembered
// of the other names, and tells nobody which.
func linkGroup(key seal.ChunkKey, id source.FileID) (group seal.ID) {
	h := key.ID(fmt.Appendf(nil, "holm link group\x00%d\x00%d", id.Device, id.Inode))
	copy(group[:], h[:])
	return group
}

// other returns the node of a file that was read under another name and is
// still the same.
func (d *details) other(e source.Entry) (n vault.Node, ok bool) {
	f, ok := d.linked[e.ID]
	return f.node, ok && hardLinked(e) && f.entry.Same(e)
}

// remember keeps the node of a file with several names.
func (d *details) remember(e source.Entry, n vault.Node) {
	if !hardLinked(e) || n.Meta.FileID == unsettled {
		return
	}
	cost := 16 + len(n.Chunks.IDs)
	if d.linked == nil || d.ids+cost > maxLinked {
		d.linked, d.ids = map[source.FileID]linkedFile{}, 0
	}
	d.linked[e.ID] = linkedFile{e, n}
	d.ids += cost
}
