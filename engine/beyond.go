package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// A journal with a segment that cannot be read is folded up to it, in the one
// catalog that lasts. For what must not wait until that segment is whole again
// there are two catalogs beside it, made anew when they are wanted and thrown
// away: "beyond", for reading, goes on after the gaps; "standing", for a backup,
// has folded nothing but what is still there. docs/vault-format.md, sections 9
// and 13.
const (
	beyondName   = "catalog-beyond"
	standingName = "catalog-standing"
)

// openAside makes an empty catalog in the data directory, to be thrown away.
func (e *Engine) openAside(name string) (*catalog.Catalog, error) {
	path := filepath.Join(e.dataDir, name)
	if err := os.RemoveAll(path); err != nil {
		return nil, fmt.Errorf("clearing away %s: %w", name, err)
	}
	return catalog.OpenAside(path, e.vault.ID)
}

// closeAside throws such a catalog away.
func (e *Engine) closeAside(name string, c *catalog.Catalog) error {
	return errors.Join(c.Close(), os.RemoveAll(filepath.Join(e.dataDir, name)))
}

// clearAside removes what a killed run left of them.
func (e *Engine) clearAside() error {
	return errors.Join(os.RemoveAll(filepath.Join(e.dataDir, beyondName)), os.RemoveAll(filepath.Join(e.dataDir, standingName)))
}

// A beyond is a catalog that goes on after gaps, and the marks that only it
// knows: they stand after what the journals are folded to, and are incomplete.
type beyond struct {
	*catalog.Catalog
	marks  []catalog.Mark
	places map[place]bool // of them
}

// A place is where a mark stands. An id is what its device says.
type place struct {
	device seal.ID
	at     catalog.Position
}

func placeOf(m *catalog.Mark) place { return place{m.Device, m.At} }

// lookBeyond makes sure that e.beyond is there if a journal was not folded to
// its end: what is in the way there may be all that is damaged.
func (e *Engine) lookBeyond(ctx context.Context) error {
	gap := func(s catalog.Stop) bool { return errors.Is(s, ErrDamaged) && !errors.Is(s, ErrLost) }
	if e.beyond != nil || !slices.ContainsFunc(e.stopped, gap) {
		return nil
	}
	c, err := e.openAside(beyondName)
	if err != nil {
		return err
	}
	b := &beyond{Catalog: c, places: map[place]bool{}}
	if _, err = c.FollowBeyond(ctx, e.vault); err == nil {
		err = e.findBehind(b)
	}
	if err != nil {
		return errors.Join(err, e.closeAside(beyondName, c))
	}
	e.beyond = b
	return nil
}

// findBehind finds the marks that b knows and e.catalog does not.
func (e *Engine) findBehind(b *beyond) error {
	marks, err := b.Marks()
	if err != nil {
		return err
	}
	for _, m := range marks {
		d, _, err := e.catalog.Device(m.Device)
		if err != nil {
			return err
		}
		if m.At > catalog.EndOf(d.Head.Seq) {
			b.marks = append(b.marks, m)
			b.places[placeOf(&m)] = true
		}
	}
	return nil
}

// forgetBeyond throws e.beyond away.
func (e *Engine) forgetBeyond() (err error) {
	if e.beyond != nil {
		err = e.closeAside(beyondName, e.beyond.Catalog)
	}
	e.beyond = nil
	return err
}

// incomplete returns why a mark is incomplete, or nil.
func (e *Engine) incomplete(m *catalog.Mark) error {
	if e.beyond == nil || !e.beyond.places[placeOf(m)] {
		return nil
	}
	return e.stopOf(m.Device)
}

// stopOf is why the journal of a device is not known to its end.
func (e *Engine) stopOf(device seal.ID) error {
	for _, s := range e.stopped {
		if s.Device == device {
			return s
		}
	}
	return fmt.Errorf("a journal that it has adopted: %w", ErrDamaged)
}

// of is the catalog that has the tree of a mark. e.beyond passes all gaps,
// also those in what was folded before they were there: it has nothing to say
// of a mark that is complete.
func (e *Engine) of(m *catalog.Mark) *catalog.Catalog {
	if e.incomplete(m) != nil {
		return e.beyond.Catalog
	}
	return e.catalog
}

// contentOf is of for reading files, too. e.beyond has the packs of segments
// that cannot be read, which devices with complete marks may share.
func (e *Engine) contentOf(m *catalog.Mark) *catalog.Catalog {
	c := e.of(m)
	if e.beyond == nil || c == e.beyond.Catalog {
		return c
	}
	return c.Beside(e.beyond.Catalog)
}

// marks are all marks, the oldest first, with those beyond gaps.
func (e *Engine) marks(ctx context.Context) ([]catalog.Mark, error) {
	list, err := e.catalog.Marks()
	if err != nil {
		return nil, err
	}
	if err := e.lookBeyond(ctx); err != nil || e.beyond == nil {
		return list, err
	}
	return catalog.SortMarks(append(list, e.beyond.marks...)), nil
}

// onStanding does a backup with a catalog of what stands: the one that lasts,
// unless another journal is not any more what that has folded. doubtful says
// that chunks of unchanged files may be gone with a part of a journal. It
// returns ErrLost if that part was our own.
func (e *Engine) onStanding(ctx context.Context, do func(c *catalog.Catalog, doubtful bool) error) (err error) {
	lost, err := e.lost(ctx)
	if err != nil {
		return err
	}
	if len(lost) == 0 {
		return do(e.catalog, len(e.stopped) > 0)
	}
	e.note("nothing is relied on that only the damaged part of another device's journal has")
	c, err := e.openAside(standingName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.closeAside(standingName, c)) }()
	stopped, err := c.Follow(ctx, e.vault)
	if err != nil {
		return err
	}
	own := e.state.Head()
	for _, s := range stopped {
		if errors.Is(s, ErrNewer) {
			return s
		}
		if s.Device == own.Device {
			return fmt.Errorf("our own journal: %w: %w", ErrLost, s)
		}
	}
	if err := e.avoidIn(c, true); err != nil {
		return err
	}
	return do(c, true)
}

// lost are the journals that are not what was folded of them. The error is
// ErrLost if that is true of our own.
func (e *Engine) lost(ctx context.Context) ([]catalog.Stop, error) {
	lost, err := e.catalog.CheckHeads(ctx, e.vault)
	if err != nil {
		return nil, err
	}
	for _, s := range lost {
		e.note("%v", s)
	}
	for _, s := range e.stopped {
		if errors.Is(s, ErrLost) { // which follow has told
			lost = append(lost, s)
		}
	}
	for _, s := range lost {
		if s.Device == e.state.Head().Device {
			return nil, s
		}
	}
	return lost, nil
}

// checkKnown refuses to commit while a journal holds what this version does
// not know.
func (e *Engine) checkKnown() error {
	for _, s := range e.stopped {
		if errors.Is(s, vault.ErrNewer) {
			return s
		}
	}
	return nil
}
