package keys

import (
	"bytes"
	"fmt"
)

const (
	// MaxCleartextSize bounds a cleartext signed document, in bytes.
	MaxCleartextSize = 32 << 20

	cleartextBegin = "-----BEGIN PGP SIGNED MESSAGE-----\n"
	cleartextHash  = "Hash: SHA512\n"
)

// CanonicalText returns what a text signature over message covers: lines that
// end with CR LF, the last without (RFC 9580, 7.2). Messages that the
// cleartext framework would not carry unchanged are refused with
// ErrMalformed: they must end with a newline, and hold no CR, no NUL and no
// blank at the end of a line.
func CanonicalText(message []byte) ([]byte, error) {
	if !bytes.HasSuffix(message, []byte("\n")) {
		return nil, fmt.Errorf("%w: text without a newline at its end", ErrMalformed)
	}
	if bytes.ContainsAny(message, "\r\x00") || bytes.Contains(message, []byte(" \n")) || bytes.Contains(message, []byte("\t\n")) {
		return nil, fmt.Errorf("%w: text with a blank, CR or NUL that a cleartext signature would not cover", ErrMalformed)
	}
	return bytes.ReplaceAll(message[:len(message)-1], []byte("\n"), []byte("\r\n")), nil
}

// FormatCleartext joins a message and the armored signature over its
// CanonicalText into one document (RFC 9580, 7), as apt reads it from
// InRelease. The signature must use SHA-512. The error is that of
// CanonicalText.
func FormatCleartext(message, signature []byte) ([]byte, error) {
	if _, err := CanonicalText(message); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString(cleartextBegin + cleartextHash + "\n")
	for line := range bytes.Lines(message) {
		if line[0] == '-' {
			out.WriteString("- ")
		}
		out.Write(line)
	}
	out.Write(signature)
	return out.Bytes(), nil
}

// parseCleartext takes apart what FormatCleartext made. It accepts nothing
// before, between and after the parts, so that no unsigned text is near.
func parseCleartext(document []byte) (message, signature []byte, err error) {
	if len(document) > MaxCleartextSize {
		return nil, nil, fmt.Errorf("%w: document of %d bytes", ErrTooLarge, len(document))
	}
	rest, ok := bytes.CutPrefix(document, []byte(cleartextBegin+cleartextHash+"\n"))
	if !ok {
		return nil, nil, fmt.Errorf("%w: no cleartext signed message with Hash: SHA512", ErrMalformed)
	}
	var out bytes.Buffer
	for line := range bytes.Lines(rest) {
		if bytes.HasPrefix(line, []byte(armorBegin)) {
			break
		}
		rest = rest[len(line):]
		if line[0] == '-' {
			if line, ok = bytes.CutPrefix(line, []byte("- ")); !ok {
				return nil, nil, fmt.Errorf("%w: unescaped dash in a cleartext message", ErrMalformed)
			}
		}
		out.Write(line)
	}
	return out.Bytes(), rest, nil
}
