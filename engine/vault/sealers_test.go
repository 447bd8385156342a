package vault

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"
)

func TestSealersMakeThePackThatOneGoroutineMakes(t *testing.T) {
	v, _ := fixed(t)
	content := random(7, 5*FrameSize+17)
	fill := func(w *PackWriter, err error) *PackAdd {
		t.Helper()
		for rest := content; err == nil && len(rest) > 0; {
			n := min(len(rest), 300_000)
			err = w.Add(v.Keys.ChunkKey().ID(rest[:n]), rest[:n])
			rest = rest[n:]
		}
		if err != nil {
			t.Fatal(err)
		}
		add, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return add
	}
	var one, many bytes.Buffer
	fill(v.NewPackWriter(packName, &one))
	s := v.StartSealers(3)
	defer s.Stop()
	for range 2 { // the second pack takes the memory of the first
		many.Reset()
		add := fill(s.NewPackWriter(packName, &many))
		if !bytes.Equal(one.Bytes(), many.Bytes()) || int(add.SizeBytes) != many.Len() {
			t.Errorf("%d and %d bytes, said to be %d", one.Len(), many.Len(), add.SizeBytes)
		}
	}
}

func TestBadMemoryOfASealerIsFoundBeforeThePackIsWhole(t *testing.T) {
	v, _ := fixed(t)
	s := v.StartSealers(2)
	defer s.Stop()
	var spool bytes.Buffer
	w, err := s.NewPackWriter(packName, &spool)
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	w.glitch = func(b []byte) {
		if calls.Add(1) == 3 {
			b[len(b)/2] ^= 1
		}
	}
	content := random(8, MaxChunk)
	_ = w.Add(v.Keys.ChunkKey().ID(content), content) // or Finish finds it
	if _, err := w.Finish(); !errors.Is(err, ErrBadMemory) {
		t.Errorf("Finish: %v", err)
	}
	if bytes.HasSuffix(spool.Bytes(), []byte(footerMagic)) {
		t.Error("the spool holds a whole pack")
	}
}

func TestFramesThatDoNotCompressAreStoredRaw(t *testing.T) {
	v, _ := fixed(t)
	noise := random(9, FrameSize)
	if packed := v.codec.compress(nil, noise, 0); packed[0] != methodRaw || len(packed) != 1+FrameSize {
		t.Errorf("method %d, %d bytes", packed[0], len(packed))
	}
	if compressible(noise) {
		t.Error("noise seems worth compressing")
	}
	text := bytes.Repeat([]byte("an oak remembers; "), 5000)
	copy(noise[FrameSize/2:], text) // a twelfth of the frame is text
	if packed := v.codec.compress(nil, noise, 0); packed[0] != methodZstd {
		t.Error("a frame that has a part that compresses is stored raw")
	}
}

func BenchmarkSealers(b *testing.B) {
	v, _ := fixed(b)
	s := v.StartSealers(MaxSealers())
	defer s.Stop()
	content := bytes.Repeat(random(1, 1000), MaxChunk/1000)
	b.SetBytes(int64(len(content)))
	w, err := s.NewPackWriter(packName, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if w.Full() {
			if w, err = s.NewPackWriter(packName, io.Discard); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Add(v.Keys.ChunkKey().ID(content[:32]), content); err != nil {
			b.Fatal(err)
		}
	}
}
