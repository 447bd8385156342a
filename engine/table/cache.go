package table

import "sync"

// Cache keeps pages that were read, up to a number of bytes. It is safe for
// use by several goroutines and tables.
type Cache struct {
	mu sync.Mutex
	// Fields below are guarded by mu.
	limit, size int
	pages       map[cacheKey]*cached
	ring        []*cached // those that are kept, in no order
	hand        int       // of the clock that goes round the ring
}

type cacheKey struct {
	t      *Table
	offset uint64
}

type cached struct {
	key  cacheKey
	p    *page
	size int
	used bool // since the hand passed
}

// NewCache makes a cache of that many bytes.
func NewCache(limit int) *Cache { return &Cache{limit: limit, pages: map[cacheKey]*cached{}} }

func (c *Cache) get(t *Table, offset uint64) *page {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.pages[cacheKey{t, offset}]
	if e == nil {
		return nil
	}
	e.used = true
	return e.p
}

func (c *Cache) put(t *Table, offset uint64, p *page, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{t, offset}
	if size > c.limit/8 || c.pages[key] != nil {
		return
	}
	for c.size+size > c.limit {
		c.evict()
	}
	e := &cached{key: key, p: p, size: size}
	c.pages[key], c.size = e, c.size+size
	c.ring = append(c.ring, e)
}

// evict drops a page that was not used since the hand passed it last.
func (c *Cache) evict() {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e.used {
			e.used = false
			c.hand++
			continue
		}
		c.drop(c.hand)
		c.hand++ // what takes its place came last: it is not the next to go
		return
	}
}

func (c *Cache) drop(i int) {
	e := c.ring[i]
	delete(c.pages, e.key)
	c.size -= e.size
	last := len(c.ring) - 1
	c.ring[i] = c.ring[last]
	c.ring[last] = nil
	c.ring = c.ring[:last]
}

// Forget drops the pages of a table that is no longer used.
func (c *Cache) Forget(t *Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.ring) - 1; i >= 0; i-- {
		if c.ring[i].key.t == t {
			c.drop(i)
		}
	}
}
