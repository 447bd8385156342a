package vault

import (
	"fmt"

	"github.com/klauspost/compress"
	"github.com/klauspost/compress/zstd"
)

// Methods of a sealed plaintext.
const (
	methodRaw  = 0
	methodZstd = 1
)

// worthwhile is the estimate of compressibility, from 0 to 1, below which
// compressing is not tried.
const worthwhile = 0.02

// codec compresses and inflates. It is safe for use by several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(FrameSize), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithLowerEncoderMem(true), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, fmt.Errorf("making a compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(MaxSegment))
	if err != nil {
		return nil, fmt.Errorf("making a decompressor: %w", err)
	}
	return &codec{enc, dec}, nil
}

// compress appends the method to dst, room for what after lets in between,
// and the payload, compressed if that makes it smaller.
func (c *codec) compress(dst, data []byte, after func([]byte, int) []byte) []byte {
	start := len(dst)
	if compress.Estimate(data) >= worthwhile {
		packed := c.enc.EncodeAll(data, nil)
		if len(packed) < len(data) {
			dst = after(append(dst, methodZstd), len(packed))
			return append(dst, packed...)
		}
	}
	dst = after(append(dst[:start], methodRaw), len(data))
	return append(dst, data...)
}

// inflate appends to dst, which has room for it, the size bytes that the
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
		room := make([]byte, 0, int(h.FrameContentSize))
		out, err := c.dec.DecodeAll(payload, room)
		if err != nil || uint64(len(out)) != h.FrameContentSize {
			return nil, fmt.Errorf("compressed payload: %w", ErrMalformed)
		}
		dst = append(dst, out...)
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
