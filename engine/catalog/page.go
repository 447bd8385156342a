package catalog

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// maxPage is the size in bytes above which a page is split.
const maxPage = 16 << 10

// stored is an entry as a page holds it.
type stored struct {
	name string
	from uint64 // position of the operation that made it
	node []byte // vault.AppendNode
}

func (s *stored) size() int { return len(s.name) + len(s.node) + 3*binary.MaxVarintLen32 }

func (s *stored) directory() (seal.ID, bool, error) {
	n, err := vault.ParseNode(s.node)
	return n.Directory, n.Kind == vault.KindDirectory, err
}

func appendStored(dst []byte, s *stored) []byte {
	dst = appendBytes(dst, []byte(s.name))
	dst = binary.AppendUvarint(dst, s.from)
	return appendBytes(dst, s.node)
}

// parsePage reads a page. The nodes are part of its bytes, which never change.
// Its names are in their order: who asks for what comes after the last one gets
// on.
func parsePage(f fields) ([]stored, error) {
	var list []stored
	for len(f.b) > 0 {
		list = append(list, stored{string(f.bytes()), f.uv(), f.bytes()})
		if n := len(list); n > 1 && list[n-2].name >= list[n-1].name {
			f.bad = true
		}
	}
	return list, f.end("page")
}

// pages edits the pages of one device in a transaction. It keeps the page in
// memory that was used last, so that a run of names costs one encoding.
type pages struct {
	t       *tx
	device  seal.ID
	key     []byte // of the open page; nil: none
	end     []byte // key of the next page of the directory; nil: none
	entries []stored
	dirty   bool
}

// open makes the page that a name belongs to the open one. Every directory's
// first page has the key of the empty name, so there is always a page below.
func (p *pages) open(dir seal.ID, name string) error {
	prefix := join(p.device[:], dir[:])
	key := append(bytes.Clone(prefix), name...)
	if p.key != nil && bytes.HasPrefix(p.key, prefix) && bytes.Compare(p.key, key) <= 0 &&
		(p.end == nil || bytes.Compare(key, p.end) < 0) {
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	p.key, p.end, p.entries, p.dirty = bytes.Clone(prefix), nil, nil, false
	if at, ok := p.t.floor(bucketPages.full(key)); ok && bytes.HasPrefix(at.key, bucketPages.full(prefix)) {
		p.key = bytes.Clone(at.key[1:])
		var err error
		if p.entries, err = parsePage(checked(at.key, at.value)); err != nil {
			return err
		}
	}
	next := p.t.seek(append(bucketPages.full(p.key), 0))
	if next.valid() && bytes.HasPrefix(next.key(), bucketPages.full(prefix)) {
		p.end = bytes.Clone(next.key()[1:])
	}
	return p.t.err
}

func (p *pages) search(name string) (int, bool) {
	return slices.BinarySearchFunc(p.entries, name, func(s stored, n string) int { return strings.Compare(s.name, n) })
}

// find returns the entry of a name, or nil.
func (p *pages) find(dir seal.ID, name string) (*stored, error) {
	if err := p.open(dir, name); err != nil {
		return nil, err
	}
	if i, ok := p.search(name); ok {
		return &p.entries[i], nil
	}
	return nil, nil
}

// set sets the entry of s.name.
func (p *pages) set(dir seal.ID, s stored) error {
	if err := p.open(dir, s.name); err != nil {
		return err
	}
	i, ok := p.search(s.name)
	if ok {
		p.entries[i] = s
	} else {
		p.entries = slices.Insert(p.entries, i, s)
	}
	p.dirty = true
	return p.split(dir, i)
}

// split cuts the open page when it is too large. at is where it grew: a page
// that grows at its end, as in a scan, is left full.
func (p *pages) split(dir seal.ID, at int) error {
	size := 0
	for i := range p.entries {
		size += p.entries[i].size()
	}
	if size <= maxPage || len(p.entries) == 1 {
		return nil
	}
	cut := len(p.entries) / 2
	if at == len(p.entries)-1 {
		cut = at
	}
	right := p.entries[cut:]
	p.entries = p.entries[:cut:cut]
	left := p.key
	end := p.end
	p.key = left
	if err := p.flush(); err != nil {
		return err
	}
	p.key, p.end = append(join(p.device[:], dir[:]), right[0].name...), end
	p.entries, p.dirty = slices.Clone(right), true
	return nil
}

// remove removes the entry of a name, which is there.
func (p *pages) remove(dir seal.ID, name string) error {
	if err := p.open(dir, name); err != nil {
		return err
	}
	if i, ok := p.search(name); ok {
		p.entries = slices.Delete(p.entries, i, i+1)
		p.dirty = true
	}
	return nil
}

// flush writes the open page and closes it. A page stays where it is also when
// nothing is left in it.
func (p *pages) flush() error {
	if p.key == nil || !p.dirty {
		p.key = nil
		return nil
	}
	key := p.key
	p.key, p.dirty = nil, false
	var value []byte
	for i := range p.entries {
		value = appendStored(value, &p.entries[i])
	}
	return put(p.t, bucketPages, key, value)
}
