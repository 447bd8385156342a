package keys

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
)

// An ArmorKind is the label of an armor block (RFC 9580, 6.2.1).
type ArmorKind string

// The kinds of armor that the product writes and reads.
const (
	ArmorPublicKey ArmorKind = "PGP PUBLIC KEY BLOCK"
	ArmorSecretKey ArmorKind = "PGP PRIVATE KEY BLOCK"
	ArmorSignature ArmorKind = "PGP SIGNATURE"
)

const (
	// MaxArmorSize bounds an armored file, in bytes.
	MaxArmorSize = 4 << 20

	armorBegin       = "-----BEGIN "
	armorEnd         = "-----END "
	armorDashes      = "-----"
	armorLineBytes   = 48 // 64 columns of base64
	maxArmorLine     = 96 // columns that we read
	maxArmorHeaders  = 16
	crc24Init        = 0xB704CE
	crc24Poly        = 0x1864CFB
	crc24Mask        = 0xFFFFFF
	crc24EncodedSize = 5 // "=" and four characters
)

// FormatArmor returns data as one armor block with 64-column lines, the CRC
// and a final newline.
func FormatArmor(kind ArmorKind, data []byte) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s%s%s\n\n", armorBegin, kind, armorDashes)
	for rest := data; len(rest) > 0; {
		line := rest[:min(armorLineBytes, len(rest))]
		out.WriteString(base64.StdEncoding.EncodeToString(line))
		out.WriteByte('\n')
		rest = rest[len(line):]
	}
	crc := crc24(data)
	sum := base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
	fmt.Fprintf(&out, "=%s\n%s%s%s\n", sum, armorEnd, kind, armorDashes)
	return out.Bytes()
}

// ParseArmor returns the contents of text, which must be exactly one armor
// block of the given kind. A missing CRC is accepted (RFC 9580 makes it
// optional), a wrong one is not. The errors are ErrMalformed and ErrTooLarge.
func ParseArmor(kind ArmorKind, text []byte) ([]byte, error) {
	data, rest, err := cutArmor(kind, text)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: text after the armor block", ErrMalformed)
	}
	return data, nil
}

// isArmored says whether text looks like armor rather than binary packets,
// whose first octet always has its high bit set.
func isArmored(text []byte) bool {
	return len(text) > 0 && text[0]&0x80 == 0
}

// cutArmor parses the armor block at the start of text and returns what
// follows it.
func cutArmor(kind ArmorKind, text []byte) (data, rest []byte, err error) {
	if len(text) > MaxArmorSize {
		return nil, nil, fmt.Errorf("%w: armor of %d bytes", ErrTooLarge, len(text))
	}
	lines := armorLines{rest: text}
	if first, ok := lines.next(); !ok || first != armorBegin+string(kind)+armorDashes {
		return nil, nil, fmt.Errorf("%w: no %s", ErrMalformed, kind)
	}
	if err := lines.skipHeaders(); err != nil {
		return nil, nil, err
	}
	var body strings.Builder
	crc := ""
	for {
		line, ok := lines.next()
		switch {
		case !ok:
			return nil, nil, fmt.Errorf("%w: armor does not end", ErrMalformed)
		case line == armorEnd+string(kind)+armorDashes:
			data, err = decodeArmor(body.String(), crc)
			return data, lines.rest, err
		case len(line) > maxArmorLine || line == "" || crc != "":
			return nil, nil, fmt.Errorf("%w: line %d of the armor", ErrMalformed, lines.number)
		case line[0] == '=':
			crc = line
		default:
			body.WriteString(line)
		}
	}
}

// decodeArmor decodes the base64 text and compares the CRC if there is one.
func decodeArmor(body, crc string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("%w: base64 of the armor", ErrMalformed)
	}
	if crc == "" {
		return data, nil
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(crc[1:])
	if err != nil || len(crc) != crc24EncodedSize || len(sum) != 3 {
		return nil, fmt.Errorf("%w: checksum line of the armor", ErrMalformed)
	}
	if got := uint32(sum[0])<<16 | uint32(sum[1])<<8 | uint32(sum[2]); got != crc24(data) {
		return nil, fmt.Errorf("%w: checksum of the armor", ErrMalformed)
	}
	return data, nil
}

// armorLines walks over the lines of a text and forgets the blanks at their
// ends, which mail and Windows add.
type armorLines struct {
	rest   []byte
	number int // of the line returned last, from 1
}

func (l *armorLines) next() (line string, ok bool) {
	if len(l.rest) == 0 {
		return "", false
	}
	l.number++
	raw, rest, _ := bytes.Cut(l.rest, []byte("\n"))
	l.rest = rest
	return string(bytes.TrimRight(raw, " \t\r")), true
}

// skipHeaders passes over "Version: …" and its like up to the empty line.
func (l *armorLines) skipHeaders() error {
	for range maxArmorHeaders + 1 {
		line, ok := l.next()
		if !ok {
			return fmt.Errorf("%w: armor does not end", ErrMalformed)
		}
		if line == "" {
			return nil
		}
		if !strings.Contains(line, ": ") {
			return fmt.Errorf("%w: line %d of the armor is no header", ErrMalformed, l.number)
		}
	}
	return fmt.Errorf("%w: armor with more than %d headers", ErrTooLarge, maxArmorHeaders)
}

// crc24 is the checksum of RFC 9580, 6.1.1.
func crc24(data []byte) uint32 {
	crc := uint32(crc24Init)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= crc24Poly
			}
		}
	}
	return crc & crc24Mask
}
