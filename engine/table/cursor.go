package table

// Cursor walks through the entries of a table in the order of their keys. Keys
// and values that it gives stay valid.
type Cursor struct {
	t    *Table
	path []step // from the root to the leaf; empty: at the end
	err  error
}

// step is a page on the way and the entry in it.
type step struct {
	p *page
	i int
}

// Seek returns a cursor at the first entry whose key is not below key.
func (t *Table) Seek(key []byte) *Cursor {
	c := &Cursor{t: t}
	if c.descend(key, false) && c.leaf().i == c.leaf().p.count() {
		c.up()
	}
	return c
}

// Floor returns a cursor at the last entry whose key is not above key.
func (t *Table) Floor(key []byte) *Cursor {
	c := &Cursor{t: t}
	c.descend(key, true)
	return c
}

// descend fills the path on the way to a key: to the first entry that is not
// below it, perhaps one behind the last of its leaf, or to the last that is
// not above it.
func (c *Cursor) descend(key []byte, floor bool) bool {
	at := c.t.root
	for level := c.t.levels; ; level-- {
		p, err := c.t.load(at, level)
		if err != nil {
			return c.fail(err)
		}
		i, exact := p.search(key)
		if !exact && (floor || level > 0) {
			i--
		}
		if i < 0 && floor {
			c.path = nil
			return false
		}
		i = max(i, 0)
		c.path = append(c.path, step{p, i})
		if level == 0 {
			return true
		}
		at = p.child(i)
	}
}

func (c *Cursor) fail(err error) bool {
	c.err, c.path = err, nil
	return false
}

func (c *Cursor) leaf() *step { return &c.path[len(c.path)-1] }

// up goes from the end of a leaf to the first entry of the next one.
func (c *Cursor) up() {
	depth := len(c.path) - 1
	for depth--; depth >= 0; depth-- {
		if s := &c.path[depth]; s.i+1 < s.p.count() {
			s.i++
			break
		}
	}
	if depth < 0 {
		c.path = nil
		return
	}
	for ; depth < len(c.path)-1; depth++ {
		level := len(c.path) - 2 - depth
		p, err := c.t.load(c.path[depth].p.child(c.path[depth].i), level)
		if err != nil {
			c.fail(err)
			return
		}
		c.path[depth+1] = step{p, 0}
	}
	if c.leaf().p.count() == 0 {
		c.path = nil
	}
}

// Valid reports whether the cursor is at an entry.
func (c *Cursor) Valid() bool { return len(c.path) > 0 }

// Err is the error that ended the walk, or nil.
func (c *Cursor) Err() error { return c.err }

// Next goes on to the next entry.
func (c *Cursor) Next() {
	s := c.leaf()
	if s.i++; s.i == s.p.count() {
		c.up()
	}
}

// Key is the key of the entry.
func (c *Cursor) Key() []byte {
	key, _ := c.leaf().p.key(c.leaf().i)
	return key
}

// Value is the value of the entry.
func (c *Cursor) Value() []byte {
	_, value := c.leaf().p.key(c.leaf().i)
	return value
}
