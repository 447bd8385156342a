package chunk

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// lengths are the lengths of the chunks of a reader.
func lengths(t testing.TB, c *Cutter, r io.Reader) (list []int) {
	t.Helper()
	for _, b := range cutAll(t, c, r) {
		list = append(list, len(b))
	}
	return list
}

// content draws files from the dull to the random: few different bytes and
// short periods make cuts that noise hardly ever has.
func content(t *rapid.T) []byte {
	b := noise(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 50_000).Draw(t, "length"))
	alphabet := rapid.SampledFrom([]int{1, 2, 3, 16, 256}).Draw(t, "alphabet")
	for i := range b {
		b[i] = byte(int(b[i]) % alphabet)
	}
	if period := rapid.SampledFrom([]int{0, 0, 1, 64, 500}).Draw(t, "period"); period > 0 {
		for i := period; i < len(b); i++ {
			b[i] = b[i-period]
		}
	}
	return b
}

func TestCutsOfDullAndOfRandomFilesAreThoseOfTheSpecification(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := Sizes{Average: 1 << rapid.IntRange(8, 12).Draw(r, "log2 average")}
		s.Minimum = rapid.IntRange(64, s.Average).Draw(r, "minimum")
		s.Maximum = rapid.IntRange(s.Average, 5*s.Average).Draw(r, "maximum")
		gear, b := table(rapid.Uint64().Draw(r, "gear")), content(r)
		got, want := lengths(t, NewCutter(gear, s), bytes.NewReader(b)), plain(gear, s, b)
		if !slices.Equal(got, want) {
			r.Fatalf("cut to %v, the specification says %v", got, want)
		}
		for i, n := range got {
			if n > s.Maximum || n < s.Minimum && i < len(got)-1 {
				r.Fatalf("chunk %d of %d has %d bytes, bounds %+v", i, len(got), n, s)
			}
		}
	})
}

func TestCutsAtTheBordersOfTheSizes(t *testing.T) {
	s := Sizes{Minimum: 64, Average: 256, Maximum: 1024}
	always := &[256]uint64{} // the hash stays 0: every byte from the minimum on is a cut
	never := &[256]uint64{}  // the hash keeps its top bit: no byte is a cut
	for i := range never {
		never[i] = 1 << 63
	}
	for _, c := range []struct {
		what string
		gear *[256]uint64
		size int
		want []int
	}{
		{"one byte below the minimum", always, 63, []int{63}},
		{"the minimum", always, 64, []int{64}},
		{"a cut at the minimum", always, 65, []int{64, 1}},
		{"two cuts at the minimum", always, 130, []int{64, 64, 2}},
		{"no cut, below the maximum", never, 1023, []int{1023}},
		{"no cut, the maximum", never, 1024, []int{1024}},
		{"no cut, above the maximum", never, 1025, []int{1024, 1}},
		{"no cut, the rest as long as the minimum", never, 2048 + 64, []int{1024, 1024, 64}},
	} {
		if got := lengths(t, NewCutter(c.gear, s), bytes.NewReader(make([]byte, c.size))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// stutter is a reader that gives nothing twice before it gives something.
type stutter struct {
	src io.Reader
	n   int
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.n++; s.n%3 != 0 {
		return 0, nil
	}
	return s.src.Read(p[:min(len(p), 777)])
}

func TestCutsDoNotDependOnTheSizesOfReads(t *testing.T) {
	b, gear, s := noise(7, 100_000), table(2), Sizes{Minimum: 300, Average: 1024, Maximum: 3000}
	want := plain(gear, s, b)
	c := NewCutter(gear, s) // one cutter for all files, as in a backup
	for what, src := range map[string]io.Reader{
		"whole":             bytes.NewReader(b),
		"byte by byte":      iotest.OneByteReader(bytes.NewReader(b)),
		"half of the asked": iotest.HalfReader(bytes.NewReader(b)),
		"EOF with the data": iotest.DataErrReader(bytes.NewReader(b)),
		"reads of nothing":  &stutter{src: bytes.NewReader(b)},
	} {
		if got := lengths(t, c, src); !slices.Equal(got, want) {
			t.Errorf("%s: %d chunks, want %d", what, len(got), len(want))
		}
	}
}

// dead is a reader that gives nothing but its error, which may be nil.
type dead struct{ err error }

func (d dead) Read([]byte) (int, error) { return 0, d.err }

func TestFileThatBreaksOffNeverLooksWhole(t *testing.T) {
	broken := errors.New("broken disk")
	for what, c := range map[string]struct {
		size int
		err  error
		want error
	}{
		"at once":                        {0, broken, broken},
		"after some bytes":               {5000, broken, broken},
		"at the end of a full buffer":    {1024, broken, broken},
		"at the end of two":              {2048, broken, broken},
		"with the error of io.ReadFull":  {500, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		"in a reader that gives nothing": {500, nil, io.ErrNoProgress},
	} {
		cutter := NewCutter(table(3), Sizes{Minimum: 64, Average: 256, Maximum: 1024})
		cutter.Reset(io.MultiReader(bytes.NewReader(make([]byte, c.size)), dead{c.err}))
		var err error
		for n := 0; err == nil; n++ {
			if _, err = cutter.Next(); n > c.size/64 {
				t.Fatalf("%s: %d chunks and no error", what, n)
			}
		}
		_, again := cutter.Next()
		if !errors.Is(err, c.want) || !errors.Is(again, c.want) {
			t.Errorf("%s: %v, then %v, want %v", what, err, again, c.want)
		}
		if got := lengths(t, cutter, bytes.NewReader([]byte("the next file"))); !slices.Equal(got, []int{13}) {
			t.Errorf("%s: the next file is cut to %v", what, got)
		}
	}
}

// sums are the hashes of a reader's chunks.
func sums(t *testing.T, c *Cutter, readers ...io.Reader) (list [][32]byte) {
	t.Helper()
	c.Reset(io.MultiReader(readers...))
	for {
		b, err := c.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sha256.Sum256(b))
	}
}

func TestNineOfTenChunksSurviveAByteMoreOrLess(t *testing.T) {
	b := noise(64, 64<<20)
	s := Sizes{Minimum: 256 << 10, Average: 1 << 20, Maximum: 4 << 20}
	c := NewCutter(table(4), s)
	before := sums(t, c, bytes.NewReader(b))
	if mean := len(b) / len(before); mean < 700<<10 || mean > 1500<<10 {
		t.Errorf("%d chunks of %d bytes in the mean, the average was to be 1 MiB", len(before), mean)
	}
	known := map[[32]byte]bool{}
	for _, sum := range before {
		known[sum] = true
	}
	part := func(from, to int) io.Reader { return bytes.NewReader(b[from:to]) }
	one, half := func() io.Reader { return bytes.NewReader([]byte{'!'}) }, len(b)/2
	for what, readers := range map[string][]io.Reader{
		"a byte at the front":  {one(), part(0, len(b))},
		"a byte in the middle": {part(0, half), one(), part(half, len(b))},
		"a byte at the end":    {part(0, len(b)), one()},
		"a byte less":          {part(1, len(b))},
	} {
		list, shared := sums(t, c, readers...), 0
		for _, sum := range list {
			if known[sum] {
				shared++
			}
		}
		if 10*shared < 9*len(list) {
			t.Errorf("%s: %d of %d chunks are shared, want nine of ten", what, shared, len(list))
		}
	}
}
