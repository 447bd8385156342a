package packaging

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// Sizes and numbers of the RPM format, version 3 of the lead and 4 of the
// package (rpm's docs/manual/format).
const (
	rpmLeadSize    = 96
	rpmHeaderMagic = 0x8eade801
	rpmHeaderIntro = 16 // magic, reserved, count of entries, size of data
	rpmEntrySize   = 16

	rpmTagSignatures  = 62 // the region of the signature header
	rpmTagRSA         = 268
	rpmTagSHA256      = 273
	rpmTagSize        = 1000 // of header and payload
	rpmTagPayloadSize = 1007 // unpacked

	rpmTypeInt32  = 4
	rpmTypeString = 6
	rpmTypeBinary = 7

	cpioHeaderSize = 110
	cpioMagic      = "070701"
	cpioTrailer    = "TRAILER!!!"
	cpioNameAt     = 94 // eight digits: length of the name with its NUL
	cpioSizeAt     = 54 // eight digits: length of the content
)

// errRPM is a package that the library wrote otherwise than it used to.
var errRPM = errors.New("unexpected RPM from the package builder")

// finishRPM turns what the package builder writes into what rpmbuild would:
//
//   - Names in the payload begin with "./" instead of "/", so that unpacking
//     with rpm2cpio and cpio, which rpmlint does too, cannot write over the
//     files of the machine it happens on.
//   - The payload is compressed by one thread at the best level.
//   - The signature header holds exactly one signature, over the header, which
//     holds the digest of the payload. The second one of the builder, over
//     header and payload, says nothing more.
//
// The result is written to w. The header stays as it is but for the digest of
// the payload. The errors are ErrUnsigned, errRPM and those of sign and w.
func finishRPM(w io.Writer, built []byte, sign SignFunc) error {
	lead, header, payload, err := splitRPM(built)
	if err != nil {
		return err
	}
	unpacked, err := prefixPayload(payload)
	if err != nil {
		return err
	}
	packed, err := compressPayload(unpacked)
	if err != nil {
		return err
	}
	before, after := sha256.Sum256(payload), sha256.Sum256(packed)
	old := []byte(hex.EncodeToString(before[:]))
	if bytes.Count(header, old) != 1 {
		return fmt.Errorf("%w: no digest of the payload", errRPM)
	}
	header = bytes.Replace(header, old, []byte(hex.EncodeToString(after[:])), 1)
	signature, err := sign(header)
	if err != nil {
		return fmt.Errorf("signing the header: %w", err)
	}
	if len(signature) == 0 {
		return ErrUnsigned
	}
	for _, part := range [][]byte{lead, signatureHeader(header, signature, len(packed), len(unpacked)), header, packed} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// splitRPM cuts a package into lead, header and payload, without its old
// signature header.
func splitRPM(data []byte) (lead, header, payload []byte, err error) {
	if len(data) < rpmLeadSize {
		return nil, nil, nil, fmt.Errorf("%w: %d bytes", errRPM, len(data))
	}
	lead, rest := data[:rpmLeadSize], data[rpmLeadSize:]
	n, err := rpmHeaderLength(rest)
	if err != nil {
		return nil, nil, nil, err
	}
	n += (8 - n%8) % 8 // the signature header is padded, the other is not
	if n > len(rest) {
		return nil, nil, nil, fmt.Errorf("%w: it ends in its signatures", errRPM)
	}
	rest = rest[n:]
	if n, err = rpmHeaderLength(rest); err != nil {
		return nil, nil, nil, err
	}
	return lead, rest[:n], rest[n:], nil
}

// rpmHeaderLength returns the length of the header that data begins with.
func rpmHeaderLength(data []byte) (int, error) {
	if len(data) < rpmHeaderIntro || binary.BigEndian.Uint32(data) != rpmHeaderMagic {
		return 0, fmt.Errorf("%w: no header", errRPM)
	}
	count, size := binary.BigEndian.Uint32(data[8:]), binary.BigEndian.Uint32(data[12:])
	n := rpmHeaderIntro + rpmEntrySize*uint64(count) + uint64(size)
	if n > uint64(len(data)) {
		return 0, fmt.Errorf("%w: header of %d bytes", errRPM, n)
	}
	return int(n), nil
}

// prefixPayload unpacks a payload and puts a dot before every absolute name.
func prefixPayload(payload []byte) ([]byte, error) {
	zr, err := zstd.NewReader(bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRPM, err)
	}
	defer zr.Close()
	in, err := io.ReadAll(zr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRPM, err)
	}
	var out bytes.Buffer
	out.Grow(len(in) + len(in)/64)
	for {
		name, content, rest, err := cutCpio(in)
		if err != nil {
			return nil, err
		}
		header := bytes.Clone(in[:cpioHeaderSize])
		if name[0] == '/' {
			name = "." + name
		}
		copy(header[cpioNameAt:], fmt.Sprintf("%08X", len(name)+1))
		out.Write(header)
		out.WriteString(name + "\x00")
		out.Write(make([]byte, (4-out.Len()%4)%4))
		out.Write(content)
		out.Write(make([]byte, (4-out.Len()%4)%4))
		if name == cpioTrailer {
			return out.Bytes(), nil
		}
		in = rest
	}
}

// cutCpio returns the first entry of a newc archive, whose names and contents
// are padded to four bytes.
func cutCpio(in []byte) (name string, content, rest []byte, err error) {
	if len(in) < cpioHeaderSize || string(in[:len(cpioMagic)]) != cpioMagic {
		return "", nil, nil, fmt.Errorf("%w: payload", errRPM)
	}
	nameLength, err1 := strconv.ParseUint(string(in[cpioNameAt:cpioNameAt+8]), 16, 31)
	size, err2 := strconv.ParseUint(string(in[cpioSizeAt:cpioSizeAt+8]), 16, 31)
	nameEnd := cpioHeaderSize + nameLength
	from := nameEnd + (4-nameEnd%4)%4
	end := from + size
	end += (4 - end%4) % 4
	if err1 != nil || err2 != nil || nameLength < 2 || end > uint64(len(in)) {
		return "", nil, nil, fmt.Errorf("%w: payload", errRPM)
	}
	return string(in[cpioHeaderSize : nameEnd-1]), in[from : from+size], in[end:], nil
}

// compressPayload packs a payload; the same on any number of processors.
func compressPayload(data []byte) ([]byte, error) {
	zw, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compressing the payload: %w", err)
	}
	defer zw.Close()
	return zw.EncodeAll(data, nil), nil
}

// signatureHeader returns the header that stands before the header, with its
// padding: signature, digest, and the sizes.
func signatureHeader(header, signature []byte, packed, unpacked int) []byte {
	digest := sha256.Sum256(header)
	var h rpmHeader
	h.add(rpmTagRSA, rpmTypeBinary, len(signature), signature)
	h.add(rpmTagSHA256, rpmTypeString, 1, append([]byte(hex.EncodeToString(digest[:])), 0))
	h.add(rpmTagSize, rpmTypeInt32, 1, binary.BigEndian.AppendUint32(nil, uint32(len(header)+packed)))
	h.add(rpmTagPayloadSize, rpmTypeInt32, 1, binary.BigEndian.AppendUint32(nil, uint32(unpacked)))
	out := h.bytes(rpmTagSignatures)
	return append(out, make([]byte, (8-len(out)%8)%8)...)
}

// An rpmHeader collects entries in the order of their tags.
type rpmHeader struct {
	count int
	index []byte
	data  []byte
}

// add appends an entry; numbers are aligned to their size.
func (h *rpmHeader) add(tag, kind uint32, count int, value []byte) {
	if kind == rpmTypeInt32 {
		h.data = append(h.data, make([]byte, (4-len(h.data)%4)%4)...)
	}
	h.index = appendEntry(h.index, tag, kind, int32(len(h.data)), count)
	h.data = append(h.data, value...)
	h.count++
}

// bytes returns the header with the region that makes its entries immutable:
// the region's entry comes first and its data, an entry that points back over
// the index, last.
func (h *rpmHeader) bytes(region uint32) []byte {
	entries := h.count + 1
	out := binary.BigEndian.AppendUint32(nil, rpmHeaderMagic)
	out = append(out, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(entries))
	out = binary.BigEndian.AppendUint32(out, uint32(len(h.data)+rpmEntrySize))
	out = appendEntry(out, region, rpmTypeBinary, int32(len(h.data)), rpmEntrySize)
	out = append(append(out, h.index...), h.data...)
	return appendEntry(out, region, rpmTypeBinary, int32(-rpmEntrySize*entries), rpmEntrySize)
}

// appendEntry appends one line of an index.
func appendEntry(out []byte, tag, kind uint32, offset int32, count int) []byte {
	for _, v := range []uint32{tag, kind, uint32(offset), uint32(count)} {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	return out
}
