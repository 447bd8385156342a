package vault

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"

	"holm.example/engine/seal"
)

// maxSealers bounds the memory of Sealers: each takes about 8 MiB with its
// compressor.
const maxSealers = 3

// MaxSealers is how many Sealers are of use on this machine.
func MaxSealers() int { return min(runtime.GOMAXPROCS(0), maxSealers) }

// Sealers are goroutines that compress frames, seal them, and open, inflate
// and compare them again, for one PackWriter at a time.
type Sealers struct {
	v     *Vault
	count int
	jobs  chan *frameJob
	group sync.WaitGroup
	free  []*frameJob
}

// frameJob is a frame on its way to the spool.
type frameJob struct {
	pack *PackWriter
	part uint32
	data []byte // plaintext, and sealed when it is done
	err  error
	done chan struct{} // gets one value when it is done
}

// StartSealers starts that many goroutines, at least one. Stop ends them.
func (v *Vault) StartSealers(count int) *Sealers {
	s := &Sealers{v: v, count: max(count, 1), jobs: make(chan *frameJob)}
	for range s.count {
		s.group.Go(func() {
			b := newBench()
			for j := range s.jobs {
				b.seal(j)
				j.done <- struct{}{}
			}
		})
	}
	return s
}

// Stop ends the goroutines. What a PackWriter has not finished is lost.
func (s *Sealers) Stop() {
	close(s.jobs)
	s.group.Wait()
}

// bench is what one goroutine needs to seal frames without allocating.
type bench struct{ packed, sealed, again []byte }

func newBench() *bench {
	return &bench{packed: make([]byte, 0, packedRoom(FrameSize)), sealed: make([]byte, 0, packedRoom(FrameSize)),
		again: make([]byte, 0, FrameSize)}
}

func newFrameJob() *frameJob {
	return &frameJob{data: make([]byte, 0, packedRoom(FrameSize)), done: make(chan struct{}, 1)}
}

// seal turns the plaintext of a job into the sealed frame. What bad memory
// changed on the way must not reach the store: the sealed frame is opened,
// inflated and compared.
func (b *bench) seal(j *frameJob) {
	p, codec := j.pack, j.pack.v.codec
	b.packed = codec.compress(b.packed[:0], j.data, 0)
	p.glitch(b.packed)
	b.sealed = p.box.Seal(b.sealed[:0], j.part, p.head, b.packed)
	p.glitch(b.sealed)
	opened, err := p.box.Open(b.packed[:0], j.part, p.head, b.sealed)
	if err == nil {
		b.again, err = codec.inflate(b.again[:0], opened[0], opened[1:], len(j.data), true)
	}
	if err != nil || !bytes.Equal(b.again, j.data) {
		j.err = fmt.Errorf("sealing pack %s: %w", p.id.Name(), ErrBadMemory)
		return
	}
	j.data, b.sealed = b.sealed, j.data
}

// frames is the part of a PackWriter that fills and seals frames.
type frames struct {
	sealers *Sealers // nil: the caller's goroutine seals
	bench   *bench   // of the caller's goroutine
	open    *frameJob
	pending []*frameJob // with the sealers, in the order of the stream
}

// frame is the frame that is being filled.
func (p *PackWriter) frame() *frameJob {
	f := &p.frames
	if f.open != nil {
		return f.open
	}
	if s := f.sealers; s != nil && len(s.free) > 0 {
		last := len(s.free) - 1
		f.open, s.free = s.free[last], s.free[:last]
	} else {
		f.open = newFrameJob()
	}
	f.open.pack, f.open.data, f.open.err = p, f.open.data[:0], nil
	return f.open
}

// flush has the open frame sealed, and spools what is done if more frames are
// on their way than the sealers need to be busy.
func (p *PackWriter) flush() {
	f := &p.frames
	if f.open == nil || len(f.open.data) == 0 || p.err != nil {
		return
	}
	j := f.open
	f.open = nil
	j.part = p.parts
	p.parts++
	if f.sealers == nil {
		if f.bench == nil {
			f.bench = newBench()
		}
		f.bench.seal(j)
		p.spoolFrame(j)
		f.open = j // its memory, for the next one
		j.data = j.data[:0]
		return
	}
	f.sealers.jobs <- j
	f.pending = append(f.pending, j)
	p.collect(f.sealers.count)
}

// collect spools finished frames, in their order, until no more than left are
// on their way.
func (p *PackWriter) collect(left int) {
	f := &p.frames
	for len(f.pending) > left {
		j := f.pending[0]
		<-j.done
		f.pending = f.pending[1:]
		p.spoolFrame(j)
		f.sealers.free = append(f.sealers.free, j)
	}
}

func (p *PackWriter) spoolFrame(j *frameJob) {
	if p.err == nil {
		p.err = j.err
	}
	p.write(j.data)
	if p.err == nil {
		p.add.Frames = append(p.add.Frames, uint32(len(j.data)))
	}
}

// sealTrailer seals the trailer and spools it, if what comes out of it is the
// same.
func (p *PackWriter) sealTrailer(plain []byte, same func(opened []byte) bool) (size int) {
	if p.err != nil {
		return 0
	}
	p.glitch(plain)
	sealed := p.box.Seal(nil, seal.PartTrailer, p.head, plain)
	p.glitch(sealed)
	opened, err := p.box.Open(nil, seal.PartTrailer, p.head, sealed)
	if err != nil || !same(opened) {
		p.err = fmt.Errorf("sealing pack %s: %w", p.id.Name(), ErrBadMemory)
		return 0
	}
	p.write(sealed)
	return len(sealed)
}
