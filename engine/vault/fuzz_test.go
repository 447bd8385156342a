package vault

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"holm.example/engine/seal"
)

// Whatever a store gives in the slot of a segment or card: only what the
// device wrote is accepted, and nothing panics.
func FuzzParseObjects(f *testing.F) {
	v, store := fixed(f)
	card, key := fixedDevice(f, v, 100)
	plain := plainBody(body(func(p *encoder) { p.time(Time{}); p.uv(0); p.uv(0) }))
	segment := forgedSegment(f, v, key, Head{Device: card.Device, Seq: 1}, card.Hash, plain)
	fence := v.FormatFence(&Fence{Head: Head{Device: card.Device, Seq: 1}, By: Head{Device: seal.ID{1}}}, key)
	cardBytes, err := store.Get(f.Context(), CardName(card.Device), MaxCard)
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{segment, fence, cardBytes, nil, []byte("holmf"), bytes.Repeat([]byte{0xFF}, 300)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := v.ParseSegment(card, 1, b)
		if err == nil && !s.Fence && !bytes.Equal(b, segment) {
			t.Errorf("a segment that nobody wrote is accepted: %x", b)
		}
		if err == nil && s.Fence {
			f := &Fence{Head: s.Head, Previous: s.Previous, By: s.Claims[0]}
			unsigned := len(b) - signature
			if again := v.FormatFence(f, ed25519.NewKeyFromSeed(make([]byte, 32))); !bytes.Equal(again[:unsigned], b[:unsigned]) {
				t.Errorf("fence %x has another form: %x", b, again)
			}
		}
		if _, err := v.ParseCard(card.Device, b); err == nil && !bytes.Equal(b, cardBytes) {
			t.Errorf("a card that nobody wrote is accepted: %x", b)
		}
	})
}

// An inflated payload is never longer than its limit, whatever it claims.
func FuzzInflate(f *testing.F) {
	v, _ := fixed(f)
	data := bytes.Repeat([]byte("oak "), 100)
	f.Add(byte(methodZstd), v.codec.enc.EncodeAll(data, nil), uint16(400))
	f.Add(byte(methodZstd), v.codec.enc.EncodeAll(make([]byte, 1<<20), nil), uint16(65535))
	f.Add(byte(methodRaw), data, uint16(400))
	f.Fuzz(func(t *testing.T, method byte, payload []byte, size uint16) {
		for _, exact := range []bool{true, false} {
			got, err := v.codec.inflate(nil, method, payload, int(size), exact)
			if err == nil && (len(got) > int(size) || exact && len(got) != int(size)) {
				t.Errorf("%d bytes, limit %d, exact %v", len(got), size, exact)
			}
		}
	})
}
