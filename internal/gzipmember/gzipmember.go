// Package gzipmember writes gzip data that depends on nothing but its content.
//
// It promises one member (RFC 1952) without a name and without a time: equal
// data, equal bytes, on every machine and at every moment.
package gzipmember

import (
	"bytes"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
)

// NewWriter returns a writer of one member into w, at the best compression.
// The caller closes it.
func NewWriter(w io.Writer) *gzip.Writer {
	zw, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		panic("gzipmember: " + err.Error()) // the level is a constant
	}
	zw.ModTime = time.Unix(0, 0) // "no time" in the format; the zero Time is one in 2042
	return zw
}

// Compress returns data as one member.
func Compress(data []byte) []byte {
	var b bytes.Buffer
	zw := NewWriter(&b)
	_, _ = zw.Write(data) // a bytes.Buffer takes everything
	_ = zw.Close()
	return b.Bytes()
}
