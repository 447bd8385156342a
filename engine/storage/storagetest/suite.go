package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holm.example/engine/storage"
)

// Place is somewhere objects can be: each call opens it anew, as another
// device would.
type Place func() storage.Store

// SameBytes is the name whose Puts of equal bodies must be told apart. A test
// that wraps the store in faults and in storage.Retry keeps the faults from it.
const SameBytes = "packs/same"

// Suite runs the conformance tests. empty makes a new place without objects.
//
// No test uses a name that is also the directory of another name: what a
// store makes of that is not part of the contract.
func Suite(t *testing.T, empty func(t *testing.T) Place) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Place)
	}{
		{"an object is read back whole by another device", readBack},
		{"a name is given away once", createOnly},
		{"equal bytes do not make a name free", sameBytes},
		{"of many concurrent Puts of one name exactly one succeeds", oneWinner},
		{"the same body can be put again", bodyAgain},
		{"a body that fails leaves no object", bodyFails},
		{"Get refuses an object above the limit", limits},
		{"GetRange gives exactly what it was asked for", ranges},
		{"List is sorted and holds every object once", listOrder},
		{"List yields what begins with the prefix", listPrefix},
		{"List stops when it is told to", listStops},
		{"Delete removes, and what is not there is no error", deletes},
		{"a deleted name can be created again", createAgain},
		{"an object is overwritten by who asks for it", overwrites},
		{"what is not there is ErrNotFound", notFound},
		{"a name that no object can have is ErrName", badNames},
		{"the longest name works", longName},
		{"a big object comes back as it was", bigObject},
		{"a cancelled context ends every operation", cancelled},
		{"the probe finds that it keeps create-only", probe},
		{"the probe removes what killed probes left a day ago", oldProbes},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, empty(t)) })
	}
}

func put(t *testing.T, s storage.Store, name, content string) {
	t.Helper()
	if err := s.Put(t.Context(), name, storage.Body([]byte(content))); err != nil {
		t.Fatalf("Put %s: %v", name, err)
	}
}

func wantContent(t *testing.T, s storage.Store, name, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), name, 1<<20)
	if err != nil || string(got) != want {
		t.Errorf("Get %s: %q, %v, want %q", name, got, err, want)
	}
}

func wantNames(t *testing.T, s storage.Store, prefix string, want ...string) {
	t.Helper()
	var got []string
	for o, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List %q: %v", prefix, err)
		}
		got = append(got, o.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List %q: %q, want %q", prefix, got, want)
	}
}

func readBack(t *testing.T, place Place) {
	for name, content := range map[string]string{
		"vault.json": "{}\n", "keys/0a": "\x00\xff", "devices/0a/journal/000000000001/0007": "seven", "empty": ""} {
		put(t, place(), name, content)
		other := place()
		wantContent(t, other, name, content)
		for o, err := range other.List(t.Context(), name) {
			if err != nil || o != (storage.Object{Name: name, SizeBytes: int64(len(content))}) {
				t.Errorf("listed %+v, %v, want %s of %d bytes", o, err, name, len(content))
			}
		}
		wantNames(t, other, name, name)
	}
}

func createOnly(t *testing.T, place Place) {
	put(t, place(), "packs/a", "first")
	for _, second := range []string{"second", ""} {
		err := place().Put(t.Context(), "packs/a", storage.Body([]byte(second)))
		if !errors.Is(err, storage.ErrExists) {
			t.Errorf("Put of %q over another object: %v, want ErrExists", second, err)
		}
	}
	wantContent(t, place(), "packs/a", "first")
	wantNames(t, place(), "", "packs/a")
}

// sameBytes uses the name SameBytes: whoever asks again after faults may take
// the object for its own.
func sameBytes(t *testing.T, place Place) {
	put(t, place(), SameBytes, "first")
	if err := place().Put(t.Context(), SameBytes, storage.Body([]byte("first"))); !errors.Is(err, storage.ErrExists) {
		t.Errorf("Put of the same bytes: %v, want ErrExists", err)
	}
}

func oneWinner(t *testing.T, place Place) {
	const writers, rounds = 8, 10
	for round := range rounds {
		name := fmt.Sprintf("devices/d/journal/000000000000/%04d", round)
		var group sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			body := storage.Body([]byte(strings.Repeat(fmt.Sprint(w), 4096)))
			store := place()
			group.Go(func() { errs[w] = store.Put(t.Context(), name, body) })
		}
		group.Wait()
		winner := -1
		for w, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Errorf("%s: both %d and %d were told that they created it", name, winner, w)
			case err == nil:
				winner = w
			case !errors.Is(err, storage.ErrExists):
				t.Errorf("%s: writer %d: %v, want ErrExists", name, w, err)
			}
		}
		if winner < 0 {
			t.Fatalf("%s: nobody created it", name)
		}
		wantContent(t, place(), name, strings.Repeat(fmt.Sprint(winner), 4096))
	}
}

func bodyAgain(t *testing.T, place Place) {
	body := storage.Body([]byte("content"))
	if _, err := io.CopyN(io.Discard, body, 3); err != nil { // where a reader stands does not matter
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := place().Put(t.Context(), name, body); err != nil {
			t.Fatal(err)
		}
		wantContent(t, place(), name, "content")
	}
}

// half gives the first bytes of a body and then an error.
type half struct{ err error }

func (h half) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), 1<<16-off)))
	clear(p[:n])
	if n < len(p) {
		return n, h.err
	}
	return n, nil
}

func bodyFails(t *testing.T, place Place) {
	broken := errors.New("the disk of the source is broken")
	err := place().Put(t.Context(), "packs/a", io.NewSectionReader(half{broken}, 0, 1<<17))
	if !errors.Is(err, broken) {
		t.Errorf("Put: %v, want the error of the body", err)
	}
	if _, err := place().Get(t.Context(), "packs/a", 1<<20); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
	wantNames(t, place(), "")
	put(t, place(), "packs/a", "whole")
	wantContent(t, place(), "packs/a", "whole")
}

func limits(t *testing.T, place Place) {
	put(t, place(), "a", "12345")
	for limit, want := range map[int64]error{0: storage.ErrTooLarge, 4: storage.ErrTooLarge, 5: nil, 1 << 40: nil} {
		if _, err := place().Get(t.Context(), "a", limit); !errors.Is(err, want) {
			t.Errorf("Get with limit %d: %v, want %v", limit, err, want)
		}
	}
}

func ranges(t *testing.T, place Place) {
	put(t, place(), "a", "0123456789")
	for _, c := range []struct {
		offset, length int64
		want           string
		err            error
	}{
		{0, 10, "0123456789", nil},
		{0, 1, "0", nil},
		{9, 1, "9", nil},
		{3, 4, "3456", nil},
		{5, 0, "", nil},
		{0, 11, "", storage.ErrShort},
		{9, 2, "", storage.ErrShort},
		{10, 1, "", storage.ErrShort},
		{11, 1, "", storage.ErrShort},
		{1 << 40, 1, "", storage.ErrShort},
		{1, 1<<63 - 1, "", storage.ErrShort},
	} {
		got, err := place().GetRange(t.Context(), "a", c.offset, c.length)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%d bytes at %d: %q, %v, want %q, %v", c.length, c.offset, got, err, c.want, c.err)
		}
	}
	for _, c := range [][2]int64{{-1, 1}, {0, -1}, {-1 << 63, 1}} {
		if got, err := place().GetRange(t.Context(), "a", c[0], c[1]); err == nil {
			t.Errorf("%d bytes at %d: %q, want an error", c[1], c[0], got)
		}
	}
}

func listOrder(t *testing.T, place Place) {
	// A walk of directories gives another order than the names have: '-' and
	// '.' sort before '/', '0' after it.
	names := []string{"a-/y", "a.b", "a/b-", "a/b/c", "a/b0", "a0", "b", "b-1", "b.1/z", "b0/x"}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(names)) {
		put(t, place(), names[i], "x")
	}
	wantNames(t, place(), "", slices.Sorted(slices.Values(names))...)
}

func listPrefix(t *testing.T, place Place) {
	for _, name := range []string{"packs/d1/000000000001/0001-aa", "packs/d1/000000000001/0001-ab", "packs/d1/000000000001/0002-aa",
		"packs/d1/000000000002/0001-aa", "packs/d2/000000000001/0001-aa", "keys/d1-1", "keys/d1-10", "keys/d10-1"} {
		put(t, place(), name, "x")
	}
	for prefix, want := range map[string][]string{
		"packs/d1/000000000001/0001-":    {"packs/d1/000000000001/0001-aa", "packs/d1/000000000001/0001-ab"},
		"packs/d1/000000000002":          {"packs/d1/000000000002/0001-aa"},
		"packs/d2/":                      {"packs/d2/000000000001/0001-aa"},
		"keys/d1-":                       {"keys/d1-1", "keys/d1-10"},
		"keys/d1-1":                      {"keys/d1-1", "keys/d1-10"},
		"key":                            {"keys/d1-1", "keys/d1-10", "keys/d10-1"},
		"keys/e":                         nil,
		"packs/d1/000000000001/0001-aa/": nil,
		"nothing/":                       nil,
		"../":                            nil,
		"/":                              nil,
	} {
		wantNames(t, place(), prefix, want...)
	}
}

func listStops(t *testing.T, place Place) {
	for _, name := range []string{"a/1", "a/2", "b/3"} {
		put(t, place(), name, "x")
	}
	n := 0
	for _, err := range place().List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d objects before the break", n)
	}
}

func deletes(t *testing.T, place Place) {
	put(t, place(), "a/1", "one")
	put(t, place(), "a/2", "two")
	for range 2 { // the second time it is not there
		if err := place().Delete(t.Context(), "a/1"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		wantNames(t, place(), "", "a/2")
	}
	if err := place().Delete(t.Context(), "b/never"); err != nil {
		t.Errorf("Delete of what never was: %v", err)
	}
	wantContent(t, place(), "a/2", "two")
}

func createAgain(t *testing.T, place Place) {
	for _, content := range []string{"first", "second"} {
		put(t, place(), "keys/a", content)
		wantContent(t, place(), "keys/a", content)
		if err := place().Delete(t.Context(), "keys/a"); err != nil {
			t.Fatal(err)
		}
	}
}

// overwrites has a repair's road: longer, shorter, and where nothing is.
func overwrites(t *testing.T, place Place) {
	put(t, place(), "devices/a/card", "the first")
	for _, content := range []string{"another that is longer", "short", "short"} {
		if err := storage.Overwrite(t.Context(), place(), "devices/a/card", storage.Body([]byte(content))); err != nil {
			t.Fatalf("Overwrite: %v", err)
		}
		wantContent(t, place(), "devices/a/card", content)
	}
	if err := storage.Overwrite(t.Context(), place(), "devices/b/card", storage.Body([]byte("new"))); err != nil {
		t.Fatalf("Overwrite where nothing is: %v", err)
	}
	wantContent(t, place(), "devices/b/card", "new")
	wantNames(t, place(), "", "devices/a/card", "devices/b/card")
	err := place().Put(t.Context(), "devices/a/card", storage.Body([]byte("other")))
	if !errors.Is(err, storage.ErrExists) {
		t.Errorf("Put over it: %v, want ErrExists", err)
	}
}

func notFound(t *testing.T, place Place) {
	put(t, place(), "a/1", "x")
	for _, name := range []string{"a/2", "b", "b/c/d", "a", "a/1/below"} {
		if _, err := place().Get(t.Context(), name, 10); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get %s: %v, want ErrNotFound", name, err)
		}
		if _, err := place().GetRange(t.Context(), name, 0, 1); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("GetRange %s: %v, want ErrNotFound", name, err)
		}
	}
	if err := place().Delete(t.Context(), "a/1/below"); err != nil {
		t.Errorf("Delete below an object: %v", err)
	}
	wantNames(t, place(), "", "a/1")
}

func badNames(t *testing.T, place Place) {
	put(t, place(), "a", "x")
	long := strings.Repeat("a", storage.MaxName+1)
	for _, name := range []string{"", "/a", "a/", "a//b", ".", "..", "../a", "b/../a", ".hidden", "a/.b", "A", "ä", "a b", "a\x00", "a\\b", "a:b",
		"a\n", "~", "a*", long} {
		if err := place().Put(t.Context(), name, storage.Body([]byte("y"))); !errors.Is(err, storage.ErrName) {
			t.Errorf("Put %.40q: %v, want ErrName", name, err)
		}
		if _, err := place().Get(t.Context(), name, 10); !errors.Is(err, storage.ErrName) {
			t.Errorf("Get %.40q: %v, want ErrName", name, err)
		}
		if _, err := place().GetRange(t.Context(), name, 0, 1); !errors.Is(err, storage.ErrName) {
			t.Errorf("GetRange %.40q: %v, want ErrName", name, err)
		}
		if err := place().Delete(t.Context(), name); !errors.Is(err, storage.ErrName) {
			t.Errorf("Delete %.40q: %v, want ErrName", name, err)
		}
	}
	wantNames(t, place(), "", "a")
	wantContent(t, place(), "a", "x")
}

func longName(t *testing.T, place Place) {
	// Elements of 100 bytes: file systems and SFTP servers take up to 255.
	element := strings.Repeat("0123456789", 10) + "/"
	name := strings.Repeat(element, storage.MaxName/len(element)) + strings.Repeat("z", storage.MaxName%len(element))
	put(t, place(), name, "x")
	wantContent(t, place(), name, "x")
	wantNames(t, place(), "", name)
}

func bigObject(t *testing.T, place Place) {
	big := make([]byte, 9<<20+1) // more than one part of a multipart upload
	source := rand.NewChaCha8([32]byte{'b', 'i', 'g'})
	_, _ = source.Read(big) // never fails
	if err := place().Put(t.Context(), "packs/big", storage.Body(big)); err != nil {
		t.Fatal(err)
	}
	got, err := place().Get(t.Context(), "packs/big", int64(len(big)))
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("Get: %d bytes, %v", len(got), err)
	}
	part, err := place().GetRange(t.Context(), "packs/big", 8<<20-3, 7)
	if err != nil || !bytes.Equal(part, big[8<<20-3:8<<20+4]) {
		t.Errorf("GetRange across a border: % x, %v", part, err)
	}
}

func cancelled(t *testing.T, place Place) {
	put(t, place(), "a/1", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := place().Get(ctx, "a/1", 10)
	_, rangeErr := place().GetRange(ctx, "a/1", 0, 1)
	var listErr error
	for _, err := range place().List(ctx, "a/") {
		listErr = err
	}
	for what, err := range map[string]error{
		"Put":      place().Put(ctx, "a/2", storage.Body([]byte("x"))),
		"Get":      getErr,
		"GetRange": rangeErr,
		"List":     listErr,
		"Delete":   place().Delete(ctx, "a/1"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	wantNames(t, place(), "", "a/1")
}

func probe(t *testing.T, place Place) {
	if err := storage.Probe(t.Context(), place(), time.Unix(1_700_000_000, 0)); err != nil {
		t.Errorf("Probe: %v", err)
	}
	wantNames(t, place(), "")
}

// leftProbe leaves the object of a probe that was killed at a time.
func leftProbe(t *testing.T, place Place, when time.Time) (name string) {
	t.Helper()
	killed := NewFaulty(place(), func(op Operation) Fault {
		if op.Verb == Delete {
			name = op.Name
			return Gone
		}
		return None
	})
	if err := storage.Probe(t.Context(), killed, when); !errors.Is(err, ErrGone) || name == "" {
		t.Fatalf("killed Probe of %s: %v", name, err)
	}
	return name
}

func oldProbes(t *testing.T, place Place) {
	now := time.Unix(1_700_000_000, 0)
	put(t, place(), "probe/of-somebody-else", "x")
	leftProbe(t, place, now.Add(-25*time.Hour))
	young := leftProbe(t, place, now.Add(-23*time.Hour))
	if err := storage.Probe(t.Context(), place(), now); err != nil {
		t.Errorf("Probe: %v", err)
	}
	wantNames(t, place(), "", young, "probe/of-somebody-else")
}
