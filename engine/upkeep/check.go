// Package upkeep looks after a vault: it checks what is stored.
//
// It promises that Check finds every object that a restore of any mark would
// miss or be refused: it reads every journal anew from the store, compares
// the catalog's memory of packs and chunks with it, with ReadData opens every
// seal, and with Deep inflates every frame and computes every chunk id too.
// What it finds names the object, and is vault.ErrRepairable if parity makes it good; a catalog that differs is
// catalog.ErrDamaged, and no damage of the vault. It writes nothing, and what
// it holds in memory does not grow with the number of packs and chunks.
//
// Losses says what only damaged packs have, and Salvage reads what can still
// be read of one.
package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/vault"
)

// ErrMissing is the problem of an object that something names and that is not
// there.
var ErrMissing = errors.New("object is missing")

// Request says what to check, and how deep. The catalog has followed the
// vault's journals.
type Request struct {
	Vault    *vault.Vault
	Catalog  *catalog.Catalog
	Own      vault.Head // what this device knows to have committed
	ReadData bool       // open every seal
	Deep     bool       // inflate everything and compute every chunk id
	Bad      []BadPack  // found by earlier checks
	Now      func() time.Time
	// Progress is called at most every tenth of a second, never by two
	// goroutines at once; it may be nil.
	Progress func(object string, r *Report)
}

// Problem is a damaged object.
type Problem struct {
	Object string
	Err    error
}

// Report is what was found. Sizes in bytes.
type Report struct {
	Devices   int64
	Segments  int64
	Entries   int64
	Packs     int64
	Chunks    int64
	ReadBytes int64
	DeadPacks int64
	// SingleKeys are wrapped keys without a second copy: no damage, but one
	// flipped bit in them would be.
	SingleKeys int64
	Problems   []Problem
	// Bad are the packs that are damaged or missing for sure, each a problem
	// too, in the order of their names; not those that the store could not read
	// now, unless they were known to be. Of more than MaxBad, the rest are
	// problems only.
	Bad []BadPack
}

// check is one check under way.
type check struct {
	Request
	ctx    context.Context
	report *Report
	known  map[vault.PackID]BadPack // Bad of the request

	mu       sync.Mutex // guards report and what follows
	told     time.Time
	repaired map[string]bool // objects that parity made good
	broken   map[string]bool // packs with damage that is found

	// Of the journals.
	entries int64 // of the segment that is being checked
	named   *named
	spare   chan *named // the other one, once it is looked up
}

func newCheck(ctx context.Context, q Request, v *vault.Vault) *check {
	c := &check{Request: q, ctx: ctx, report: &Report{}, repaired: map[string]bool{}, broken: map[string]bool{}}
	c.Vault = v.Strict(c.repairable)
	return c
}

// Check checks the vault. The error is one that ended the check: of the store,
// of the catalog or of the context; damage is in the report.
func Check(ctx context.Context, q Request) (*Report, error) {
	c := newCheck(ctx, q, q.Vault)
	for _, err := range q.Vault.CheckConfig(ctx) {
		if err := c.found("vault.json", err); err != nil {
			return c.report, err
		}
	}
	keys := q.Vault.CheckKeys(ctx)
	if keys.Count == 0 && len(keys.Problems) == 0 {
		keys.Problems = append(keys.Problems, fmt.Errorf("%s: %w: %w", vault.KeysPrefix, ErrMissing, vault.ErrDamaged))
	}
	c.report.SingleKeys = int64(keys.Single)
	for _, err := range keys.Problems {
		if err := c.found(vault.KeysPrefix, err); err != nil {
			return c.report, err
		}
	}
	// Journals are one chain, and packs are many: they are checked at the same
	// time. What a damaged catalog made of that does not count.
	group, all := errgroup.WithContext(ctx)
	c.ctx = all
	group.Go(func() error { return q.Catalog.Verify(all) })
	group.Go(c.journals)
	group.Go(c.allPacks)
	err := group.Wait()
	slices.SortStableFunc(c.report.Problems, func(a, b Problem) int { return strings.Compare(a.Object, b.Object) })
	return c.report, err
}

// repairable records damage that parity makes good. A pack is one problem: what
// is found of it besides, before or after, says more.
func (c *check) repairable(object string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.repaired[object] {
		return
	}
	c.repaired[object] = true
	if !c.broken[object] {
		c.report.Problems = append(c.report.Problems, Problem{object, err})
	}
}

// found records damage; any other error ends the check.
func (c *check) found(object string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if strings.HasPrefix(object, vault.PacksPrefix) {
			if c.repaired[object] || c.broken[object] {
				c.report.Problems = slices.DeleteFunc(c.report.Problems, func(p Problem) bool { return p.Object == object })
			}
			c.broken[object] = true
		}
		c.report.Problems = append(c.report.Problems, Problem{object, err})
		return nil
	}
	return err
}

// tell needs the lock.
func (c *check) tell(object string) {
	if c.Progress == nil {
		return
	}
	if t := c.Now(); t.Sub(c.told) >= time.Second/10 {
		c.told = t
		c.Progress(object, c.report)
	}
}

// journals reads every journal from its first segment to its last, and looks
// up what it names.
func (c *check) journals() error {
	c.named, c.spare = c.newNamed(), make(chan *named, 1)
	c.spare <- c.newNamed()
	err := c.eachJournal()
	if err == nil {
		err = c.lookUp()
	}
	return cmp.Or(err, (<-c.spare).err) // this waits for what is under way
}

// eachJournal reads every journal, and compares what any device has seen of
// it.
func (c *check) eachJournal() error {
	listed, err := c.Vault.Journals(c.ctx)
	if err != nil {
		return err
	}
	seen, err := c.seen()
	if err != nil {
		return err
	}
	ends := map[seal.ID]uint64{}
	for _, j := range listed {
		id := j.Device
		end, err := c.journal(id, seen[id])
		if errors.Is(err, vault.ErrForeign) {
			if j.Last == 0 {
				continue
			}
			err = fmt.Errorf("%w, with a journal: %w", err, vault.ErrDamaged)
		}
		c.count(vault.JournalPrefix(id), func(r *Report) { r.Devices++ })
		gap := err != nil
		if err := c.found(vault.JournalPrefix(id), err); err != nil {
			return err
		}
		if gap {
			if err := c.afterGap(id, end.Seq+2); err != nil {
				return err
			}
		}
		ends[id] = end.Seq
	}
	for id, heads := range seen {
		last := slices.Max(slices.Collect(maps.Keys(heads)))
		name := vault.SegmentName(id, max(last, 1))
		if ends[id] < last && !c.reported(vault.JournalPrefix(id)) {
			err := fmt.Errorf("%s: %w: %w", name, ErrMissing, vault.ErrDamaged)
			if err := c.found(name, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// seen is what is known of the journals from elsewhere than the store: what
// this device has committed and folded, and what any device has claimed. Seq 0
// has the hash of the card.
func (c *check) seen() (map[seal.ID]map[uint64][]seal.Hash, error) {
	seen := map[seal.ID]map[uint64][]seal.Hash{}
	add := func(h vault.Head) {
		if seen[h.Device] == nil {
			seen[h.Device] = map[uint64][]seal.Hash{}
		}
		seen[h.Device][h.Seq] = append(seen[h.Device][h.Seq], h.Hash)
	}
	add(c.Own)
	devices, err := c.Catalog.Devices()
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		add(d.Head)
		claims, err := c.Catalog.Claims(d.Head.Device)
		if err != nil {
			return nil, err
		}
		for _, h := range claims {
			add(h)
		}
	}
	return seen, nil
}

func (c *check) reported(object string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.report.Problems, func(p Problem) bool { return p.Object == object })
}

// journal checks one journal, with what is seen of it, and returns its last
// head.
func (c *check) journal(id seal.ID, seen map[uint64][]seal.Hash) (vault.Head, error) {
	card, err := c.Vault.ReadCard(c.ctx, id)
	if err != nil {
		return vault.Head{Device: id}, err
	}
	folded, _, err := c.Catalog.Device(id)
	if err != nil {
		return vault.Head{Device: id}, err
	}
	head := vault.Head{Device: id, Hash: card.Hash}
	for {
		name := vault.SegmentName(id, head.Seq+1)
		s, err := c.Vault.ReadSegment(c.ctx, card, head.Seq+1)
		if errors.Is(err, storage.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			break
		}
		if err != nil {
			return head, err
		}
		if s.Previous != head.Hash {
			return head, fmt.Errorf("%s: %w: %w", name, vault.ErrDamaged, catalog.ErrChain)
		}
		for _, hash := range seen[s.Seq] {
			if hash != s.Hash {
				return head, fmt.Errorf("%s: a device has seen another segment there: %w", name, vault.ErrDamaged)
			}
		}
		added := map[seal.ID]bool{} // packs that the segment has named
		err = s.Each(func(_ int, op vault.Operation) error {
			if s.Seq > folded.Head.Seq { // its device goes on: the catalog lacks what this refers to
				return level(name, op)
			}
			if add, ok := op.(*vault.PackAdd); ok {
				if added[add.Random] {
					return nil // only the first PackAdd of a pack counts
				}
				added[add.Random] = true
				if c.named.packs.Full() {
					if err := c.lookUp(); err != nil {
						return err
					}
				}
				return c.named.packs.Add(s.Device, s.Seq, add)
			}
			return c.operation(name, op)
		})
		c.count(name, func(r *Report) { r.Segments, r.Entries = r.Segments+1, r.Entries+c.entries })
		c.entries = 0
		if err != nil {
			return head, err
		}
		head = s.Head
	}
	for o, err := range c.Vault.Store.List(c.ctx, vault.JournalPrefix(id)) {
		if err != nil {
			return head, fmt.Errorf("listing the journal: %w", err)
		}
		_, seq, err := vault.ParseSegmentName(o.Name)
		if err == nil && seq > head.Seq {
			missing := vault.SegmentName(id, head.Seq+1)
			return head, fmt.Errorf("%s: %w, %s is there: %w", missing, ErrMissing, o.Name, vault.ErrDamaged)
		}
	}
	return head, nil
}

// level returns vault.ErrNewer for an operation of a later version.
func level(segment string, op vault.Operation) error {
	if err := vault.CheckLevel(op); err != nil {
		return fmt.Errorf("%s: %w", segment, err)
	}
	return nil
}

// operation checks what an operation refers to.
func (c *check) operation(segment string, op vault.Operation) error {
	if err := level(segment, op); err != nil {
		return err
	}
	put, ok := op.(*vault.Put)
	if !ok {
		return nil
	}
	c.entries++
	if put.Kind != vault.KindFile {
		return nil
	}
	if put.Chunks.Level == 0 && len(put.Chunks.IDs) == 1 {
		c.named.small = append(c.named.small, smallFile{put.Chunks.IDs[0], put.SizeBytes, put.Name, segment})
		if len(c.named.small) == smallBatch {
			return c.lookUp()
		}
		return nil
	}
	return c.content(segment, put.Name, &put.Node)
}

// content checks that the chunks of a file are in packs and make up its size.
func (c *check) content(segment, name string, n *vault.Node) error {
	err := c.Catalog.EachChunk(c.ctx, c.Vault, n, func(seal.Hash, catalog.Address, uint64) error { return nil })
	if errors.Is(err, vault.ErrDamaged) {
		err = fmt.Errorf("%s: %q: %w", segment, name, err)
	}
	return c.found(segment, err)
}
