package vault

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage/storagetest"
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

// Whatever a device writes that has the keys of the vault: a card, a fence or a
// segment that is accepted has the one form of what it says, and nothing
// panics. The bytes that are changed here are sealed and signed again.
func FuzzParseSignedObjects(f *testing.F) {
	v, store := fixed(f)
	card, key := fixedDevice(f, v, 100)
	cardBytes, err := store.Get(f.Context(), CardName(card.Device), MaxCard)
	if err != nil {
		f.Fatal(err)
	}
	var private encoder
	private.text(card.Name)
	private.time(card.Created)
	private.text("")
	fence := v.FormatFence(&Fence{Head: Head{Device: card.Device, Seq: 1}, By: Head{Device: seal.ID{1}, Seq: 1}}, key)
	segment := forgedSegment(f, v, key, Head{Device: card.Device, Seq: 1}, card.Hash, nil)[:segmentPublicSize]
	var ops encoder
	for _, op := range everyOperation() {
		ops.b = AppendOperation(ops.b, op)
	}
	whole := body(func(p *encoder) { p.time(Time{}); p.uv(0); p.uv(uint64(len(everyOperation()))); p.raw(ops.b) })
	f.Add(cardBytes[:cardPublicSize], private.b)
	f.Add(fence[:fenceSize-signature], []byte(nil))
	f.Add(segment, plainBody(whole))
	f.Add(segment, plainBody(body(func(p *encoder) {
		p.time(Time{})
		p.uv(1)
		p.id(seal.ID{1})
		p.uv(1)
		p.hash(seal.Hash{})
		p.uv(0)
	}), 0, 0))
	f.Fuzz(func(t *testing.T, public, plain []byte) {
		sameCard(t, v, card.Device, public, plain)
		sameFence(t, v, key, card, public)
		sameSegment(t, v, key, card, public, plain)
	})
}

// sealedAs seals a plaintext behind the bytes that are to be seen by all.
func sealedAs(t *testing.T, v *Vault, kind seal.Kind, name string, public, plain []byte) []byte {
	t.Helper()
	box, err := v.Keys.Box(kind, 1, v.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	return box.Seal(nil, 0, public, plain)
}

func sameCard(t *testing.T, v *Vault, device seal.ID, public, plain []byte) {
	t.Helper()
	name := CardName(device)
	sealed := sealedAs(t, v, seal.KindCard, name, public, plain)
	if len(sealed) > math.MaxUint16 {
		return
	}
	e := encoder{bytes.Clone(public)}
	e.u16(uint16(len(sealed)))
	e.raw(sealed)
	b := append(e.b, seal.Sign(v.Keys.Signer(), seal.KindCard, v.ID, name, e.b)...)
	c, err := v.ParseCard(device, b)
	if err != nil {
		return
	}
	if again, err := v.FormatCard(c); err != nil || !bytes.Equal(again, b) {
		t.Errorf("card %x has another form: %x, %v", b, again, err)
	}
}

func sameFence(t *testing.T, v *Vault, key ed25519.PrivateKey, card *Card, public []byte) {
	t.Helper()
	b := append(bytes.Clone(public), seal.Sign(key, seal.KindFence, v.ID, SegmentName(card.Device, 1), public)...)
	s, err := v.parseFence(card, 1, b)
	if err != nil {
		return
	}
	f := &Fence{Head: s.Head, Previous: s.Previous, By: s.Claims[0]}
	if again := v.FormatFence(f, key); !bytes.Equal(again, b) {
		t.Errorf("fence %x has another form: %x", b, again)
	}
}

func sameSegment(t *testing.T, v *Vault, key ed25519.PrivateKey, card *Card, public, plain []byte) {
	t.Helper()
	name := SegmentName(card.Device, 1)
	b := append(bytes.Clone(public), sealedAs(t, v, seal.KindSegment, name, public, plain)...)
	b = append(b, seal.Sign(key, seal.KindSegment, v.ID, name, b)...)
	if len(b) > headSize && b[4] == byte(seal.KindFence) {
		return
	}
	s, err := v.ParseSegment(card, 1, b)
	if err != nil {
		return
	}
	if want := appendHead(nil, seal.KindSegment, v.flags(), 1); !bytes.Equal(b[:headSize], want) {
		t.Errorf("segment with head %x, want %x", b[:headSize], want)
	}
	var ops []byte
	err = s.Each(func(_ int, op Operation) error {
		ops = AppendOperation(ops, op)
		return nil
	})
	if err == nil && !bytes.Equal(ops, s.body) {
		t.Errorf("operations %x have another form: %x", s.body, ops)
	}
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

// Whatever lies under the name of a pack: its trailer and its frames are those
// that were put, or an error.
func FuzzReadPack(f *testing.F) {
	v, store := fixed(f)
	add := putPack(f, v, packName, []byte("hello"), bytes.Repeat([]byte("oak "), 500))
	good, err := store.Get(f.Context(), packName.Name(), MaxPack)
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{good, good[:len(good)-8], nil, []byte("holmp\x01"), append(bytes.Clone(good[:headSize]), good[len(good)-8:]...)} {
		f.Add(b)
	}
	p := NewPack(packName.Device, packName.Seq, add)
	f.Fuzz(func(t *testing.T, b []byte) {
		store := &storagetest.Memory{}
		store.Replace(packName.Name(), append([]byte{}, b...))
		v := &Vault{Store: store, Config: v.Config, ID: v.ID, Keys: v.Keys, codec: v.codec}
		if trailer, err := v.ReadTrailer(t.Context(), packName, int64(len(b))); err == nil && fmt.Sprint(trailer) != fmt.Sprint(add) {
			t.Errorf("trailer %v was never written", trailer)
		}
		err := v.ReadFrames(t.Context(), p, 0, len(p.Frames)-1, func(_ int, data []byte) error {
			if !bytes.HasPrefix(data, []byte("hellooak oak ")) {
				t.Errorf("frame %.40q was never written", data)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("frames: %v", err)
		}
	})
}

// Whatever lies under the names of the two copies of vault.json: a vault whose
// id is the hash of one of them, or an error. A device that remembers the id
// takes no other.
func FuzzFind(f *testing.F) {
	v, _ := fixed(f)
	good := FormatConfig(v.Config)
	other := v.Config
	other.Nonce[0]++
	for _, b := range [][]byte{good, FormatConfig(other), bytes.Replace(good, []byte(`"format": 1`), []byte(`"format": 2`), 1), nil, []byte("{}")} {
		f.Add(b, good)
		f.Add(good, b)
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		store := &storagetest.Memory{}
		store.Replace(ConfigName, append([]byte{}, first...))
		store.Replace(ConfigCopyName, append([]byte{}, second...))
		for _, want := range []*seal.Hash{nil, &v.ID} {
			found, err := Find(t.Context(), store, want)
			if err == nil && found.ID != seal.Sum(first) && found.ID != seal.Sum(second) || err == nil && want != nil && found.ID != *want {
				t.Errorf("vault %x of %q and %q", found.ID, first, second)
			}
		}
	})
}
