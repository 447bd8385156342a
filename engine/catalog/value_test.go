package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// fullPack is the pack of fullWorld, as its segment has it.
func fullPack() *vault.PackAdd {
	return &vault.PackAdd{Random: id(3), Epoch: 1, SizeBytes: 1000, Frames: []uint32{40, 40},
		Chunks: []vault.ChunkInfo{{ID: seal.Hash{1}, SizeBytes: vault.FrameSize}, {ID: seal.Hash{2}, SizeBytes: 6}, {ID: seal.Hash{1}, SizeBytes: 5}}}
}

// fullWorld is a catalog with something in every bucket, in its overlay.
func fullWorld(t testing.TB) (*world, *writer) {
	w := newWorld(t)
	a, b := w.device(1), w.device(2)
	a.commit(src(1), fullPack(),
		dir(1, "d", 2), file(2, "f"), file(2, "g"), dir(1, "gone", 3), file(3, "h"), file(4, "lost"),
		&vault.Mark{ID: id(8), Sources: []seal.ID{id(1)}})
	a.commit(file(2, "f"), del(2, "g"), del(1, "gone"), &vault.Mark{ID: id(9), Sources: []seal.ID{id(1)}})
	var long []vault.Operation // a directory of more than one page
	for n := range 80 {
		long = append(long, file(1, fmt.Sprintf("%02d%s", n, strings.Repeat("n", 240))))
	}
	a.commit(long...)
	w.follow(w.c)
	b.claims = []vault.Head{a.head}
	b.commit(src(5))
	w.follow(w.c)
	return w, a
}

// Whatever a value of the catalog says behind a checksum that is right: every
// question is answered, or the catalog is damaged, and a change ends too.
func FuzzValueOfTheCatalog(f *testing.F) {
	w, d := fullWorld(f)
	var items []item
	w.c.overlay.Scan(func(i item) bool {
		items = append(items, i)
		return true
	})
	seen := map[bucket]bool{}
	for n, i := range items {
		seen[bucket(i.key[0])] = true
		value := i.value[:len(i.value)-checksumSize]
		f.Add(uint16(n), value)
		f.Add(uint16(n), []byte(nil))
		f.Add(uint16(n), append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, value...))
		f.Add(uint16(n), value[:len(value)/2])
		if page, err := parsePage(fields{b: value}); err == nil && bucket(i.key[0]) == bucketPages && len(page) > 0 {
			z, a := stored{"z", 1, page[0].node}, stored{"!", 1, page[0].node}
			f.Add(uint16(n), append(appendStored(nil, &z), appendStored(nil, &a)...)) // backwards
		}
	}
	if len(seen) < 13 {
		f.Fatalf("the catalog has something in %d buckets only", len(seen))
	}
	for what, err := range answers(f, w, d) {
		if err != nil {
			f.Fatalf("whole as it is, %s: %v", what, err)
		}
	}
	good := w.c.overlay
	f.Fuzz(func(t *testing.T, n uint16, value []byte) {
		w.c.overlay = good.Copy()
		defer func() { w.c.overlay = good }()
		i := items[int(n)%len(items)]
		w.c.overlay.Set(item{i.key, binary.BigEndian.AppendUint32(append([]byte{}, value...), checksum(i.key, value))})
		for what, err := range answers(t, w, d) {
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("key %x, value %x: %s: %v", i.key, value, what, err)
			}
		}
	})
}

// answers asks a catalog everything.
func answers(t testing.TB, w *world, d *writer) map[string]error {
	t.Helper()
	c, device := w.c, d.card.Device
	_, devices := c.Devices()
	_, _, known := c.Device(device)
	_, claims := c.Claims(id(2))
	_, sources := c.Sources(device)
	_, marks := c.Marks()
	_, chunks := c.Count()
	_, pack := c.Pack(1)
	all := map[string]error{"devices": devices, "device": known, "claims": claims, "sources": sources, "marks": marks, "count": chunks, "pack": pack,
		"packs": c.Packs(func(*vault.Pack) error { return nil }), "verify": c.Verify(t.Context())}
	check := c.PackCheck()
	all["pack check"] = errors.Join(check.Add(device, 1, fullPack()), check.Flush())
	for _, h := range []seal.Hash{{1}, {2}} {
		_, _, err := c.Chunk(h)
		_, list := c.Addresses(h)
		all["chunk"] = errors.Join(all["chunk"], err, list)
	}
	for n := range byte(5) {
		_, _, page := c.Page(device, id(n), "")
		_, _, gone := c.Gone(device, vault.EntryName{Parent: id(1), Name: "gone"})
		history := c.History(device, id(n), 0, func(Version) error { return nil })
		for _, at := range []Position{0, EndOf(1), EndOf(99)} {
			entries := c.Entries(device, id(n), at, func(Entry) error { return nil })
			all["entries"] = errors.Join(all["entries"], page, gone, history, entries)
		}
	}
	return all
}
