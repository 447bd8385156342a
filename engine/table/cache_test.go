package table

import "testing"

func TestCacheKeepsWhatIsUsedAfterAScanHasFilledIt(t *testing.T) {
	const size, room = 100, 40
	c, table := NewCache(size*room), &Table{}
	use := func(offset uint64) (hit bool) {
		if c.get(table, offset) != nil {
			return true
		}
		c.put(table, offset, &page{}, size)
		return false
	}
	for i := range uint64(10 * room) {
		use(1000 + i)
	}
	misses := 0
	for range 10 {
		for i := range uint64(room / 2) {
			if !use(i) {
				misses++
			}
		}
	}
	if misses > room/2 {
		t.Errorf("%d misses of %d pages that fit, each used ten times", misses, room/2)
	}
}
