package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// ofTheObject are errors of reading one object that say nothing about it, nor about the store.
func ofTheObject() []error {
	return []error{syscall.EMFILE, syscall.ESTALE, syscall.EACCES, syscall.ETIMEDOUT, errors.New("failure")}
}

// holes is a store that cannot read parts of an object now.
type holes struct {
	storage.Store
	name  string
	err   error
	parts [][2]int64 // from, to
	asked int        // reads of ranges
}

func (h *holes) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	h.asked++
	for _, p := range h.parts {
		if name == h.name && offset < p[1] && offset+length > p[0] {
			return nil, fmt.Errorf("object %s: %w", name, h.err)
		}
	}
	return h.Store.GetRange(ctx, name, offset, length)
}

// untold is a handle as check has it, of which nothing must be told.
func untold(t *testing.T, v *Vault) *Vault {
	return v.Strict(func(object string, err error) { t.Errorf("of %s is told: %v", object, err) })
}

func TestPackThatCannotBeReadNowIsNeitherJudgedNorRemembered(t *testing.T) {
	for _, why := range ofTheObject() {
		w := newTailed(t, 200_000)
		name, p := w.pack.ID.Name(), w.shapeIn(t, w.pack.ID.Name())
		for what, parts := range map[string][][2]int64{
			"all of it":  {{0, p.size()}},
			"its tables": {{p.tables()[0], p.tables()[0] + 1}, {p.tables()[1], p.tables()[1] + 1}},
		} {
			h := &holes{Store: w.store, name: name, err: why, parts: parts}
			w.v.Store = h
			v := untold(t, w.v)
			sizeErr, tailErr := v.CheckSize(t.Context(), w.pack, int64(w.pack.SizeBytes)-1), v.CheckTail(t.Context(), w.pack)
			for of, err := range map[string]error{"size": sizeErr, "tail": tailErr} {
				if !errors.Is(err, why) || !errors.Is(err, ErrUnread) || errors.Is(err, ErrBeyondParity) {
					t.Errorf("%s of a pack of which %s cannot be read, %v: %v", of, what, why, err)
				}
			}
			h.parts = nil
			if _, err := v.patch(t.Context(), name, int64(w.pack.SizeBytes)); err != nil {
				t.Errorf("after %v of %s: %v", why, what, err)
			}
		}
	}
}

func TestPackWithDamageAndPartsThatCannotBeReadNowIsDamagedOnlyByWhatIsKnown(t *testing.T) {
	why := syscall.EMFILE
	for _, c := range []struct {
		damaged, unread []int
		table           bool  // the first one cannot be read
		check, read     error // of who checks, and of who reads
	}{
		{nil, []int{5}, false, why, nil},
		{[]int{4}, []int{5}, false, why, nil},
		{nil, []int{5, 6}, false, why, nil},
		{[]int{4}, nil, true, why, nil},
		{[]int{4, 5}, []int{6}, false, why, why},
		{[]int{4}, []int{5, 6}, false, why, why},
		{nil, []int{5, 6, 7}, false, why, why},
		{[]int{4, 5, 6}, nil, true, why, why},
		{[]int{4, 5, 6}, nil, false, ErrBeyondParity, ErrBeyondParity},
	} {
		w := newTailed(t, 200_000)
		name, p := w.pack.ID.Name(), w.shapeIn(t, w.pack.ID.Name())
		h := &holes{Store: w.store, name: name, err: why}
		for _, i := range c.unread {
			start, length := p.at(i)
			h.parts = append(h.parts, [2]int64{start, start + length})
		}
		if c.table {
			h.parts = append(h.parts, [2]int64{p.tables()[0], p.tables()[0] + 1})
		}
		bad := get(t, w.store, name)
		for _, i := range c.damaged {
			start, _ := p.at(i)
			bad[start+1] ^= 1
		}
		w.store.Replace(name, bad)
		w.v.Store, w.v.Repaired = h, func(object string, err error) { t.Errorf("%+v: of %s is told: %v", c, object, err) }
		for range 2 {
			if _, err := readStream(t, untold(t, w.v), w.pack); !errors.Is(err, c.check) || !errors.Is(err, ErrDamaged) {
				t.Errorf("%+v: who checks: %v", c, err)
			}
			if stream, err := readStream(t, w.v, w.pack); !errors.Is(err, c.read) || errors.Is(err, ErrBeyondParity) != (c.read == ErrBeyondParity) ||
				err == nil && !bytes.Equal(stream, w.stream) {
				t.Errorf("%+v: who reads: %v", c, err)
			}
		}
		if got := len(w.v.patches.last) > 0; got != (c.check == ErrBeyondParity) {
			t.Errorf("%+v: remembered: %v", c, got)
		}
	}
}

// An SFTP server has one word for all that it cannot do: a bad sector costs nobody what parity has, and is told as what it is.
func TestPartThatAServerCannotReadIsMadeGoodForWhoReadsAndToldToWhoChecks(t *testing.T) {
	w := newTailed(t, 3<<20)
	disk := &sick{Store: w.store, err: errors.New("failure")}
	w.v.Store = disk
	for name := range w.read {
		p := w.shapeIn(t, name)
		disk.name, disk.at = name, p.body/2
		disk.end = disk.at + 16
		if err := w.read[name](untold(t, w.v)); !errors.Is(err, disk.err) || !errors.Is(err, ErrUnread) {
			t.Errorf("%s: who checks: %v", name, err)
		}
		w.v.Repaired = func(object string, err error) { t.Errorf("of %s is told: %v", object, err) }
		if err := w.read[name](w.v); err != nil {
			t.Errorf("%s: who reads: %v", name, err)
		}
		if done, err := w.v.Renew(t.Context(), name); done || name != w.pack.ID.Name() && !errors.Is(err, disk.err) {
			t.Errorf("%s: renewed %v, %v", name, done, err)
		}
	}
}

// unopened is a store that lists an object and cannot get it in one piece.
type unopened struct {
	*holes
	getErr error
}

func (u unopened) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if name == u.name {
		return nil, fmt.Errorf("object %s: %w", name, u.getErr)
	}
	return u.Store.Get(ctx, name, limit)
}

func TestCardOrSegmentThatCannotBeReadAtAllIsNotTriedAtEverySize(t *testing.T) {
	w := newTailed(t, 3000)
	for _, why := range append(ofTheObject(), storage.ErrMedium) {
		for name := range w.read {
			if name == w.pack.ID.Name() {
				continue
			}
			size := w.shapeIn(t, name).size()
			for how, more := range map[string][]byte{"": nil, "with a byte behind it": {0}} {
				good := get(t, w.store, name)
				w.store.Replace(name, append(bytes.Clone(good), more...))
				h := &holes{Store: w.store, name: name, err: why, parts: [][2]int64{{0, size + 1}}}
				w.v.Store = unopened{h, why}
				err := w.read[name](untold(t, w.v))
				// Two readers may look into one object; each reads its tables and shards once.
				if !errors.Is(err, why) || errors.Is(err, ErrDamaged) != (why == storage.ErrMedium) || h.asked > 20 {
					t.Errorf("%s %s, %v: %d reads, %v", name, how, why, h.asked, err)
				}
				w.store.Replace(name, good)
			}
		}
	}
}

func TestObjectThatIsReadInPartsAfterAllIsWhole(t *testing.T) {
	w := newTailed(t, 3000)
	for name := range w.read {
		w.v.Store = unopened{&holes{Store: w.store, name: name}, syscall.EMFILE}
		if err := w.read[name](untold(t, w.v)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatParityMakesOfAPackIsRememberedForItsSizeAlone(t *testing.T) {
	w := newTailed(t, 3000)
	name, body := w.pack.ID.Name(), int64(w.pack.SizeBytes)
	if _, err := w.v.patch(t.Context(), name, body-1); !errors.Is(err, ErrBeyondParity) {
		t.Errorf("as one of another size: %v", err)
	}
	if _, err := w.v.patch(t.Context(), name, body); err != nil {
		t.Errorf("as it is: %v", err)
	}
}

// A store that gives fewer bytes than it was asked for proves nothing.
func TestPackOfWhichAnswersAreCutIsNotJudged(t *testing.T) {
	w := newTailed(t, 200_000)
	w.v.Store = storagetest.NewFaulty(w.store, storagetest.On(storagetest.GetRange, w.pack.ID.Name(), storagetest.Short))
	v := untold(t, w.v)
	if err := v.CheckSize(t.Context(), w.pack, 1); !errors.Is(err, ErrUnread) || errors.Is(err, ErrBeyondParity) {
		t.Errorf("got %v", err)
	}
}
