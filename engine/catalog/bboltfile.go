package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
)

// What bbolt writes: the head of a page, and its flags.
const (
	pageHead     = 16 // id, flags, count, overflow
	elementSize  = 16
	bucketHead   = 16 // root, sequence
	metaSize     = 64
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 1
	bboltMagic   = 0xED0CDAED
	manyPages    = 0xFFFF // the count stands in the first element
)

// bboltFile is a file of bbolt as bytes. bbolt believes what it reads: a page
// that says it is longer than it is costs gigabytes of memory, one whose
// elements lie outside of it the whole process. So the file is looked at
// before bbolt sees it.
type bboltFile struct {
	b    []byte
	size uint64 // of a page
	end  uint64 // first page that is not used
	seen map[uint64]bool
}

// checkPages returns ErrDamaged unless every page that the newest state of a
// bbolt file uses lies within the file, is used once, and holds its elements.
// A file that is not there, or that bbolt itself refuses, is not its affair.
// Nobody else may have the directory open: what is being written looks damaged.
func checkPages(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) && pathErr.Op == "open" {
		return fmt.Errorf("opening the catalog: %w", err)
	}
	if err != nil { // as of a table
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	f := &bboltFile{b: b, seen: map[uint64]bool{}}
	meta := f.newest()
	if meta == nil {
		return nil
	}
	u := func(at int) uint64 { return binary.NativeEndian.Uint64(meta[at:]) }
	f.end = u(40)
	if !f.freelist(u(32)) || !f.tree(u(16)) {
		return fmt.Errorf("%s: pages: %w", overlayDB, ErrDamaged)
	}
	return nil
}

// newest is the meta page that bbolt goes by; nil: none is whole.
func (f *bboltFile) newest() (meta []byte) {
	for _, size := range []int{0, 4096, os.Getpagesize()} { // the second one lies after the first
		if len(f.b) < size+pageHead+metaSize {
			continue
		}
		m := f.b[size+pageHead:][:metaSize]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8]) // never fails
		pageSize := binary.NativeEndian.Uint32(m[8:])
		if binary.NativeEndian.Uint32(m) != bboltMagic || binary.NativeEndian.Uint64(m[56:]) != sum.Sum64() || pageSize < 512 {
			continue
		}
		if meta == nil || binary.NativeEndian.Uint64(m[48:]) > binary.NativeEndian.Uint64(meta[48:]) {
			meta, f.size = m, uint64(pageSize)
		}
	}
	return meta
}

// page is a page with what overflows of it; nil if it is not there, or has
// been used already.
func (f *bboltFile) page(id uint64) []byte {
	pages := uint64(len(f.b)) / f.size
	if id < 2 || id >= min(f.end, pages) {
		return nil
	}
	b := f.b[id*f.size:]
	more := uint64(binary.NativeEndian.Uint32(b[12:]))
	if binary.NativeEndian.Uint64(b) != id || id+more >= min(f.end, pages) {
		return nil
	}
	for n := range more + 1 {
		if f.seen[id+n] {
			return nil
		}
		f.seen[id+n] = true
	}
	return b[:(more+1)*f.size]
}

func flagsOf(page []byte) uint16 { return binary.NativeEndian.Uint16(page[8:]) }
func countOf(page []byte) uint64 { return uint64(binary.NativeEndian.Uint16(page[10:])) }

// freelist reports whether the list of free pages is one; they count as used.
func (f *bboltFile) freelist(id uint64) bool {
	page := f.page(id)
	if page == nil || flagsOf(page) != freelistPage {
		return false
	}
	count, ids := countOf(page), page[pageHead:]
	if count == manyPages {
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return false
	}
	for ; count > 0; count, ids = count-1, ids[8:] {
		free := binary.NativeEndian.Uint64(ids)
		if free < 2 || free >= f.end || f.seen[free] {
			return false
		}
		f.seen[free] = true
	}
	return true
}

// tree reports whether a page and all that is below it are whole.
func (f *bboltFile) tree(id uint64) bool {
	page := f.page(id)
	return page != nil && f.elements(page)
}

// elements reports whether the elements of a page, which may be one within a
// value, lie in it, and what they refer to is whole.
func (f *bboltFile) elements(page []byte) bool {
	count, size := countOf(page), uint64(len(page))
	if flags := flagsOf(page); flags != leafPage && flags != branchPage || pageHead+count*elementSize > size {
		return false
	}
	for n := range count {
		at := pageHead + n*elementSize
		e := page[at:][:elementSize]
		u := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(e[n:])) }
		if flagsOf(page) == branchPage {
			if at+u(0)+u(4) > size || !f.tree(binary.NativeEndian.Uint64(e[8:])) {
				return false
			}
			continue
		}
		value := at + u(4) + u(8)
		if value+u(12) > size || u(0)&bucketFlag != 0 && !f.bucket(page[value:][:u(12)]) {
			return false
		}
	}
	return true
}

// bucket reports whether a bucket is whole, in pages of its own or within its
// value.
func (f *bboltFile) bucket(value []byte) bool {
	if len(value) < bucketHead {
		return false
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return f.tree(root)
	}
	return len(value) >= bucketHead+pageHead && f.elements(value[bucketHead:])
}
