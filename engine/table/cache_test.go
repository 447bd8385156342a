package table

import (
	"math/rand/v2"
	"testing"
)

// pageSize is the size of the pages of these tests.
const pageSize = 100

// reader reads pages through a cache, as load does.
type reader struct {
	c      *Cache
	misses int
}

func newReader(room int) *reader { return &reader{c: NewCache(pageSize * room)} }

func (r *reader) use(t *Table, offset uint64) {
	if r.c.get(t, offset) == nil {
		r.misses++
		r.c.put(t, offset, &page{}, pageSize)
	}
}

// sound checks that the cache counts what it keeps, and keeps no more than it
// may.
func (r *reader) sound(t *testing.T) {
	t.Helper()
	size := 0
	for _, e := range r.c.ring {
		size += e.size
		if r.c.pages[e.key] != e {
			t.Fatalf("page %d is in the ring and is not found", e.key.offset)
		}
	}
	if size != r.c.size || size > r.c.limit || len(r.c.ring) != len(r.c.pages) {
		t.Fatalf("%d bytes, counted as %d of %d; %d pages, %d in the ring", size, r.c.size, r.c.limit, len(r.c.pages), len(r.c.ring))
	}
}

func TestCacheKeepsWhatIsUsedAfterAScanHasFilledIt(t *testing.T) {
	const room, hot = 40, 20
	r, table := newReader(room), &Table{}
	for i := range uint64(10 * room) {
		r.use(table, 1000+i)
	}
	r.misses = 0
	for range 10 {
		for i := range uint64(hot) {
			r.use(table, i)
		}
	}
	if r.misses != hot {
		t.Errorf("%d misses of %d pages that fit, each used ten times", r.misses, hot)
	}
	r.sound(t)
}

func TestCacheKeepsWhatIsUsedWhileAScanGoesOn(t *testing.T) {
	const room, hot, step = 40, 20, 10
	r, table := newReader(room), &Table{}
	scanned := uint64(0)
	for range 50 {
		for range 2 {
			for i := range uint64(hot) {
				r.use(table, i)
			}
		}
		for range step {
			scanned++
			r.use(table, 1000+scanned)
		}
	}
	if want := hot + int(scanned); r.misses != want {
		t.Errorf("%d misses, want %d: each page once", r.misses, want)
	}
	r.sound(t)
}

func TestCacheLetsGoOfWhatIsUsedNoMore(t *testing.T) {
	const room = 40
	r, table := newReader(room), &Table{}
	for _, from := range []uint64{0, 1000, 2000} { // one set of pages after the other
		r.misses = 0
		for range 10 {
			for i := range uint64(room) {
				r.use(table, from+i)
			}
		}
		if r.misses > 2*room {
			t.Errorf("%d misses of %d pages that fit, each used ten times", r.misses, room)
		}
	}
}

func TestCacheForgetsOneTableAndKeepsTheOther(t *testing.T) {
	const room = 40
	r, gone, stays := newReader(room), &Table{}, &Table{}
	for i := range uint64(room / 2) {
		r.use(gone, i)
		r.use(stays, i)
	}
	r.c.Forget(gone)
	r.sound(t)
	if len(r.c.ring) != room/2 {
		t.Errorf("%d pages are kept, not %d", len(r.c.ring), room/2)
	}
	r.misses = 0
	for i := range uint64(room / 2) {
		r.use(stays, i)
	}
	if r.misses != 0 {
		t.Errorf("%d pages of the other table are gone", r.misses)
	}
	for i := range uint64(room / 2) {
		r.use(gone, i) // the room is free again
	}
	for i := range uint64(room / 2) {
		r.use(stays, i)
	}
	if r.misses != room/2 {
		t.Errorf("%d misses, want %d: only what was forgotten", r.misses, room/2)
	}
}

func TestCacheKeepsWithinItsLimit(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const limit = 4000
	tables := []*Table{{}, {}, {}}
	r := reader{c: NewCache(limit)}
	for n := range 20_000 {
		table, offset, size := tables[random.IntN(3)], random.Uint64N(60), 1+random.IntN(limit/8+10)
		switch {
		case n%1000 == 999:
			r.c.Forget(table)
		case r.c.get(table, offset) == nil:
			r.c.put(table, offset, &page{}, size)
			if kept := r.c.get(table, offset) != nil; kept != (size <= limit/8) {
				t.Fatalf("seed %d: a page of %d bytes is kept: %v", seed, size, kept)
			}
		default:
			r.c.put(table, offset, &page{}, size) // another goroutine has read it too
		}
		r.sound(t)
	}
}
