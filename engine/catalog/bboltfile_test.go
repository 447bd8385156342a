package catalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// bbolt would take gigabytes for a page that says that it is very long, and
// read outside of the memory of an element that says that it lies elsewhere,
// which the run-time system ends the process for. It does not see them.
func TestBboltNeverSeesAPageThatLiesAboutItsSize(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	s := storeAt(t, dir, 1<<30)
	for n := range 200 {
		err := s.update(func(tx *tx) error { return put(tx, bucketPages, []byte{byte(n)}, bytes.Repeat([]byte{1}, 100)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, overlayDB)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &bboltFile{b: good, seen: map[uint64]bool{}}
	meta := f.newest()
	f.end = binary.NativeEndian.Uint64(meta[40:])
	root := binary.NativeEndian.Uint64(meta[16:])
	if !f.tree(root) || len(f.seen) < 5 {
		t.Fatalf("the whole file has %d pages of data", len(f.seen))
	}
	told := func(what string, at uint64) {
		b := bytes.Clone(good)
		b[at] ^= 0x08
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := checkPages(path); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		if s, err := openStore(dir, []byte("identity")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: opened, %v, %v", what, s != nil, err)
		}
	}
	high := uint64(3) // the byte of 32 bits that is the highest
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		high = 0
	}
	for id := range f.seen {
		at := id * f.size
		told("length of a page", at+12+high)
		if flagsOf(good[at:]) == leafPage {
			told("place of an element", at+pageHead+4+high)
			told("length of a key", at+pageHead+8+high)
			told("length of a value", at+pageHead+12+high)
		}
	}
	// A bucket that lies within a value is a page too: that of the meta data.
	if first := root*f.size + pageHead; flagsOf(good[root*f.size:]) == leafPage {
		e := good[first:]
		value := first + uint64(binary.NativeEndian.Uint32(e[4:])) + uint64(binary.NativeEndian.Uint32(e[8:]))
		if binary.NativeEndian.Uint64(good[value:]) != 0 {
			t.Fatal("the first bucket has a page of its own")
		}
		told("place of an element of a bucket in a value", value+bucketHead+pageHead+4+high)
	}
}
