package vault

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress"
	"github.com/klauspost/compress/zstd"
)

// Methods of a sealed plaintext.
const (
	methodRaw  = 0
	methodZstd = 1
)

// What is incompressible is found by looking at so many samples of that size,
// in bytes; looking at everything costs a quarter of compressing it.
const (
	samples    = 16
	sampleSize = 4 << 10
	// worthwhile is the estimate of compressibility, from 0 to 1, of a sample
	// that makes compressing worth trying. Noise of that size has up to 0.07,
	// text 0.4.
	worthwhile = 0.08
)

// codec compresses and inflates. It is safe for use by several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(MaxSealers()), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(FrameSize), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, fmt.Errorf("making a compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(MaxSegment), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("making a decompressor: %w", err)
	}
	return &codec{enc, dec}, nil
}

// compressible reports whether compressing data seems worth the while. A
// little data is always tried.
func compressible(data []byte) bool {
	if len(data) < samples*sampleSize {
		return true
	}
	for i := range samples {
		at := i * ((len(data) - sampleSize) / (samples - 1))
		if compress.Estimate(data[at:at+sampleSize]) >= worthwhile {
			return true
		}
	}
	return false
}

// compress appends the method to dst, gap bytes for the caller to fill in,
// and the payload, compressed if that makes it smaller. It allocates nothing
// if dst has room for the data and as much again as the compressor may need
// before it gives up; packedRoom says how much.
func (c *codec) compress(dst, data []byte, gap int) []byte {
	start := len(dst)
	if compressible(data) {
		dst = append(append(dst, methodZstd), make([]byte, gap)...)
		body := len(dst)
		dst = c.enc.EncodeAll(data, dst)
		if len(dst)-body < len(data) {
			return dst
		}
	}
	dst = append(append(dst[:start], methodRaw), make([]byte, gap)...)
	return append(dst, data...)
}

// packedRoom is the room in bytes that compress needs for a frame.
func packedRoom(size int) int { return size + size>>8 + 1<<10 }

// inflate appends to dst the size bytes that the
// payload holds, or at most size bytes if exact is false.
func (c *codec) inflate(dst []byte, method byte, payload []byte, size int, exact bool) ([]byte, error) {
	start := len(dst)
	switch method {
	case methodRaw:
		if len(payload) > size {
			return nil, fmt.Errorf("raw payload of %d bytes: %w", len(payload), ErrMalformed)
		}
		dst = append(dst, payload...)
	case methodZstd:
		var h zstd.Header
		if err := h.Decode(payload); err != nil || h.Skippable || !h.HasFCS || h.FrameContentSize > uint64(size) || !oneFrame(payload, &h) {
			return nil, fmt.Errorf("compressed payload: %w", ErrMalformed)
		}
		dst = slices.Grow(dst, int(h.FrameContentSize))
		end := start + int(h.FrameContentSize)
		out, err := c.dec.DecodeAll(payload, dst[:start:end])
		if err != nil || len(out) != end {
			return nil, fmt.Errorf("compressed payload: %w", ErrMalformed)
		}
		dst = dst[:end]
	default:
		return nil, fmt.Errorf("compression method %d: %w", method, ErrMalformed)
	}
	if exact && len(dst)-start != size {
		return nil, fmt.Errorf("payload of %d bytes, not %d: %w", len(dst)-start, size, ErrMalformed)
	}
	return dst, nil
}

// oneFrame reports whether a payload is one zstd frame and nothing after it
// (RFC 8878, section 3.1.1): the decoder would take more frames, and empty or
// skippable ones would be bytes that say nothing.
func oneFrame(payload []byte, h *zstd.Header) bool {
	const blockHeader, checksum, rle = 3, 4, 1
	rest := payload[h.HeaderSize:]
	for last := false; !last; {
		if len(rest) < blockHeader {
			return false
		}
		block := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		last = block&1 != 0
		size := int(block >> 3)
		if block>>1&3 == rle {
			size = 1
		}
		if size > len(rest)-blockHeader {
			return false
		}
		rest = rest[blockHeader+size:]
	}
	if h.HasCheckSum {
		return len(rest) == checksum
	}
	return len(rest) == 0
}
