// Package upkeep looks after a vault: it checks what is stored.
//
// It promises that Check finds every object that a restore of any mark would
// miss or be refused: it reads every journal anew from the store, compares
// the catalog's memory of packs and chunks with it, and with ReadData opens
// every seal and computes every chunk id. What it finds names the object; a
// catalog that differs is catalog.ErrDamaged, and no damage of the vault. It
// writes nothing.
package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	ReadData bool
	Now      func() time.Time
	// Progress is called at most every tenth of a second; it may be nil.
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
	Problems  []Problem
}

// check is one check under way.
type check struct {
	Request
	ctx    context.Context
	report *Report
	packs  map[string]int64      // object name → size, as listed
	added  map[vault.PackID]bool // packs that a segment has named
	told   time.Time
}

// Check checks the vault. The error is one that ended the check: of the store,
// of the catalog or of the context; damage is in the report.
func Check(ctx context.Context, q Request) (*Report, error) {
	c := &check{Request: q, ctx: ctx, report: &Report{}, packs: map[string]int64{}, added: map[vault.PackID]bool{}}
	if err := q.Catalog.Verify(ctx); err != nil {
		return c.report, err
	}
	for _, err := range q.Vault.CheckConfig(ctx) {
		if err := c.found("vault.json", err); err != nil {
			return c.report, err
		}
	}
	keys, problems := q.Vault.CheckKeys(ctx)
	if keys == 0 && len(problems) == 0 {
		problems = append(problems, fmt.Errorf("%s: %w: %w", vault.KeysPrefix, ErrMissing, vault.ErrDamaged))
	}
	for _, err := range problems {
		if err := c.found(vault.KeysPrefix, err); err != nil {
			return c.report, err
		}
	}
	for o, err := range q.Vault.Store.List(ctx, vault.PacksPrefix) {
		if err != nil {
			return c.report, fmt.Errorf("listing packs: %w", err)
		}
		c.packs[o.Name] = o.SizeBytes
	}
	if err := c.journals(); err != nil {
		return c.report, err
	}
	return c.report, c.allPacks()
}

// found records damage; any other error ends the check.
func (c *check) found(object string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, vault.ErrDamaged) || errors.Is(err, vault.ErrNewer) {
		c.report.Problems = append(c.report.Problems, Problem{object, err})
		return nil
	}
	return err
}

func (c *check) tell(object string) {
	if c.Progress == nil {
		return
	}
	if t := c.Now(); t.Sub(c.told) >= time.Second/10 {
		c.told = t
		c.Progress(object, c.report)
	}
}

// journals reads every journal from its first segment to its last, and
// compares what any device has seen of it.
func (c *check) journals() error {
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
		c.report.Devices++
		if err := c.found(vault.JournalPrefix(id), err); err != nil {
			return err
		}
		ends[id] = end.Seq
	}
	for id, heads := range seen {
		last := slices.Max(slices.Collect(maps.Keys(heads)))
		name := vault.SegmentName(id, max(last, 1))
		if ends[id] < last && !c.reported(vault.JournalPrefix(id)) {
			err := fmt.Errorf("%s: %w: %w", name, ErrMissing, vault.ErrDamaged)
			c.report.Problems = append(c.report.Problems, Problem{name, err})
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
		c.tell(name)
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
		c.report.Segments++
		err = s.Each(func(_ int, op vault.Operation) error {
			if add, ok := op.(*vault.PackAdd); ok && s.Seq <= folded.Head.Seq {
				return c.packAdd(s.Head, add)
			}
			return c.operation(name, op)
		})
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

// packAdd checks that the catalog, through which chunks are found, has a pack
// as its segment names it. Only the first PackAdd of a pack counts.
func (c *check) packAdd(at vault.Head, add *vault.PackAdd) error {
	id := vault.PackID{Device: at.Device, Seq: at.Seq, Random: add.Random}
	if c.added[id] {
		return nil
	}
	c.added[id] = true
	return c.Catalog.CheckPack(at.Device, at.Seq, add)
}

// operation checks what an operation refers to.
func (c *check) operation(segment string, op vault.Operation) error {
	if err := vault.CheckLevel(op); err != nil {
		return fmt.Errorf("%s: %w", segment, err)
	}
	put, ok := op.(*vault.Put)
	if !ok {
		return nil
	}
	c.report.Entries++
	if put.Kind != vault.KindFile {
		return nil
	}
	err := c.Catalog.EachChunk(c.ctx, c.Vault, &put.Node, func(seal.Hash, catalog.Address, uint64) error { return nil })
	if errors.Is(err, vault.ErrDamaged) {
		err = fmt.Errorf("%s: %q: %w", segment, put.Name, err)
	}
	return c.found(segment, err)
}

// allPacks checks the packs that segments name, and counts the others.
func (c *check) allPacks() error {
	count, err := c.Catalog.Count()
	if err != nil {
		return err
	}
	c.report.Chunks = count
	named := map[string]bool{}
	err = c.Catalog.Packs(func(p *vault.Pack) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.report.Packs++
		name := p.ID.Name()
		named[name] = true
		c.tell(name)
		return c.found(name, c.pack(name, p))
	})
	for name := range c.packs {
		if !named[name] {
			c.report.DeadPacks++
		}
	}
	slices.SortStableFunc(c.report.Problems, func(a, b Problem) int { return strings.Compare(a.Object, b.Object) })
	return err
}

// pack checks that a pack is there, with its size, and reads it if asked to.
func (c *check) pack(name string, p *vault.Pack) error {
	size, ok := c.packs[name]
	if !ok {
		return fmt.Errorf("%s: %w: %w", name, ErrMissing, vault.ErrDamaged)
	}
	if uint64(size) != p.SizeBytes {
		return fmt.Errorf("%s: %d bytes, not %d: %w", name, size, p.SizeBytes, vault.ErrDamaged)
	}
	if !c.ReadData {
		return nil
	}
	add, err := c.Vault.ReadTrailer(c.ctx, p.ID, size)
	if err != nil {
		return err
	}
	if add.Epoch != p.Epoch || vault.NewPack(p.ID.Device, p.ID.Seq, add).Lists != p.Lists {
		return fmt.Errorf("%s: trailer and segment disagree: %w", name, vault.ErrDamaged)
	}
	return c.content(name, p, add.Chunks)
}

// content computes the id of every chunk of a pack.
func (c *check) content(name string, p *vault.Pack, chunks []vault.ChunkInfo) error {
	if len(p.Frames) == 0 {
		return nil
	}
	key := c.Vault.Keys.ChunkKey()
	var rest []byte // of a chunk that began in an earlier frame
	err := c.Vault.ReadFrames(c.ctx, p, 0, len(p.Frames)-1, func(i int, data []byte) error {
		c.report.ReadBytes += int64(p.Frames[i])
		c.tell(name)
		for len(chunks) > 0 && len(rest)+len(data) >= int(chunks[0].SizeBytes) {
			n := int(chunks[0].SizeBytes) - len(rest)
			content := data[:n]
			if len(rest) > 0 {
				content = append(rest, data[:n]...)
			}
			if id := chunks[0].ID; key.ID(content) != id {
				return fmt.Errorf("%s: chunk %x has other content: %w", name, id[:8], vault.ErrDamaged)
			}
			data, rest, chunks = data[n:], rest[:0], chunks[1:]
		}
		rest = append(rest, data...)
		return nil
	})
	if err == nil && (len(chunks) > 0 || len(rest) > 0) {
		err = fmt.Errorf("%s: chunks and stream disagree: %w", name, vault.ErrDamaged)
	}
	return err
}
