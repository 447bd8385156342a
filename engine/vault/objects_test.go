package vault

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// putPack makes a pack of those chunks and stores it.
func putPack(t testing.TB, v *Vault, id PackID, chunks ...[]byte) *PackAdd {
	t.Helper()
	var spool bytes.Buffer
	w, err := v.NewPackWriter(id, &spool)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		if err := w.Add(v.Keys.ChunkKey().ID(c), c); err != nil {
			t.Fatal(err)
		}
	}
	add, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if uint64(spool.Len()) != add.SizeBytes || padme(add.SizeBytes) != add.SizeBytes {
		t.Fatalf("pack of %d bytes says %d", spool.Len(), add.SizeBytes)
	}
	if err := w.Add(seal.Hash{}, []byte("more")); err == nil {
		t.Fatal("a finished pack takes more")
	}
	putWhole(t, v, id.Name(), spool.Bytes())
	return add
}

// putWhole stores a body, with its tail in a vault with parity.
func putWhole(t testing.TB, v *Vault, name string, body []byte) {
	t.Helper()
	b, err := v.Whole(body)
	if err == nil {
		err = v.Store.Put(t.Context(), name, storage.Body(b))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// readStream reads all frames of a pack.
func readStream(t *testing.T, v *Vault, p *Pack) (stream []byte, err error) {
	t.Helper()
	err = v.ReadFrames(t.Context(), p, 0, len(p.Frames)-1, func(_ int, data []byte) error {
		stream = append(stream, data...)
		return nil
	})
	return stream, err
}

func random(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestPackIsOneStreamInFramesOfOneMebibyte(t *testing.T) {
	v, store := fixed(t)
	id := PackID{seal.ID{1}, 10_007, seal.ID{2}}
	chunks := [][]byte{[]byte("small"), random(1, 3<<20), bytes.Repeat([]byte("oak "), 1<<18), {7}}
	add := putPack(t, v, id, chunks...)
	want := bytes.Join(chunks, nil)
	if len(add.Frames) != (len(want)+FrameSize-1)/FrameSize {
		t.Fatalf("%d frames for %d bytes", len(add.Frames), len(want))
	}
	p := NewPack(id.Device, id.Seq, add)
	got, err := readStream(t, v, p)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("stream differs: %v", err)
	}
	fromTrailer, err := v.ReadTrailer(t.Context(), id, int64(add.SizeBytes))
	if err != nil || fmt.Sprint(fromTrailer) != fmt.Sprint(add) {
		t.Fatalf("trailer says %v, %v", fromTrailer, err)
	}
	if !strings.HasSuffix(id.Name(), "/000000000001/0007-02000000000000000000000000000000") {
		t.Errorf("name %s", id.Name())
	}
	if bytes.Contains(get(t, store, id.Name()), []byte("small")) {
		t.Error("content is readable in the store")
	}
}

func TestEqualFramesOfTwoPacksDiffer(t *testing.T) {
	v, store := fixed(t)
	a, b := PackID{seal.ID{1}, 1, seal.ID{2}}, PackID{seal.ID{1}, 1, seal.ID{3}}
	addA := putPack(t, v, a, []byte("same content"))
	putPack(t, v, b, []byte("same content"))
	n := headSize + int(addA.Frames[0])
	if bytes.Equal(get(t, store, a.Name())[headSize:n], get(t, store, b.Name())[headSize:n]) {
		t.Fatal("two packs with the same content have the same bytes")
	}
}

func TestDamagedPackIsNamed(t *testing.T) {
	v, store := fixed(t)
	id, other := PackID{seal.ID{1}, 1, seal.ID{2}}, PackID{seal.ID{1}, 1, seal.ID{3}}
	add := putPack(t, v, id, random(2, 1000), []byte("second"))
	putPack(t, v, other, random(3, 1000), []byte("second"))
	good := get(t, store, id.Name())
	p := NewPack(id.Device, id.Seq, add)
	read := func() error {
		_, err := readStream(t, v, p)
		_, terr := v.ReadTrailer(t.Context(), id, int64(add.SizeBytes))
		return errors.Join(err, terr)
	}
	expect := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) || !strings.Contains(fmt.Sprint(err), id.Name()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		store.Replace(id.Name(), bad)
		expect(fmt.Sprintf("bit of byte %d", i), read())
	}
	for _, n := range []int{0, 1, headSize, len(good) / 2, len(good) - 1} {
		store.Replace(id.Name(), good[:n])
		expect(fmt.Sprintf("cut to %d", n), read())
	}
	store.Replace(id.Name(), get(t, store, other.Name()))
	expect("swapped", read())
	store.Replace(id.Name(), nil)
	expect("missing", read())
}

// putSegment makes and stores a segment after another.
func putSegment(t *testing.T, v *Vault, key ed25519.PrivateKey, prev Head, ops ...Operation) *Segment {
	t.Helper()
	s := &Segment{Head: Head{Device: prev.Device, Seq: prev.Seq + 1}, Incarnation: seal.ID{9}, Previous: prev.Hash,
		Committed: Time{1_700_000_000, 0}, Claims: []Head{{seal.ID{77}, 4, seal.Hash{5}}}}
	var tx Transaction
	for _, op := range ops {
		tx.Add(op)
	}
	b, err := v.FormatSegment(s, &tx, key)
	if err != nil {
		t.Fatal(err)
	}
	if padme(uint64(len(b))) != uint64(len(b)) {
		t.Fatalf("segment of %d bytes is not padded", len(b))
	}
	putWhole(t, v, SegmentName(s.Device, s.Seq), b)
	return s
}

func TestSegmentReadsAsItWasWritten(t *testing.T) {
	v, _ := fixed(t)
	card, key := fixedDevice(t, v, 100)
	wrote := putSegment(t, v, key, Head{card.Device, 0, card.Hash}, everyOperation()...)
	s, err := v.ReadSegment(t.Context(), card, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s.Hash != wrote.Hash || s.Previous != card.Hash || s.Committed != wrote.Committed || s.Incarnation != wrote.Incarnation ||
		len(s.Claims) != 1 || s.Claims[0] != wrote.Claims[0] {
		t.Errorf("head %+v, want %+v", s, wrote)
	}
	first, count := Operation(nil), 0
	err = s.Each(func(i int, op Operation) error {
		if i == 0 {
			first = op
		}
		count++
		return nil
	})
	if _, ok := first.(*PackAdd); err != nil || !ok || count != len(everyOperation()) {
		t.Errorf("%d operations, the first is %T: %v", count, first, err)
	}
	if _, err := v.ReadSegment(t.Context(), card, 2); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("next slot: %v", err)
	}
}

func TestDamagedSegmentCardAndFenceAreNamed(t *testing.T) {
	v, store := fixed(t)
	card, key := fixedDevice(t, v, 100)
	other, otherKey := fixedDevice(t, v, 150)
	one := putSegment(t, v, key, Head{card.Device, 0, card.Hash}, &Delete{EntryName{seal.ID{1}, "x"}, Gone})
	putSegment(t, v, key, one.Head)
	putSegment(t, v, otherKey, Head{other.Device, 0, other.Hash})
	fence := &Fence{Head: Head{Device: other.Device, Seq: 2}, By: one.Head}
	store.Replace(SegmentName(other.Device, 2), v.FormatFence(fence, key))
	for _, c := range []struct {
		name string
		read func() error
		swap string
	}{
		{SegmentName(card.Device, 1), func() error { _, err := v.ReadSegment(t.Context(), card, 1); return err }, SegmentName(card.Device, 2)},
		{SegmentName(card.Device, 2), func() error { _, err := v.ReadSegment(t.Context(), card, 2); return err }, SegmentName(other.Device, 1)},
		{CardName(card.Device), func() error { _, err := v.ReadCard(t.Context(), card.Device); return err }, CardName(other.Device)},
		{SegmentName(other.Device, 2), func() error { _, err := v.ReadSegment(t.Context(), other, 2); return err }, SegmentName(card.Device, 2)},
	} {
		if err := c.read(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		sweep(t, store, c.name, c.swap, c.read)
	}
}

// sweep damages an object in every way and expects an error that names it.
func sweep(t *testing.T, store *storagetest.Memory, name, swap string, read func() error) {
	t.Helper()
	good := get(t, store, name)
	expect := func(what string) {
		t.Helper()
		err := read()
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("%s, %s: %v", name, what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		store.Replace(name, bad)
		expect(fmt.Sprintf("bit of byte %d", i))
	}
	for n := range good {
		store.Replace(name, good[:n])
		expect(fmt.Sprintf("cut to %d", n))
	}
	store.Replace(name, append(bytes.Clone(good), 0))
	expect("a byte more")
	store.Replace(name, make([]byte, MaxSegment+1))
	expect("huge")
	store.Replace(name, get(t, store, swap))
	expect("swapped for " + swap)
	store.Replace(name, good)
}

func TestSegmentOfAnotherVaultDoesNotVerify(t *testing.T) {
	v, store := fixed(t)
	card, key := fixedDevice(t, v, 100)
	putSegment(t, v, key, Head{card.Device, 0, card.Hash})
	c := v.Config
	c.Nonce[0]++ // another vault id, the same keys
	w, err := New(store, c, v.Keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadSegment(t.Context(), card, 1); !errors.Is(err, seal.ErrSignature) {
		t.Errorf("segment: %v", err)
	}
	if _, err := w.ReadCard(t.Context(), card.Device); !errors.Is(err, seal.ErrSignature) {
		t.Errorf("card: %v", err)
	}
}

func TestFenceFoldsAsEmptyAndNeedsAnotherDevice(t *testing.T) {
	v, store := fixed(t)
	card, key := fixedDevice(t, v, 100)
	other, otherKey := fixedDevice(t, v, 150)
	name := SegmentName(other.Device, 1)
	store.Replace(name, v.FormatFence(&Fence{Head: Head{Device: other.Device, Seq: 1}, Previous: other.Hash, By: Head{card.Device, 0, card.Hash}}, key))
	s, err := v.ReadSegment(t.Context(), other, 1)
	if err != nil || !s.Fence || s.Previous != other.Hash {
		t.Fatalf("got %+v, %v", s, err)
	}
	if err := s.Each(func(int, Operation) error { return errors.New("an operation") }); err != nil {
		t.Error(err)
	}
	store.Replace(name, v.FormatFence(&Fence{Head: Head{Device: other.Device, Seq: 1}, By: Head{other.Device, 0, other.Hash}}, otherKey))
	if _, err := v.ReadSegment(t.Context(), other, 1); !errors.Is(err, ErrDamaged) {
		t.Errorf("a device that fences itself: %v", err)
	}
	store.Replace(name, v.FormatFence(&Fence{Head: Head{Device: other.Device, Seq: 1}, By: Head{card.Device, 0, card.Hash}}, otherKey))
	if _, err := v.ReadSegment(t.Context(), other, 1); !errors.Is(err, seal.ErrSignature) {
		t.Errorf("a fence signed by somebody else: %v", err)
	}
}

func TestBombInASegmentIsRefused(t *testing.T) {
	v, _ := fixed(t)
	zeros := make([]byte, MaxSegment+1)
	packed := v.codec.enc.EncodeAll(zeros, nil)
	plain := append([]byte{methodZstd, byte(len(packed)), byte(len(packed) >> 8), byte(len(packed) >> 16), 0}, packed...)
	if err := v.parseBody(&Segment{}, plain); !errors.Is(err, ErrMalformed) {
		t.Fatalf("got %v", err)
	}
}
