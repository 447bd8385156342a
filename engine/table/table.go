// Package table is immutable sorted tables: keys and values in the order of
// the keys, found with few small reads and without holding the table in
// memory.
//
// It promises that what a table gives is what was written, or ErrDamaged: every
// byte that is used was checked against a checksum that also covers where it
// stands; and that memory does not grow with the table: a reader holds one page
// of each level of the index and what its Cache keeps, a writer one open page
// of each level and the hashes of the keys below one page of the index. The
// package is pure over io.ReaderAt and io.Writer.
//
// The file (integers little-endian; uv as in docs/vault-format.md):
//
//	"holmtab" 1                     8 bytes
//	pages and filters               in the order in which they were filled
//	footer                          40 bytes: u64 offset and u32 length of the root page ‖ u32 levels above the
//	                                leaves ‖ u64 entries ‖ u32 0 ‖ u32 CRC ‖ "holmtend"
//
//	page    entries ‖ u16 offset of each entry in the page ‖ u16 how many ‖ u32 CRC
//	leaf    entry = uv length ‖ key ‖ value, to the next entry
//	level 1 entry = uv length ‖ first key ‖ uv offset ‖ uv length of a leaf; before the entries uv offset and
//	        uv blocks of the filter of all keys below
//	above   entry = uv length ‖ first key ‖ uv offset ‖ uv length of a page of the level below
//	filter  blocks of 64 bytes: 480 bits of a Bloom filter ‖ u32 CRC; a key sets six bits of one block
//
// A page has about 8 KiB, or one entry. The CRC is CRC-32C over the offset in
// the file (u64) and what stands before the CRC. A table that has one leaf has
// no index.
package table

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ErrDamaged is returned when a table does not hold what was written.
var ErrDamaged = errors.New("table is damaged")

const (
	magic      = "holmtab\x01"
	endMagic   = "holmtend"
	footerSize = 40
	// pageTarget is the size in bytes from which on a page is finished.
	pageTarget = 8 << 10
	// maxPage bounds a page that is read: one entry may be as large as the
	// largest operation of a segment.
	maxPage = 17 << 20
	// maxLevels bounds the index: each level divides by at least two.
	maxLevels = 32

	blockSize    = 64
	blockBits    = 8 * (blockSize - crcSize)
	keysPerBlock = 40
	probes       = 6
	readBlocks   = 64 // are read at once
	crcSize      = 4
)

// checksum covers what stands at an offset of the file.
func checksum(offset uint64, b []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], offset)
	return crc32.Update(crc32.Checksum(at[:], t), t, b)
}

// hash is FNV-1a with the finalizer of MurmurHash3, the same on every machine.
func hash(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// blockOf is the block of a filter in which a key sets its bits.
func blockOf(h uint64, blocks int) int { return int(h >> 32 * uint64(blocks) >> 32) }

// bitsOf yields the bits of a key in its block.
func bitsOf(h uint64) (bits [probes]uint32) {
	a, step := uint32(h), uint32(h>>17)|1
	for i := range bits {
		bits[i] = a % blockBits
		a += step
	}
	return bits
}
