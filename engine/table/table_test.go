package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// model makes a table of that many random entries.
func model(t testing.TB, seed uint64, n int) (keys []string, values map[string]string, file []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	values = map[string]string{}
	for len(values) < n {
		key := make([]byte, 1+r.IntN(40))
		for i := range key {
			key[i] = byte(r.IntN(5)) // many share a beginning
		}
		if r.IntN(2) == 0 {
			key = binary.BigEndian.AppendUint64(key, r.Uint64())
		}
		value := make([]byte, r.IntN(60))
		if r.IntN(500) == 0 {
			value = make([]byte, 100_000) // larger than a page
		}
		for i := range value {
			value[i] = byte(r.Uint32())
		}
		values[string(key)] = string(value)
	}
	keys = slices.Sorted(maps.Keys(values))
	return keys, values, build(t, keys, values)
}

func build(t testing.TB, keys []string, values map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, k := range keys {
		if err := w.Add([]byte(k), []byte(values[k])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != w.SizeBytes() {
		t.Errorf("%d bytes, said to be %d", b.Len(), w.SizeBytes())
	}
	return b.Bytes()
}

func open(t testing.TB, file []byte, cache int) *Table {
	t.Helper()
	table, err := Open(bytes.NewReader(file), int64(len(file)), NewCache(cache))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestATableGivesWhatWasWritten(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 5_000, 60_000} {
		keys, values, file := model(t, uint64(n), n)
		for _, cache := range []int{0, 1 << 20} {
			table := open(t, file, cache)
			if table.entries != uint64(n) {
				t.Errorf("%d entries, not %d", table.entries, n)
			}
			for _, k := range keys {
				value, known, err := table.Get([]byte(k))
				if err != nil || !known || string(value) != values[k] {
					t.Fatalf("Get %x: %d bytes, known %v, %v", k, len(value), known, err)
				}
			}
			if err := table.Verify(t.Context()); err != nil {
				t.Errorf("%d entries: %v", n, err)
			}
		}
	}
}

// stopping cancels with the first read.
type stopping struct {
	io.ReaderAt
	stop  func()
	reads int
}

func (s *stopping) ReadAt(b []byte, at int64) (int, error) {
	s.stop()
	s.reads++
	return s.ReaderAt.ReadAt(b, at)
}

func TestVerifyEndsWithItsContextAndNotWithTheTable(t *testing.T) {
	_, _, file := model(t, 5, 60_000)
	reads := func(cancelled bool) (int, error) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		r := &stopping{ReaderAt: bytes.NewReader(file), stop: func() {}}
		table, err := Open(r, int64(len(file)), NewCache(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if r.reads = 0; cancelled {
			r.stop = stop
		}
		err = table.Verify(ctx)
		return r.reads, err
	}
	all, err := reads(false)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := reads(true); !errors.Is(err, context.Canceled) || n > all/10 {
		t.Errorf("%d of %d reads after the end of the context, %v", n, all, err)
	}
}

func TestKeysThatAreNotThereAreNotFound(t *testing.T) {
	keys, values, file := model(t, 3, 5_000)
	table := open(t, file, 1<<20)
	for i, k := range keys {
		for _, other := range []string{k + "\x00", k[:len(k)-1], fmt.Sprint(i)} {
			if _, there := values[other]; there {
				continue
			}
			if _, known, err := table.Get([]byte(other)); known || err != nil {
				t.Errorf("Get %x: known %v, %v", other, known, err)
			}
		}
	}
}

func TestCursorsStartWhereTheyAreAskedTo(t *testing.T) {
	for _, n := range []int{0, 1, 300, 20_000} {
		keys, _, file := model(t, uint64(n)+9, n)
		table := open(t, file, 1<<16)
		wanted := []string{"", "\xff"}
		for i := 0; i < n; i += 1 + n/500 {
			wanted = append(wanted, keys[i], keys[i]+"\x00", keys[i][:len(keys[i])-1])
		}
		for _, want := range wanted {
			at := sort.SearchStrings(keys, want)
			c := table.Seek([]byte(want))
			for _, k := range keys[at:min(at+400, n)] {
				if !c.Valid() || string(c.Key()) != k {
					t.Fatalf("Seek %x: not at %x, %v", want, k, c.Err())
				}
				c.Next()
			}
			if at+400 >= n && c.Valid() {
				t.Errorf("Seek %x: goes on behind the end", want)
			}
			if at < n && keys[at] == want {
				at++
			}
			f := table.Floor([]byte(want))
			if f.Valid() != (at > 0) || f.Valid() && string(f.Key()) != keys[at-1] || f.Err() != nil {
				t.Errorf("Floor %x: %v, %v", want, f.Valid(), f.Err())
			}
		}
	}
}

func TestKeysThatDoNotRiseAreRefused(t *testing.T) {
	w := NewWriter(&bytes.Buffer{})
	if err := w.Add([]byte("b"), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Add([]byte("b"), nil); err == nil {
		t.Error("the same key twice")
	}
	if err := w.Finish(); err == nil {
		t.Error("a table is finished after an error")
	}
}

func TestAFilterSparesReadingALeaf(t *testing.T) {
	_, values, file := model(t, 5, 60_000)
	counted := &counter{r: bytes.NewReader(file)}
	table, err := Open(counted, int64(len(file)), NewCache(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 11_000 {
		if i == 1_000 {
			counted.large = 0 // the index is in the cache now
		}
		key := binary.BigEndian.AppendUint64([]byte{byte(r.IntN(5))}, r.Uint64())
		if _, there := values[string(key)]; there {
			continue
		}
		if _, known, err := table.Get(key); known || err != nil {
			t.Fatal(known, err)
		}
	}
	if counted.large > 400 {
		t.Errorf("%d leaves were read for 10,000 keys that are not there", counted.large)
	}
}

// counter counts the reads that are larger than a block of a filter.
type counter struct {
	r     *bytes.Reader
	large int
}

func (c *counter) ReadAt(b []byte, offset int64) (int, error) {
	if len(b) > blockSize {
		c.large++
	}
	return c.r.ReadAt(b, offset)
}

func TestEveryFlippedByteIsFoundOrDoesNoHarm(t *testing.T) {
	keys, values, file := model(t, 6, 300)
	for at := range file {
		bad := bytes.Clone(file)
		bad[at] ^= 1 << (at % 8)
		table, err := Open(bytes.NewReader(bad), int64(len(bad)), NewCache(0))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d: %v", at, err)
			}
			continue
		}
		c := table.Seek(nil)
		for i := 0; c.Valid(); i++ {
			if string(c.Key()) != keys[i] {
				t.Fatalf("byte %d: another key", at)
			}
			if string(c.Value()) != values[keys[i]] {
				t.Fatalf("byte %d: another value", at)
			}
			c.Next()
		}
		if c.Err() != nil && !errors.Is(c.Err(), ErrDamaged) {
			t.Fatalf("byte %d: %v", at, c.Err())
		}
	}
	for n := range len(file) {
		if _, err := Open(bytes.NewReader(file[:n]), int64(n), NewCache(0)); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, n := range []int{0, 1, 200, 1_000} {
		_, _, file := model(f, uint64(n), n)
		f.Add(file, []byte("key"))
	}
	f.Fuzz(func(t *testing.T, file, key []byte) {
		table, err := Open(bytes.NewReader(file), int64(len(file)), NewCache(1<<12))
		if err == nil {
			_, _, err = table.Get(key)
		}
		if err == nil {
			c := table.Seek(key)
			for range 1_000 {
				if !c.Valid() {
					break
				}
				c.Next()
			}
			err = errors.Join(c.Err(), table.Floor(key).Err())
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
}
