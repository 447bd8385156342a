package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/zeebo/blake3"

	"holm.example/internal/testseed"
)

// spool is a file in memory.
type spool struct{ b []byte }

func (s *spool) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(s.b).ReadAt(b, at) }

func (s *spool) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(s.b) {
		s.b = append(s.b, make([]byte, end-len(s.b))...)
	}
	return copy(s.b[at:], b), nil
}

// bodySizes are on both sides of where the shape of the shards changes.
var bodySizes = []int{1, 2, 300, 1023, 1024, 1025, 2048, 5000, 65535, 65536, 65537, 70000, 1<<20 - 1, 1<<20 + 1, 3<<20 + 7}

func withParity(t testing.TB, size int, random *rand.Rand) (body, object []byte) {
	t.Helper()
	body = make([]byte, size)
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	s := &spool{bytes.Clone(body)}
	if err := AppendParity(s, int64(size)); err != nil {
		t.Fatal(err)
	}
	return body, s.b
}

func repaired(object []byte, size int) (body []byte, damaged int, err error) {
	to := &spool{bytes.Clone(object)}
	damaged, err = repairParity(bytes.NewReader(object), int64(len(object)), to)
	return to.b[:size], damaged, err
}

// repairParity repairs an object of that size.
func repairParity(object io.ReaderAt, size int64, to io.WriterAt) (damaged int, err error) {
	body, err := ParityBody(size)
	if err != nil {
		return 0, err
	}
	lost, err := shapeOf(body).repair(object, to)
	return lost.shards, err
}

func TestParityMakesAnyRunUpToAShardGood(t *testing.T) {
	random := testseed.Rand(t)
	for _, size := range bodySizes {
		body, whole := withParity(t, size, random)
		shard := int(shapeOf(int64(size)).shard)
		starts := []int{0, max(0, size-shard), size - 1, max(0, size-shard/2), len(whole) - 1}
		for range 20 {
			starts = append(starts, random.IntN(len(whole)))
		}
		for _, start := range starts {
			for _, run := range []int{1, shard} {
				object := bytes.Clone(whole)
				for i := start; i < min(start+run, len(object)); i++ {
					object[i] ^= 0x55
				}
				got, _, err := repaired(object, size)
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("body of %d, %d bytes damaged at %d: not repaired: %v", size, run, start, err)
				}
			}
		}
	}
}

func TestParityMakesTwoShardsGoodAndRefusesThree(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for _, size := range []int{2500, 70000} {
		body, whole := withParity(t, size, random)
		p := shapeOf(int64(size))
		for i := range p.shards() {
			for j := i % 9; j < i; j += 9 {
				object := bytes.Clone(whole)
				for _, k := range []int{i, j} {
					start, length := p.at(k)
					clear(object[start : start+length])
				}
				if got, damaged, err := repaired(object, size); err != nil || damaged != 2 || !bytes.Equal(got, body) {
					t.Fatalf("body of %d, shards %d and %d: %d damaged, %v", size, i, j, damaged, err)
				}
			}
		}
		for i := range 3 {
			start, _ := p.at(i)
			whole[start] ^= 1
		}
		got, _, err := repaired(whole, size)
		if !errors.Is(err, ErrBeyondParity) || !bytes.Equal(got, whole[:size]) {
			t.Fatalf("three damaged shards of %d bytes: %v", size, err)
		}
	}
}

func TestTheSizeOfAnObjectSaysTheSizeOfItsBody(t *testing.T) {
	last := int64(0)
	for body := int64(1); body < 200_000; body++ {
		size := ParitySize(body)
		if size <= last {
			t.Fatalf("%d bytes give an object of %d, %d bytes one of %d", body-1, last, body, size)
		}
		last = size
		if got, err := ParityBody(size); err != nil || got != body {
			t.Fatalf("object of %d bytes: body %d, %v, want %d", size, got, err, body)
		}
	}
	for _, size := range []int64{-1, 0, 1, ParitySize(1) - 1, ParitySize(MaxPack) + 1, 1 << 62} {
		if body, err := ParityBody(size); err == nil {
			t.Errorf("object of %d bytes has a body of %d", size, body)
		}
	}
	if tail := ParitySize(300) - 300; tail > 1024 {
		t.Errorf("the tail of 300 bytes has %d", tail)
	}
	if tail := ParitySize(16<<20) - 16<<20; tail*1000 > 32*(16<<20) {
		t.Errorf("the tail of 16 MiB has %d bytes, more than 3.2 %%", tail)
	}
}

// The field and the matrix are made here once more from the text of the specification.
func TestParityIsTheCodeOfTheSpecification(t *testing.T) {
	for _, size := range []int{1, 300, 3000, 66000} {
		_, object := withParity(t, size, rand.New(rand.NewPCG(1, uint64(size))))
		p := shapeOf(int64(size))
		// The shards are the values at 0, 1, …, 65 of the polynomial of least degree that is the data at 0, …, data - 1.
		for i := p.data; i < p.shards(); i++ {
			want := make([]byte, p.shard)
			for j := range p.data {
				factor := byte(1)
				for k := range p.data {
					if k != j {
						factor = gfMul(factor, gfMul(byte(i^k), gfInverse(byte(j^k))))
					}
				}
				start, length := p.at(j)
				for x, b := range object[start : start+length] {
					want[x] ^= gfMul(factor, b)
				}
			}
			start, length := p.at(i)
			if !bytes.Equal(object[start:start+length], want) {
				t.Errorf("body of %d: parity shard %d differs", size, i-p.data)
			}
		}
		for _, at := range p.tables() {
			for i := range p.shards() {
				start, length := p.at(i)
				sum := blake3.Sum256(object[start : start+length])
				if !bytes.Equal(object[at+int64(i)*16:][:16], sum[:16]) {
					t.Errorf("body of %d: entry %d of the table at %d differs", size, i, at)
				}
			}
		}
	}
}

func gfMul(a, b byte) (product byte) {
	for wide := uint(a); b != 0; b >>= 1 {
		if b&1 == 1 {
			product ^= byte(wide)
		}
		if wide <<= 1; wide > 255 {
			wide ^= 0x11D
		}
	}
	return product
}

func gfInverse(a byte) byte {
	for b := byte(1); b != 0; b++ {
		if gfMul(a, b) == 1 {
			return b
		}
	}
	return 0
}

func TestParityReportsAReadThatFails(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "short"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 99)); err != nil {
		t.Fatal(err)
	}
	if err := AppendParity(f, 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("parity of a body that ends early: %v", err)
	}
	if _, err := repairParity(f, ParitySize(100), f); !errors.Is(err, ErrBeyondParity) {
		t.Errorf("repair of an object without its tail: %v", err)
	}
}

func TestTailOfAPackTakesLittleMemory(t *testing.T) {
	const body = 16 << 20
	s := &spool{make([]byte, body, ParitySize(body))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := AppendParity(s, body); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	tail := uint64(ParitySize(body) - body) // what the spool itself grew by, at most
	if got := after.TotalAlloc - before.TotalAlloc; got > tail+1<<20 {
		t.Errorf("%d bytes for a tail of %d", got, tail)
	}
}

// Whatever was changed in an object: it is made good exactly where two shards at most are not as they were, or have lost both their hashes, and the bytes
// are those that were there; else nothing is written. What is no object at all is not changed in a way that repairs it into damage.
func FuzzRepairParity(f *testing.F) {
	for _, size := range []int{1, 300, 3000, 70000} {
		body, object := withParity(f, size, rand.New(rand.NewPCG(2, 2)))
		p := shapeOf(int64(size))
		last, _ := p.at(p.shards() - 1)
		for _, at := range [][]int64{nil, {0}, {0, int64(size) - 1}, {0, last}, {0, last, p.tables()[0]}, {p.tables()[0], p.tables()[1]},
			{0, p.tables()[0] + 16, p.tables()[1] + 16}, {0, int64(size) - 1, p.tables()[0] + 16, p.tables()[1] + 16}, {0, int64(size) / 2, int64(size) - 1}} {
			f.Add(body, changesAt(at...))
		}
		object[0] ^= 1
		f.Add(object, []byte{})
	}
	f.Fuzz(func(t *testing.T, body, changes []byte) {
		if len(body) > 100_000 {
			return
		}
		if to := (&spool{bytes.Clone(body)}); len(body) > 0 {
			damaged, err := repairParity(bytes.NewReader(body), int64(len(body)), to)
			if left, _ := repairParity(bytes.NewReader(to.b), int64(len(body)), &spool{to.b}); err == nil && left > damaged || err != nil && !bytes.Equal(to.b, body) {
				t.Errorf("%d damaged shards become %d, %v", damaged, left, err)
			}
		}
		if len(body) == 0 {
			return
		}
		s := &spool{bytes.Clone(body)}
		if err := AppendParity(s, int64(len(body))); err != nil {
			t.Fatal(err)
		}
		whole, object := s.b, bytes.Clone(s.b)
		for ; len(changes) >= 4; changes = changes[4:] {
			object[int(binary.LittleEndian.Uint32(changes)&0xFFFFFF)%len(object)] ^= changes[3]
		}
		want, wantDamaged, good := repairOracle(whole, object, len(body))
		to := &spool{bytes.Clone(object)}
		damaged, err := repairParity(bytes.NewReader(object), int64(len(object)), to)
		if good != (err == nil) || err != nil && !errors.Is(err, ErrBeyondParity) || damaged != wantDamaged || !bytes.Equal(to.b, want) {
			t.Errorf("body of %d: %d damaged, want %d; %v, want repaired %v; right bytes: %v", len(body), damaged, wantDamaged, err, good, bytes.Equal(to.b, want))
		}
	})
}

// changesAt are changes of the fuzz test, each of a byte at an offset.
func changesAt(at ...int64) []byte {
	changes := []byte{}
	for _, a := range at {
		changes = append(changes, byte(a), byte(a>>8), byte(a>>16), 0x55)
	}
	return changes
}

// repairOracle says by comparing with the whole object what becomes of a changed one with a body of that size.
func repairOracle(whole, object []byte, size int) (want []byte, damaged int, good bool) {
	p := shapeOf(int64(size))
	want, good = bytes.Clone(object), true
	for i := range p.shards() {
		start, length := p.at(i)
		hashes := 0
		for _, table := range p.tables() {
			if entry := table + int64(i)*16; bytes.Equal(object[entry:entry+16], whole[entry:entry+16]) {
				hashes++
			}
		}
		if hashes > 0 && bytes.Equal(object[start:start+length], whole[start:start+length]) {
			continue
		}
		damaged++
		good = good && (hashes > 0 || i >= p.data)
		if i < p.data {
			copy(want[start:], whole[start:start+length])
		}
	}
	if good = good && damaged <= parityShards; !good {
		return object, damaged, false
	}
	return want, damaged, true
}
