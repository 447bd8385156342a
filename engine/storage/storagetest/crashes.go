package storagetest

import (
	"fmt"
	"testing"

	"holm.example/engine/storage"
)

// Crash is one place where the machine stops.
type Crash struct {
	// Write is the write during which it stops, from 1; 0 is the run that is
	// not disturbed.
	Write int
	// Persisted says that this write still happened, unheard of.
	Persisted bool
}

// String is the name of the subtest of that crash.
func (c Crash) String() string {
	switch {
	case c.Write == 0:
		return "undisturbed"
	case c.Persisted:
		return fmt.Sprintf("stopped after write %d", c.Write)
	}
	return fmt.Sprintf("stopped before write %d", c.Write)
}

// Crashes runs something on a clone of a store, first undisturbed, then once
// for each write it did and each of {not persisted, persisted but unheard
// of}: there the store goes away, and run ends with the error this makes.
// run returns the check of what is left, which is given a store that works
// again and holds what was persisted.
//
// What else run needs, such as a data directory, it makes anew each time, for
// itself and its check; it must ask for the same number of writes each time.
func Crashes(t *testing.T, start *Memory, run func(t *testing.T, s storage.Store) (check func(t *testing.T, c Crash, left *Memory))) {
	t.Helper()
	writes := 0
	one := func(c Crash) {
		t.Run(c.String(), func(t *testing.T) {
			var plan Plan
			if c.Write > 0 {
				fault := Gone
				if c.Persisted {
					fault = GoneAfter
				}
				plan = AtWrite(c.Write, fault)
			}
			left := start.Clone()
			f := NewFaulty(left, plan)
			check := run(t, f)
			if c.Write == 0 {
				writes = f.Count(Put) + f.Count(Delete)
			}
			check(t, c, left)
		})
	}
	one(Crash{})
	for n := 1; n <= writes; n++ {
		one(Crash{Write: n})
		one(Crash{Write: n, Persisted: true})
	}
}
