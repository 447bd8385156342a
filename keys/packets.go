package keys

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Packet types of RFC 9580, section 5, as far as we accept them.
const (
	tagSignature = 2
	tagPublicKey = 6
	tagUserID    = 13
)

// A rawPacket is one packet as it stood in its file.
type rawPacket struct {
	tag  uint8
	raw  []byte // header and body
	body []byte
}

// parse lets the OpenPGP library read the packet.
func (p rawPacket) parse() (packet.Packet, error) {
	parsed, err := packet.Read(bytes.NewReader(p.raw))
	if err != nil {
		return nil, fmt.Errorf("%w: packet of type %d: %v", ErrMalformed, p.tag, err)
	}
	return parsed, nil
}

// splitPackets cuts data into at most limit packets. Partial and
// indeterminate lengths are refused: no certificate or signature needs them.
func splitPackets(data []byte, limit int) ([]rawPacket, error) {
	var packets []rawPacket
	for len(data) > 0 {
		if len(packets) == limit {
			return nil, fmt.Errorf("%w: more than %d packets", ErrTooLarge, limit)
		}
		tag, header, body, err := packetHeader(data)
		if err != nil {
			return nil, err
		}
		if body > uint64(len(data)-header) {
			return nil, fmt.Errorf("%w: packet of %d bytes where %d are left", ErrMalformed, body, len(data)-header)
		}
		end := header + int(body)
		packets = append(packets, rawPacket{tag, data[:end:end], data[header:end:end]})
		data = data[end:]
	}
	return packets, nil
}

// packetHeader reads a packet header (RFC 9580, 4.2): the type, the length of
// the header and that of the body, in bytes.
func packetHeader(data []byte) (tag uint8, header int, body uint64, err error) {
	malformed := fmt.Errorf("%w: packet header", ErrMalformed)
	first := data[0]
	if first&0x80 == 0 {
		return 0, 0, 0, malformed
	}
	if first&0x40 == 0 { // old format: two bits say how long the length is
		size := 1 << (first & 3)
		if size == 8 || len(data) < 1+size {
			return 0, 0, 0, malformed
		}
		for _, b := range data[1 : 1+size] {
			body = body<<8 | uint64(b)
		}
		return first >> 2 & 0xF, 1 + size, body, nil
	}
	tag = first & 0x3F
	switch {
	case len(data) >= 2 && data[1] < 192:
		return tag, 2, uint64(data[1]), nil
	case len(data) >= 3 && data[1] < 224:
		return tag, 3, (uint64(data[1])-192)<<8 + uint64(data[2]) + 192, nil
	case len(data) >= 6 && data[1] == 255:
		return tag, 6, uint64(binary.BigEndian.Uint32(data[2:])), nil
	}
	return 0, 0, 0, malformed
}
