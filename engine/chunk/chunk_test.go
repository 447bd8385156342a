package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

func table(seed uint64) *[256]uint64 {
	var g [256]uint64
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range g {
		g[i] = r.Uint64()
	}
	return &g
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// cutAll returns the chunks of a reader.
func cutAll(t testing.TB, c *Cutter, r io.Reader) [][]byte {
	t.Helper()
	c.Reset(r)
	var list [][]byte
	for {
		b, err := c.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, bytes.Clone(b))
	}
}

// plain is the specification written down as it stands there, one byte after
// the other: docs/vault-format.md, section 6.
func plain(gear *[256]uint64, s Sizes, data []byte) (cuts []int) {
	bits := 0
	for 1<<bits < s.Average {
		bits++
	}
	for len(data) > 0 {
		n := len(data)
		if len(data) > s.Minimum {
			var h uint64
			for i := max(0, s.Minimum-64) + 1; i <= len(data); i++ {
				h = h<<1 + gear[data[i-1]]
				zeros := bits + 2
				if i >= s.Average {
					zeros = bits - 2
				}
				if i >= s.Minimum && h>>(64-zeros) == 0 || i == s.Maximum {
					n = i
					break
				}
			}
		}
		cuts = append(cuts, n)
		data = data[n:]
	}
	return cuts
}

func TestCutsAreThoseOfTheSpecification(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		average := 256 << r.IntN(4)
		s := Sizes{Minimum: 64 + r.IntN(average-63), Average: average, Maximum: average + r.IntN(4*average)}
		data := noise(seed, r.IntN(60_000))
		g := table(seed)
		chunks := cutAll(t, NewCutter(g, s), iotest.HalfReader(bytes.NewReader(data)))
		if !bytes.Equal(bytes.Join(chunks, nil), data) {
			t.Fatalf("seed %d: chunks do not make the file", seed)
		}
		var cuts []int
		for _, c := range chunks {
			cuts = append(cuts, len(c))
		}
		if want := plain(g, s, data); !slices.Equal(cuts, want) {
			t.Fatalf("seed %d, %+v: cut at %v, want %v", seed, s, cuts, want)
		}
	}
}

func TestInsertionMovesOnlyTheCutsNearIt(t *testing.T) {
	s := Sizes{256, 1024, 4096}
	data := noise(7, 200_000)
	changed := slices.Concat(data[:100_000], []byte("inserted"), data[100_000:])
	c := NewCutter(table(1), s)
	before := map[string]bool{}
	for _, b := range cutAll(t, c, bytes.NewReader(data)) {
		before[string(b)] = true
	}
	fresh := 0
	for _, b := range cutAll(t, c, bytes.NewReader(changed)) {
		if !before[string(b)] {
			fresh++
		}
	}
	if fresh == 0 || fresh > 6 {
		t.Fatalf("%d chunks are new after inserting 8 bytes", fresh)
	}
}

func TestAverageIsAboutWhatWasAskedFor(t *testing.T) {
	s := Sizes{256, 1024, 4096}
	n := len(cutAll(t, NewCutter(table(3), s), bytes.NewReader(noise(8, 4<<20))))
	if mean := 4 << 20 / n; mean < 900 || mean > 1500 {
		t.Fatalf("mean of %d bytes", mean)
	}
}

func TestAnotherKeyCutsElsewhere(t *testing.T) {
	s := Sizes{256, 1024, 4096}
	data := noise(9, 100_000)
	if slices.Equal(plain(table(1), s, data), plain(table(2), s, data)) {
		t.Fatal("two keys make the same cuts")
	}
}

func TestSmallFileIsOneChunkAndEmptyFileNone(t *testing.T) {
	c := NewCutter(table(1), Sizes{256, 1024, 4096})
	for _, n := range []int{0, 1, 255, 256} {
		if got := len(cutAll(t, c, bytes.NewReader(make([]byte, n)))); got != min(n, 1) {
			t.Errorf("%d bytes make %d chunks", n, got)
		}
	}
}

func TestErrorOfTheFileComesThrough(t *testing.T) {
	broken := errors.New("disk")
	c := NewCutter(table(1), Sizes{256, 1024, 4096})
	c.Reset(io.MultiReader(bytes.NewReader(noise(1, 10_000)), iotest.ErrReader(broken)))
	for {
		_, err := c.Next()
		if err == io.EOF {
			t.Fatal("a file that broke off looks whole")
		}
		if err != nil {
			if !errors.Is(err, broken) {
				t.Fatal(err)
			}
			return
		}
	}
}

func FuzzCutter(f *testing.F) {
	f.Add([]byte("oak"), uint16(3))
	f.Add(noise(5, 9000), uint16(700))
	f.Fuzz(func(t *testing.T, data []byte, extra uint16) {
		s := Sizes{64, 256, 256 + int(extra)%2048}
		chunks := cutAll(t, NewCutter(table(1), s), bytes.NewReader(data))
		for i, c := range chunks {
			if len(c) > s.Maximum || len(c) < s.Minimum && i < len(chunks)-1 {
				t.Fatalf("chunk %d has %d bytes", i, len(c))
			}
		}
		if !bytes.Equal(bytes.Join(chunks, nil), data) {
			t.Fatal("chunks do not make the file")
		}
	})
}

func BenchmarkCutter(b *testing.B) {
	data := noise(1, 16<<20)
	for _, s := range []Sizes{{256 << 10, 1 << 20, 4 << 20}} {
		b.Run(fmt.Sprint(s.Average), func(b *testing.B) {
			c := NewCutter(table(1), s)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				c.Reset(bytes.NewReader(data))
				for {
					if _, err := c.Next(); err != nil {
						break
					}
				}
			}
		})
	}
}
