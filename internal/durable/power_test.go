package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

var errPower = errors.New("the power is off")

// An inode is a file of the disk below: what was written, and how much of it
// a sync has made to stay.
type inode struct{ data, synced []byte }

// A change of a directory that no sync has covered yet: names to set, or to
// remove where the inode is nil. It survives a power cut whole or not at all.
type change map[string]*inode

// plug is a disk in memory that loses power before or after operation cutAt.
type plug struct {
	names   map[string]*inode // what the running system sees
	durable map[string]*inode // what syncDir has confirmed
	pending []change
	ops     int
	cutAt   int
	apply   bool // the operation at cutAt still happens, unconfirmed
	lying   bool // Sync does nothing: the promise must break
}

// step counts an operation: whether it happens, and whether it is confirmed.
func (p *plug) step() (happens bool, err error) {
	p.ops++
	switch {
	case p.ops < p.cutAt:
		return true, nil
	case p.ops == p.cutAt:
		return p.apply, errPower
	}
	return false, errPower
}

func (p *plug) enter(c change) {
	for name, ino := range c {
		if ino == nil {
			delete(p.names, name)
		} else {
			p.names[name] = ino
		}
	}
	p.pending = append(p.pending, c)
}

func (p *plug) create(name string, _ fs.FileMode) (file, error) {
	ino := &inode{}
	happens, err := p.step()
	if happens {
		p.enter(change{name: ino})
	}
	return &plugFile{p, ino}, err
}

func (p *plug) publish(temporary, name string, replace bool) error {
	if p.names[name] != nil && !replace {
		return fs.ErrExist
	}
	happens, err := p.step()
	if !happens {
		return err
	}
	if replace {
		p.enter(change{name: p.names[temporary], temporary: nil})
		return err
	}
	p.enter(change{name: p.names[temporary]})
	p.enter(change{temporary: nil})
	return err
}

func (p *plug) remove(name string) error {
	happens, err := p.step()
	if happens {
		p.enter(change{name: nil})
	}
	return err
}

func (p *plug) syncDir(string) error {
	happens, err := p.step()
	if happens {
		p.durable, p.pending = maps.Clone(p.names), nil
	}
	return err
}

type plugFile struct {
	p   *plug
	ino *inode
}

func (f *plugFile) Write(b []byte) (int, error) {
	happens, err := f.p.step()
	if happens {
		f.ino.data = append(f.ino.data, b...)
	}
	return len(b), err
}

func (f *plugFile) Sync() error {
	happens, err := f.p.step()
	if happens && !f.p.lying {
		f.ino.synced = bytes.Clone(f.ino.data)
	}
	return err
}

func (f *plugFile) Close() error { return nil }

// afterwards calls visit with everything that name may hold when the power
// comes back: every subset of the unsynced changes, and of an unsynced file
// nothing, a half, zeros in its place, or all.
func (p *plug) afterwards(name string, visit func(content string, there bool)) {
	for subset := range 1 << len(p.pending) {
		names := maps.Clone(p.durable)
		for i, c := range p.pending {
			if subset>>i&1 == 0 {
				continue
			}
			for n, ino := range c {
				names[n] = ino
			}
		}
		ino := names[name]
		if ino == nil {
			visit("", false)
			continue
		}
		visit(string(ino.synced), true)
		if len(ino.synced) < len(ino.data) {
			visit(string(ino.data[:len(ino.data)/2]), true)
			visit(strings.Repeat("\x00", len(ino.data)), true)
			visit(string(ino.data), true)
		}
	}
}

// powerCut runs one write with the power lost at an operation, and returns
// the first state that breaks the promise, and whether the write came to its
// end.
func powerCut(p *plug, replace, existing bool) (broken string, done bool) {
	const name, before, after = "dir/name", "what was there before", "what is to be written"
	p.names = map[string]*inode{}
	if existing {
		p.names[name] = &inode{data: []byte(before), synced: []byte(before)}
	}
	p.durable = maps.Clone(p.names)
	err := write(p, name, strings.NewReader(after), 0o600, replace)
	mayBeOld := err != nil
	mayBeNew := err == nil || !errors.Is(err, fs.ErrExist)
	p.afterwards(filepath.FromSlash(name), func(content string, there bool) {
		switch {
		case there && content == after && mayBeNew:
		case there && content == before && existing && mayBeOld:
		case !there && !existing && mayBeOld:
		default:
			broken = fmt.Sprintf("power lost at operation %d (done: %v), write returned %v: the name holds %q (there: %v)",
				p.cutAt, p.apply, err, content, there)
		}
	})
	return broken, p.ops < p.cutAt
}

// sweep cuts the power at every operation of a write and returns the states
// that break the promise.
func sweep(replace, existing, lying bool) (broken []string, operations int) {
	for cut := 1; ; cut++ {
		var done bool
		for _, apply := range []bool{false, true} {
			var b string
			b, done = powerCut(&plug{cutAt: cut, apply: apply, lying: lying}, replace, existing)
			if b != "" {
				broken = append(broken, b)
			}
		}
		if done {
			return broken, cut - 1
		}
	}
}

func TestPowerCutLeavesTheOldOrTheWholeNewContent(t *testing.T) {
	for _, c := range []struct {
		name              string
		replace, existing bool
		atLeast           int // operations, so that an empty sweep cannot pass
	}{
		{"writing a new file", true, false, 5},
		{"replacing a file", true, true, 5},
		{"creating a new file", false, false, 5},
		{"creating where a file is", false, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken, n := sweep(c.replace, c.existing, false)
			for _, b := range broken {
				t.Error(b)
			}
			if n < c.atLeast {
				t.Errorf("only %d operations were cut, expected at least %d", n, c.atLeast)
			}
		})
	}
}

func TestPowerCutOnADiskThatDoesNotSyncBreaksThePromise(t *testing.T) {
	if broken, _ := sweep(true, true, true); len(broken) == 0 {
		t.Error("a disk without syncs kept the promise: the sweep sees nothing")
	}
}
