package catalog

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// model says section 9 of docs/vault-format.md a second time, as plainly as it
// can be said, so that the fold is compared with the specification and not
// with itself: the map of one device, (directory, name) → entry.
type model struct {
	tops    map[seal.ID]bool // the sources, and lost+found
	entries map[seal.ID]map[string]vault.Node
	kept    map[seal.ID]vault.Node // detached directories, with the meta they had
	marks   map[seal.ID][]seal.ID
}

func newModel() *model {
	return &model{tops: map[seal.ID]bool{lostAndFound: true}, entries: map[seal.ID]map[string]vault.Node{},
		kept: map[seal.ID]vault.Node{}, marks: map[seal.ID][]seal.ID{}}
}

func (m *model) clone() *model {
	c := newModel()
	maps.Copy(c.tops, m.tops)
	for dir, list := range m.entries {
		c.entries[dir] = maps.Clone(list)
	}
	return c // the past of marks and of detached directories is not asked for
}

// find looks everywhere for the place of a directory.
func (m *model) find(dir seal.ID) (parent seal.ID, name string, ok bool) {
	for parent, list := range m.entries {
		for name, n := range list {
			if n.Kind == vault.KindDirectory && n.Directory == dir {
				return parent, name, true
			}
		}
	}
	return parent, "", false
}

func (m *model) known(dir seal.ID) bool {
	_, kept := m.kept[dir]
	_, _, placed := m.find(dir)
	return m.tops[dir] || kept || placed
}

func (m *model) set(at vault.EntryName, n vault.Node) {
	if old, ok := m.entries[at.Parent][at.Name]; ok && old.Kind == vault.KindDirectory {
		m.kept[old.Directory] = old
	}
	if m.entries[at.Parent] == nil {
		m.entries[at.Parent] = map[string]vault.Node{}
	}
	m.entries[at.Parent][at.Name] = n
	if n.Kind == vault.KindDirectory {
		delete(m.kept, n.Directory)
	}
}

// place is rule 2.
func (m *model) place(dir seal.ID) {
	if !m.known(dir) {
		m.set(vault.EntryName{Parent: lostAndFound, Name: hex.EncodeToString(dir[:])},
			vault.Node{Meta: vault.Meta{Mode: 0o700}, Kind: vault.KindDirectory, Directory: dir})
	}
}

// put is rule 3, for which the parent is known.
func (m *model) put(at vault.EntryName, n vault.Node) {
	if n.Kind == vault.KindDirectory {
		if m.tops[n.Directory] {
			return
		}
		for dir, ok := at.Parent, true; ok; dir, _, ok = m.find(dir) {
			if dir == n.Directory {
				return
			}
		}
		if parent, name, ok := m.find(n.Directory); ok {
			delete(m.entries[parent], name)
		}
	}
	m.set(at, n)
}

// fold folds an operation; first says that only PackAdds came before it in
// the journal, and adopted is the fold that an Adopt names.
func (m *model) fold(op vault.Operation, first bool, adopted *model) {
	switch o := op.(type) {
	case *vault.Source:
		if !m.known(o.ID) {
			m.tops[o.ID] = true
		}
	case *vault.Put:
		m.place(o.Parent)
		m.put(o.EntryName, o.Node)
	case *vault.MoveDir:
		m.place(o.Directory)
		m.place(o.To.Parent)
		if n, ok := m.kept[o.Directory]; ok {
			m.put(o.To, n)
		} else if parent, name, ok := m.find(o.Directory); ok {
			m.put(o.To, m.entries[parent][name])
		}
	case *vault.Delete:
		m.place(o.Parent)
		if old, ok := m.entries[o.Parent][o.Name]; ok {
			if old.Kind == vault.KindDirectory {
				m.kept[old.Directory] = old
			}
			delete(m.entries[o.Parent], o.Name)
		}
	case *vault.Mark:
		if _, ok := m.marks[o.ID]; !ok {
			m.marks[o.ID] = nil
			for _, id := range o.Sources {
				if m.tops[id] && id != lostAndFound && !slices.Contains(m.marks[o.ID], id) {
					m.marks[o.ID] = append(m.marks[o.ID], id)
				}
			}
		}
	case *vault.Adopt:
		if first && adopted != nil {
			for top := range adopted.tops {
				m.tops[top] = true
				m.copyBelow(adopted, top)
			}
		}
	}
}

func (m *model) copyBelow(from *model, dir seal.ID) {
	for name, n := range from.entries[dir] {
		m.set(vault.EntryName{Parent: dir, Name: name}, n)
		if n.Kind == vault.KindDirectory {
			m.copyBelow(from, n.Directory)
		}
	}
}

// paths writes down everything below a directory, with mode and kind.
func (m *model) paths(dir seal.ID, above string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(m.entries[dir])) {
		n := m.entries[dir][name]
		list = append(list, fmt.Sprintf("%s/%s %d %o", above, name, n.Kind, n.Meta.Mode))
		if n.Kind == vault.KindDirectory {
			list = append(list, m.paths(n.Directory, above+"/"+name)...)
		}
	}
	return list
}

func (m *model) text() string {
	var list []string
	for _, top := range slices.SortedFunc(maps.Keys(m.tops), func(a, b seal.ID) int { return strings.Compare(string(a[:]), string(b[:])) }) {
		list = append(list, fmt.Sprintf("%x", top[:1]))
		list = append(list, m.paths(top, "")...)
	}
	return strings.Join(list, "\n")
}

// text is what a catalog says where a model says text.
func (c *Catalog) text(t *testing.T, device seal.ID, tops map[seal.ID]bool, at Position) string {
	t.Helper()
	var list []string
	var below func(dir seal.ID, above string)
	below = func(dir seal.ID, above string) {
		err := c.Entries(device, dir, at, func(e Entry) error {
			list = append(list, fmt.Sprintf("%s/%s %d %o", above, e.Name, e.Kind, e.Meta.Mode))
			if e.Kind == vault.KindDirectory {
				below(e.Directory, above+"/"+e.Name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, top := range slices.SortedFunc(maps.Keys(tops), func(a, b seal.ID) int { return strings.Compare(string(a[:]), string(b[:])) }) {
		list = append(list, fmt.Sprintf("%x", top[:1]))
		below(top, "")
	}
	return strings.Join(list, "\n")
}

// nasty draws an operation over few directories and few names, so that every
// rule is met often: the zero id, lost+found, sources, names that lost+found
// gives.
func nasty(r *rand.Rand) vault.Operation {
	ids := []seal.ID{{}, id(1), id(2), id(3), id(4), id(5), lostAndFound}
	names := []string{"a", "b", "c", hex.EncodeToString(ids[2][:]), hex.EncodeToString(ids[3][:])}
	anID := func() seal.ID { return ids[r.IntN(len(ids))] }
	at := vault.EntryName{Parent: anID(), Name: names[r.IntN(len(names))]}
	meta := vault.Meta{Mode: uint32(r.IntN(0o1000))}
	switch r.IntN(16) {
	case 0:
		return &vault.Source{ID: anID(), Path: "/", System: "test"}
	case 1, 2:
		return &vault.Put{EntryName: at, Node: vault.Node{Meta: meta, Kind: vault.KindFile}}
	case 3, 4, 5, 6, 7:
		return &vault.Put{EntryName: at, Node: vault.Node{Meta: meta, Kind: vault.KindDirectory, Directory: anID()}}
	case 8, 9, 10, 11:
		return &vault.MoveDir{Directory: anID(), To: at}
	case 12, 13:
		return &vault.Delete{EntryName: at, Reason: vault.Gone}
	case 14:
		return &vault.Part{EntryName: at}
	}
	return &vault.Mark{ID: id(byte(r.IntN(200))), Sources: []seal.ID{anID(), anID(), anID()}}
}

// step is a point of a journal and what the model says there.
type step struct {
	at   Position
	text string
	tops map[seal.ID]bool
}

// history commits random segments of a device and tells what every operation
// led to, and the model as each segment left it.
func history(r *rand.Rand, d *writer, m *model, first *vault.Adopt, adopted *model) (steps []step, ends []*model) {
	for seq := uint64(1); seq <= 4; seq++ {
		var ops []vault.Operation
		if seq == 1 && first != nil {
			ops = append(ops, first)
		}
		for range 1 + r.IntN(20) {
			ops = append(ops, nasty(r))
		}
		for i, op := range ops {
			m.fold(op, seq == 1 && i == 0, adopted)
			steps = append(steps, step{position(seq, i), m.text(), maps.Clone(m.tops)})
		}
		d.commit(ops...)
		ends = append(ends, m.clone())
	}
	return steps, ends
}

func TestFoldDoesWhatTheSpecificationSaysWithAnyOperations(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t)
		a, b := w.device(100), w.device(50) // b is followed first, and waits for a
		ma, mb := newModel(), newModel()
		stepsA, ends := history(r, a, ma, nil, nil)
		seq := uint64(1 + r.IntN(len(ends)))
		adopt := &vault.Adopt{Device: a.card.Device, Seq: seq, Hash: headHash(t, w, a, seq)}
		stepsB, _ := history(r, b, mb, adopt, ends[seq-1])
		w.follow(w.c)
		for _, c := range []struct {
			device seal.ID
			steps  []step
			model  *model
		}{{a.card.Device, stepsA, ma}, {b.card.Device, stepsB, mb}} {
			for _, s := range c.steps {
				if got := w.c.text(t, c.device, s.tops, s.at); got != s.text {
					t.Fatalf("seed %d, device %x, segment %d, operation %d: folded to\n%s\nwant\n%s", seed, c.device[:1], s.at>>positionBits,
						s.at&(1<<positionBits-1), got, s.text)
				}
			}
			sameMarks(t, seed, w.c, c.device, c.model)
		}
	}
}

func sameMarks(t *testing.T, seed uint64, c *Catalog, device seal.ID, m *model) {
	t.Helper()
	marks, err := c.Marks()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, mark := range marks {
		if mark.Device != device {
			continue
		}
		n++
		if want, ok := m.marks[mark.ID]; !ok || !slices.Equal(mark.Sources, want) {
			t.Fatalf("seed %d: mark %x names %x, want %x", seed, mark.ID[:1], mark.Sources, want)
		}
	}
	if n != len(m.marks) {
		t.Fatalf("seed %d: %d marks, want %d", seed, n, len(m.marks))
	}
}
