package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// fixedWithParity is the vault of fixed, with parity.
func fixedWithParity(t testing.TB) (*Vault, *storagetest.Memory) {
	t.Helper()
	plain, store := fixed(t)
	v, err := New(store, plain.Config.WithParity(), plain.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return v, store
}

// A tailed is a small vault with parity, and how its objects are read.
type tailed struct {
	v       *Vault
	store   *storagetest.Memory
	read    map[string]func(*Vault) error // by the names of the objects
	stream  []byte                        // of the pack
	pack    *Pack
	card    *Card
	key     ed25519.PrivateKey
	segment *Segment
}

func newTailed(t *testing.T, packSize int) *tailed {
	t.Helper()
	w := &tailed{}
	w.v, w.store = fixedWithParity(t)
	w.card, w.key = fixedDevice(t, w.v, 100)
	other, _ := fixedDevice(t, w.v, 150)
	id := PackID{w.card.Device, 1, seal.ID{2}}
	chunks := [][]byte{random(1, packSize), []byte("small")}
	add := putPack(t, w.v, id, chunks...)
	w.stream, w.pack = bytes.Join(chunks, nil), NewPack(id.Device, id.Seq, add)
	w.segment = putSegment(t, w.v, w.key, Head{w.card.Device, 0, w.card.Hash}, append([]Operation{add}, everyOperation()...)...)
	fence, err := w.v.Whole(w.v.FormatFence(&Fence{Head: Head{Device: other.Device, Seq: 1}, Previous: other.Hash, By: w.segment.Head}, w.key))
	if err != nil {
		t.Fatal(err)
	}
	fenceName := SegmentName(other.Device, 1)
	w.store.Replace(fenceName, fence)
	w.read = map[string]func(*Vault) error{
		CardName(w.card.Device): func(v *Vault) error {
			c, err := v.ReadCard(t.Context(), w.card.Device)
			if err == nil && *c != *w.card {
				t.Errorf("card %+v, want %+v", c, w.card)
			}
			return err
		},
		SegmentName(w.card.Device, 1): func(v *Vault) error {
			s, err := v.ReadSegment(t.Context(), w.card, 1)
			if err == nil && (s.Hash != w.segment.Hash || s.count != 1+len(everyOperation())) {
				t.Errorf("segment %+v, want %+v", s.Head, w.segment.Head)
			}
			return errors.Join(err, v.CheckHead(t.Context(), w.segment.Head))
		},
		fenceName: func(v *Vault) error {
			s, err := v.ReadSegment(t.Context(), other, 1)
			if err == nil && (!s.Fence || s.Seq != 1) {
				t.Errorf("fence %+v", s)
			}
			return err
		},
		id.Name(): func(v *Vault) error {
			stream, err := readStream(t, v, w.pack)
			if err == nil && !bytes.Equal(stream, w.stream) {
				t.Error("another stream is read")
			}
			err = errors.Join(err, v.CheckSize(t.Context(), w.pack, int64(len(get(t, w.store, id.Name())))))
			trailer, terr := v.ReadTrailer(t.Context(), id, v.ObjectSize(int64(add.SizeBytes)))
			if terr == nil && fmt.Sprint(trailer) != fmt.Sprint(add) {
				t.Errorf("trailer %+v, want %+v", trailer, add)
			}
			return errors.Join(err, terr, v.CheckTail(t.Context(), w.pack))
		},
	}
	return w
}

// look reads an object as check does and returns what was told of it.
func (w *tailed) look(t *testing.T, name string) (told []error, err error) {
	t.Helper()
	v := w.v.Strict(func(object string, err error) {
		if object != name || !strings.Contains(err.Error(), name) || !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrRepairable) {
			t.Errorf("of %s is told: %s: %v", name, object, err)
		}
		told = append(told, err)
	})
	err = w.read[name](v)
	return told, err
}

// shapeIn is the shape of an object in the store.
func (w *tailed) shapeIn(t *testing.T, name string) parityShape {
	t.Helper()
	body, err := ParityBody(int64(len(get(t, w.store, name))))
	if err != nil {
		t.Fatal(err)
	}
	return shapeOf(body)
}

func TestEveryFlippedByteOfAnObjectWithParityIsToldAndCostsNothing(t *testing.T) {
	w := newTailed(t, 3000)
	for name := range w.read {
		good := get(t, w.store, name)
		if told, err := w.look(t, name); err != nil || told != nil {
			t.Fatalf("%s, undamaged: %v, %v", name, told, err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			w.store.Replace(name, bad)
			if told, err := w.look(t, name); err != nil || len(told) == 0 {
				t.Errorf("%s, byte %d: told %v, error %v", name, i, told, err)
			}
		}
		w.store.Replace(name, good)
	}
}

func TestTwoShardsOfAnyObjectMayBeLostAndNotThree(t *testing.T) {
	w := newTailed(t, 200_000)
	spoil := map[string]func([]byte){
		"zeroed":  func(b []byte) { clear(b) },
		"flipped": func(b []byte) { b[len(b)/2] ^= 4 },
	}
	for name := range w.read {
		good, p := get(t, w.store, name), w.shapeIn(t, name)
		for how, spoil := range spoil {
			damage := func(shards ...int) {
				bad := bytes.Clone(good)
				for _, i := range shards {
					start, length := p.at(i)
					spoil(bad[start : start+length])
				}
				w.store.Replace(name, bad)
			}
			for i := range p.shards() {
				damage(i, (i+1)%p.shards())
				if told, err := w.look(t, name); err != nil || len(told) == 0 {
					t.Fatalf("%s, two shards from %d on %s: told %v, %v", name, i, how, told, err)
				}
			}
			damage(0, p.data, p.data+1)
			_, err := w.look(t, name)
			if !errors.Is(err, ErrDamaged) || errors.Is(err, ErrRepairable) || !errors.Is(err, ErrBeyondParity) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, three shards %s: %v", name, how, err)
			}
		}
		w.store.Replace(name, good)
	}
}

// The tail carries nothing that is read, and the size of the body of a card or
// segment is found without it.
func TestObjectCutInItsTailOrWithAByteBehindItIsReadWhole(t *testing.T) {
	w := newTailed(t, 3000)
	for name := range w.read {
		good, p := get(t, w.store, name), w.shapeIn(t, name)
		for cut := int(p.body); cut <= len(good)+1; cut++ {
			bad := append(bytes.Clone(good), 0)[:cut]
			if cut == len(good) {
				continue
			}
			w.store.Replace(name, bad)
			if told, err := w.look(t, name); err != nil || len(told) == 0 {
				t.Fatalf("%s of %d bytes cut at %d: told %v, %v", name, len(good), cut, told, err)
			}
		}
		w.store.Replace(name, good)
	}
}

// A damaged body in an object of another size is still found in it.
func TestObjectDamagedAndCutInTheLastTableIsReadWhole(t *testing.T) {
	w := newTailed(t, 3000)
	for name := range w.read {
		good, p := get(t, w.store, name), w.shapeIn(t, name)
		bad := bytes.Clone(good[:p.tables()[1]+5])
		bad[p.body/2] ^= 1
		w.store.Replace(name, bad)
		if told, err := w.look(t, name); err != nil || len(told) == 0 {
			t.Errorf("%s: told %v, %v", name, told, err)
		}
		w.store.Replace(name, good)
	}
}

// sick is a store on a disk with a bad sector.
type sick struct {
	storage.Store
	name    string
	at, end int64
	err     error
}

func (s *sick) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	b, err := s.Store.Get(ctx, name, limit)
	if name == s.name && err == nil && int64(len(b)) > s.at {
		return nil, fmt.Errorf("object %s: %w", name, s.err)
	}
	return b, err
}

func (s *sick) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if name == s.name && offset < s.end && offset+length > s.at {
		return nil, fmt.Errorf("object %s: %w", name, s.err)
	}
	return s.Store.GetRange(ctx, name, offset, length)
}

func TestObjectWithAnUnreadableSectorIsReadWhole(t *testing.T) {
	w := newTailed(t, 3<<20)
	disk := &sick{Store: w.store, err: storage.ErrMedium}
	w.v.Store = disk
	for name := range w.read {
		p := w.shapeIn(t, name)
		disk.name = name
		for _, disk.at = range []int64{0, p.body / 2, p.body - 1} {
			disk.end = disk.at + min(4096, p.shard)
			if told, err := w.look(t, name); err != nil || len(told) == 0 {
				t.Errorf("%s, sector at %d: told %v, %v", name, disk.at, told, err)
			}
		}
	}
}

func TestPackLargerThanAnyIsDamage(t *testing.T) {
	w := newTailed(t, 3000)
	for _, size := range []uint64{MaxPack + 1, 1 << 62, 1<<64 - 1} {
		p := *w.pack
		p.SizeBytes = size
		for _, listed := range []int64{0, 5000, int64(size)} {
			if err := w.v.CheckSize(t.Context(), &p, listed); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), p.ID.Name()) {
				t.Errorf("%d bytes, listed %d: %v", size, listed, err)
			}
		}
	}
}

func TestReadersOfOnePackRepairItOnce(t *testing.T) {
	w := newTailed(t, 3<<20)
	name := w.pack.ID.Name()
	bad := get(t, w.store, name)
	bad[1<<20] ^= 1
	w.store.Replace(name, bad)
	counted := &rangeCounter{Store: w.store}
	w.v.Store = counted
	told := 0
	w.v.Repaired = func(string, error) { told++ }
	for range 5 {
		if stream, err := readStream(t, w.v, w.pack); err != nil || !bytes.Equal(stream, w.stream) {
			t.Fatal(err)
		}
	}
	// Five times all frames, once every shard, five times the damaged frame.
	if most := 8 * int64(len(bad)); counted.bytes > most || told != 1 {
		t.Errorf("%d bytes read of a pack of %d, told %d times", counted.bytes, len(bad), told)
	}
}

// rangeCounter counts the bytes that are read in ranges.
type rangeCounter struct {
	storage.Store
	bytes int64
}

func (c *rangeCounter) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	c.bytes += length
	return c.Store.GetRange(ctx, name, offset, length)
}

func TestFlagAndFeatureOfParityGoTogether(t *testing.T) {
	w := newTailed(t, 3000)
	plain, store := fixed(t)
	card, _ := fixedDevice(t, plain, 100)
	if _, err := w.v.ParseCard(card.Device, get(t, store, CardName(card.Device))); err == nil {
		t.Error("a card without the flag is read in a vault with parity")
	}
	for name := range w.read {
		if b := get(t, w.store, name); b[6] != flagParity || b[7] != 0 {
			t.Errorf("head of %s: % x", name, b[:headSize])
		}
	}
	with, without := appendHead(nil, seal.KindPack, flagParity, 3), appendHead(nil, seal.KindPack, 0, 3)
	if _, err := parseHead(with, seal.KindPack, 0); !errors.Is(err, ErrNewer) {
		t.Errorf("flag without feature: %v", err)
	}
	if _, err := parseHead(without, seal.KindPack, flagParity); !errors.Is(err, ErrMalformed) {
		t.Errorf("feature without flag: %v", err)
	}
	if _, err := parseHead(with, seal.KindPack, flagParity); err != nil {
		t.Error(err)
	}
}

func TestVaultWithParityIsReadAndWrittenByItsFeature(t *testing.T) {
	v, store := fixedWithParity(t)
	if err := v.PutConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), store, &v.ID)
	if err != nil || !found.Config.Parity() || found.ObjectSize(300) != ParitySize(300) {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := found.Config.CheckWrite(); err != nil {
		t.Error(err)
	}
	for _, f := range []Features{{Write: []string{"parity"}}, {Read: []string{"parity"}, Write: []string{"parity"}}} {
		if err := (Config{Features: f}).CheckWrite(); !errors.Is(err, ErrNewer) {
			t.Errorf("features %+v: %v", f, err)
		}
	}
}
