package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

var packName = PackID{seal.ID{1}, 10_007, seal.ID{2}}

func TestFrameIsCompressedOnlyWhereThatMakesItSmaller(t *testing.T) {
	v, store := fixed(t)
	noise, text := random(5, FrameSize), bytes.Repeat([]byte("a holm is an evergreen oak. "), 1<<16)[:FrameSize]
	add := putPack(t, v, packName, noise, text, noise[:1])
	if len(add.Frames) != 3 || add.Frames[0] != maxSealedFrame || add.Frames[1] > FrameSize/10 || add.Frames[2] != minSealedFrame {
		t.Errorf("frames of %v bytes", add.Frames)
	}
	box, err := v.Keys.Box(seal.KindPack, 1, v.ID, packName.Name())
	if err != nil {
		t.Fatal(err)
	}
	object := get(t, store, packName.Name())
	head, rest := object[:headSize], object[headSize:]
	for i, want := range []byte{methodRaw, methodZstd, methodRaw} {
		plain, err := box.Open(nil, uint32(i), head, rest[:add.Frames[i]])
		if err != nil || plain[0] != want {
			t.Errorf("frame %d: method %d, %v, want %d", i, plain[0], err, want)
		}
		rest = rest[add.Frames[i]:]
	}
}

func TestFrameBordersIgnoreChunkBorders(t *testing.T) {
	v, _ := fixed(t)
	for n, sizes := range [][]int{{FrameSize}, {FrameSize - 1, 1}, {FrameSize - 1, 2}, {1, FrameSize}, {FrameSize + 1}, {3*FrameSize - 5, 10, 7}, {}} {
		id, total := PackID{seal.ID{1}, 1, seal.ID{byte(n)}}, 0
		var chunks [][]byte
		for i, size := range sizes {
			chunks = append(chunks, random(uint64(i), size))
			total += size
		}
		add := putPack(t, v, id, chunks...)
		if len(add.Frames) != (total+FrameSize-1)/FrameSize {
			t.Errorf("%v: %d frames", sizes, len(add.Frames))
		}
		if total == 0 {
			continue
		}
		p := NewPack(id.Device, id.Seq, add)
		err := v.ReadFrames(t.Context(), p, 0, len(p.Frames)-1, func(i int, data []byte) error {
			if want := min(FrameSize, total-i*FrameSize); len(data) != want {
				t.Errorf("%v: frame %d has %d bytes, want %d", sizes, i, len(data), want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v: %v", sizes, err)
		}
	}
}

// bigPack is a pack of three frames and one of 1,000 bytes, a region of every
// kind, with names for the places in it.
func bigPack(t *testing.T) (v *Vault, store *storagetest.Memory, p *Pack, places map[string]int) {
	v, store = fixed(t)
	add := putPack(t, v, packName, random(6, 3*FrameSize+500), random(7, 500))
	p = NewPack(packName.Device, packName.Seq, add)
	object := get(t, store, packName.Name())
	places = map[string]int{"magic": 0, "kind": 4, "version": 5, "flags": 6, "epoch": 8, "recipients": 12}
	at := headSize
	for i, n := range add.Frames {
		places[fmt.Sprintf("nonce of frame %d", i)] = at
		places[fmt.Sprintf("ciphertext of frame %d", i)] = at + 12 + int(n-28)/2
		places[fmt.Sprintf("tag of frame %d", i)] = at + int(n) - 1
		at += int(n)
	}
	length := int(binary.LittleEndian.Uint32(object[len(object)-8:]))
	if at+length+footerSize != len(object) {
		t.Fatalf("%d bytes of frames and %d of trailer in a pack of %d", at, length, len(object))
	}
	places["nonce of the trailer"] = at
	places["list in the trailer"] = at + 20
	places["padding in the trailer"] = at + length - 30
	places["tag of the trailer"] = at + length - 1
	places["length in the footer"] = len(object) - 8
	places["high byte of the length in the footer"] = len(object) - 5
	places["magic of the footer"] = len(object) - 1
	return v, store, p, places
}

func TestFlippedBitIsFoundByWhoReadsThatPlaceAndByNobodyElse(t *testing.T) {
	v, store, p, places := bigPack(t)
	good := get(t, store, packName.Name())
	for place, at := range places {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		store.Replace(packName.Name(), bad)
		for i := range p.Frames {
			err := v.ReadFrames(t.Context(), p, i, i, func(int, []byte) error { return nil })
			hit := strings.HasSuffix(place, fmt.Sprintf("of frame %d", i))
			if hit != errors.Is(err, ErrDamaged) || hit && !strings.Contains(err.Error(), fmt.Sprintf("%s: ", packName.Name())) {
				t.Errorf("bit in the %s: frame %d: %v", place, i, err)
			}
		}
		_, err := v.ReadTrailer(t.Context(), packName, int64(len(good)))
		hit := !strings.Contains(place, "of frame")
		if hit != (err != nil) || hit && (!errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), packName.Name())) {
			t.Errorf("bit in the %s: trailer: %v", place, err)
		}
	}
}

func TestPackCutAnywhereIsDamaged(t *testing.T) {
	v, store, p, places := bigPack(t)
	good := get(t, store, packName.Name())
	for place, at := range places {
		store.Replace(packName.Name(), good[:at])
		if _, err := readStream(t, v, p); !errors.Is(err, ErrDamaged) && strings.Contains(place, "frame") {
			t.Errorf("cut before the %s: %v", place, err)
		}
		for _, size := range []int{at, len(good)} { // as listed, and as the segment has it
			if _, err := v.ReadTrailer(t.Context(), packName, int64(size)); !errors.Is(err, ErrDamaged) {
				t.Errorf("cut before the %s, said to be %d long: %v", place, size, err)
			}
		}
	}
}

func TestFramesThatChangePlacesAreDamage(t *testing.T) {
	v, store, p, _ := bigPack(t)
	object := get(t, store, packName.Name())
	n := int(p.Frames[0])
	one, two := bytes.Clone(object[headSize:headSize+n]), bytes.Clone(object[headSize+n:headSize+2*n])
	copy(object[headSize:], two)
	copy(object[headSize+n:], one)
	store.Replace(packName.Name(), object)
	for i := range 2 {
		if err := v.ReadFrames(t.Context(), p, i, i, func(int, []byte) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("frame %d: %v, want ErrDamaged", i, err)
		}
	}
}

func TestPackUnderAnotherNameIsDamage(t *testing.T) {
	v, store, p, _ := bigPack(t)
	for what, id := range map[string]PackID{
		"device": {seal.ID{9}, packName.Seq, packName.Random},
		"seq":    {packName.Device, packName.Seq + 1, packName.Random},
		"random": {packName.Device, packName.Seq, seal.ID{9}},
	} {
		store.Replace(id.Name(), get(t, store, packName.Name()))
		moved := *p
		moved.ID = id
		if _, err := readStream(t, v, &moved); !errors.Is(err, ErrDamaged) {
			t.Errorf("another %s: frames: %v", what, err)
		}
		if _, err := v.ReadTrailer(t.Context(), id, int64(p.SizeBytes)); !errors.Is(err, ErrDamaged) {
			t.Errorf("another %s: trailer: %v", what, err)
		}
	}
	if _, err := v.ReadTrailer(t.Context(), packName, int64(p.SizeBytes)); err != nil {
		t.Errorf("under its own name: %v", err)
	}
}

// forgedTrailer is a pack of no frames whose trailer f writes.
func forgedTrailer(t *testing.T, v *Vault, f func(*encoder)) []byte {
	box, err := v.Keys.Box(seal.KindPack, 1, v.ID, packName.Name())
	if err != nil {
		t.Fatal(err)
	}
	var plain encoder
	f(&plain)
	e := encoder{appendHead(nil, seal.KindPack, 0, 1)}
	sealed := box.Seal(nil, seal.PartTrailer, e.b, plain.b)
	e.raw(sealed)
	e.u32(uint32(len(sealed)))
	e.raw([]byte(footerMagic))
	return e.b
}

func TestTrailerThatBreaksARuleIsRefused(t *testing.T) {
	v, store := fixed(t)
	type e = *encoder
	seq := packName.Seq
	for rule, c := range map[string]struct {
		trailer func(e)
		good    bool
	}{
		"no fault":         {func(p e) { p.uv(seq); p.uv(0); p.uv(0); p.raw(make([]byte, 9)) }, true},
		"another seq":      {func(p e) { p.uv(seq + 1); p.uv(0); p.uv(0) }, false},
		"seq not minimal":  {func(p e) { p.raw([]byte{0x97, 0xce, 0x80, 0}); p.uv(0); p.uv(0) }, false},
		"padding of a one": {func(p e) { p.uv(seq); p.uv(0); p.uv(0); p.raw([]byte{0, 0, 1}) }, false},
		"a frame not there": {func(p e) {
			p.uv(seq)
			p.uv(1)
			p.uv(40)
			p.uv(1)
			p.hash(seal.Hash{})
			p.uv(5)
		}, false},
		"a chunk without frame": {func(p e) { p.uv(seq); p.uv(0); p.uv(1); p.hash(seal.Hash{}); p.uv(5) }, false},
		"lists cut short":       {func(p e) { p.uv(seq); p.uv(1) }, false},
		"nothing":               {func(e) {}, false},
	} {
		b := forgedTrailer(t, v, c.trailer)
		store.Replace(packName.Name(), b)
		_, err := v.ReadTrailer(t.Context(), packName, int64(len(b)))
		if c.good != (err == nil) || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", rule, err)
		}
	}
	for _, size := range []int64{-1, 0, headSize + seal.Overhead + footerSize - 1, MaxPack + 1, 1 << 62} {
		if _, err := v.ReadTrailer(t.Context(), packName, size); !errors.Is(err, ErrDamaged) {
			t.Errorf("listed with %d bytes: %v", size, err)
		}
	}
}

func TestStoreThatFailsIsNotTakenForDamage(t *testing.T) {
	v, store, p, _ := bigPack(t)
	for _, c := range []struct {
		fault storagetest.Fault
		want  error
	}{
		{storagetest.Gone, storage.ErrUnreachable},
		{storagetest.Short, ErrDamaged},
		{storagetest.Flip, ErrDamaged},
	} {
		for number := 1; number <= 3; number++ {
			f := storagetest.NewFaulty(store, storagetest.At(number, c.fault))
			v.Store = f
			_, err := v.ReadTrailer(t.Context(), packName, int64(p.SizeBytes))
			if !errors.Is(err, c.want) || errors.Is(err, ErrDamaged) != (c.want == ErrDamaged) {
				t.Errorf("trailer, fault %d at operation %d: %v, want %v", c.fault, number, err, c.want)
			}
		}
		v.Store = storagetest.NewFaulty(store, storagetest.At(1, c.fault))
		if _, err := readStream(t, v, p); !errors.Is(err, c.want) || errors.Is(err, ErrDamaged) != (c.want == ErrDamaged) {
			t.Errorf("frames, fault %d: %v, want %v", c.fault, err, c.want)
		}
	}
}

func TestEachByteOfAPackIsReadOnce(t *testing.T) {
	v, store := fixed(t)
	add := putPack(t, v, packName, random(8, 10*FrameSize))
	f := storagetest.NewFaulty(store, nil)
	v.Store = f
	got, err := readStream(t, v, NewPack(packName.Device, packName.Seq, add))
	if err != nil || !bytes.Equal(got, random(8, 10*FrameSize)) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if n := f.Count(storagetest.GetRange); n != 5 || f.Count("") != n {
		t.Errorf("%d range reads of %d operations for ten frames, want 5", n, f.Count(""))
	}
}

func TestReadFramesRefusesFramesThatAreNotThere(t *testing.T) {
	v, _, p, _ := bigPack(t)
	for _, r := range [][2]int{{-1, 0}, {0, 4}, {2, 1}, {4, 4}} {
		if err := v.ReadFrames(t.Context(), p, r[0], r[1], func(int, []byte) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("frames %v: %v", r, err)
		}
	}
	stop := errors.New("enough")
	if err := v.ReadFrames(t.Context(), p, 1, 3, func(int, []byte) error { return stop }); err != stop {
		t.Errorf("error of the caller: %v", err)
	}
}

// full is a spool on a disk that has room for some bytes.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(b), nil
}

func TestPackWriterRefusesWorkAfterAFullDisk(t *testing.T) {
	v, _ := fixed(t)
	if _, err := v.NewPackWriter(packName, &full{0}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("no room for the head: %v", err)
	}
	for _, room := range []int{headSize, headSize + FrameSize + 29} {
		w, err := v.NewPackWriter(packName, &full{room})
		if err != nil {
			t.Fatal(err)
		}
		content := random(9, 2*FrameSize+1)
		if err := w.Add(seal.Hash{1}, content); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), packName.Name()) {
			t.Errorf("room for %d bytes: Add: %v", room, err)
		}
		if err := w.Add(seal.Hash{1}, []byte{1}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("room for %d bytes: the next Add: %v", room, err)
		}
		if _, err := w.Finish(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("room for %d bytes: Finish: %v", room, err)
		}
	}
}

// Memory that loses a bit at any moment between the comparison of a chunk and
// the spool must not make a pack that cannot be read back.
func TestFrameOrTrailerThatBadMemoryChangedDoesNotLeaveTheMachine(t *testing.T) {
	v, _ := fixed(t)
	content := bytes.Repeat([]byte("an oak remembers; "), 3*FrameSize/18)
	make := func(glitch func([]byte)) (spool bytes.Buffer, calls int, err error) {
		w, err := v.NewPackWriter(packName, &spool)
		if err != nil {
			t.Fatal(err)
		}
		w.glitch = func(b []byte) { calls++; glitch(b) }
		err = w.Add(v.Keys.ChunkKey().ID(content), content)
		if err == nil {
			_, err = w.Finish()
		}
		_, again := w.Finish()
		if err != nil && !errors.Is(again, ErrBadMemory) {
			t.Errorf("the writer goes on: %v", again)
		}
		return spool, calls, err
	}
	_, calls, err := make(func([]byte) {})
	if err != nil || calls != 2*(3+1) { // each frame and the trailer, before and after sealing
		t.Fatalf("%d moments, %v", calls, err)
	}
	for moment := range calls {
		n := 0
		spool, _, err := make(func(b []byte) {
			if n == moment {
				b[len(b)/2] ^= 0x04
			}
			n++
		})
		if !errors.Is(err, ErrBadMemory) || !strings.Contains(fmt.Sprint(err), packName.Name()) {
			t.Errorf("bit flipped at moment %d: %v", moment, err)
		}
		if bytes.HasSuffix(spool.Bytes(), []byte(footerMagic)) {
			t.Errorf("bit flipped at moment %d: the spool holds a whole pack", moment)
		}
	}
}

func TestPackWriterRefusesChunksThatNoPackHolds(t *testing.T) {
	v, _ := fixed(t)
	for _, n := range []int{0, MaxChunk + 1} {
		w, err := v.NewPackWriter(packName, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(seal.Hash{}, make([]byte, n)); !errors.Is(err, ErrFull) {
			t.Errorf("chunk of %d bytes: %v, want ErrFull", n, err)
		}
	}
}

// The largest pack that the writer makes must be one that readers accept: a
// chunk of the greatest length is added to a pack that is just not full.
func TestFullPackStillFitsItsLimits(t *testing.T) {
	v, _ := fixed(t)
	w, err := v.NewPackWriter(packName, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for !w.Full() {
		w.add.Frames = append(w.add.Frames, maxSealedFrame)
	}
	frames := len(w.add.Frames) - 1 + MaxChunk/FrameSize + 1 // a frame was open
	trailer := 10 + 3 + 3*frames + 3 + MaxPackChunks*(hashSize+4)
	total := padme(uint64(headSize + frames*maxSealedFrame + seal.Overhead + trailer + footerSize))
	if frames > MaxFrames || total > MaxPack || trailer > MaxTrailer {
		t.Errorf("%d frames, %d bytes, a trailer of %d: above the limits", frames, total, trailer)
	}
	w.add.Frames, w.add.Chunks = nil, make([]ChunkInfo, MaxPackChunks)
	if !w.Full() || w.Add(seal.Hash{}, []byte{1}) == nil {
		t.Error("a pack takes more chunks than the format allows")
	}
}

func TestStoreSeesNeitherChunkSizesNorContents(t *testing.T) {
	v, store := fixed(t)
	secret := []byte("the passphrase of the bank is 12345; ")
	putPack(t, v, packName, secret, random(1, 5000), secret)
	object := get(t, store, packName.Name())
	id := v.Keys.ChunkKey().ID(secret)
	for what, b := range map[string][]byte{"content": secret[:12], "chunk id": id[:8], "vault secret": v.Keys.VaultSecret[:8]} {
		if bytes.Contains(object, b) {
			t.Errorf("the %s can be read in the store", what)
		}
	}
	// Packs of other chunks and the same length have the same size.
	other := PackID{packName.Device, packName.Seq, seal.ID{3}}
	putPack(t, v, other, random(2, 2000), random(3, len(secret)), random(4, 3000+len(secret)))
	if a, b := len(object), len(get(t, store, other.Name())); a != b {
		t.Errorf("sizes %d and %d tell how the stream is cut", a, b)
	}
	if !slices.Equal(store.Names(), []string{packName.Name(), other.Name()}) {
		t.Errorf("objects %v", store.Names())
	}
}
