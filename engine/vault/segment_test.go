package vault

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// forgedSegment is a segment of a device whose sealed plaintext is given: what
// a device of this vault could write with other software.
func forgedSegment(t testing.TB, v *Vault, key ed25519.PrivateKey, head Head, previous seal.Hash, plain []byte) []byte {
	t.Helper()
	return forgedUnder(t, v, key, SegmentName(head.Device, head.Seq), head, previous, plain)
}

// forgedUnder is a forgedSegment under a name that need not be its own.
func forgedUnder(t testing.TB, v *Vault, key ed25519.PrivateKey, name string, head Head, previous seal.Hash, plain []byte) []byte {
	t.Helper()
	box, err := v.Keys.Box(seal.KindSegment, 1, v.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	e := encoder{appendHead(nil, seal.KindSegment, 0, 1)}
	e.id(head.Device)
	e.u64(head.Seq)
	e.id(seal.ID{9})
	e.hash(previous)
	b := box.Seal(e.b, 0, e.b, plain)
	return append(b, seal.Sign(key, seal.KindSegment, v.ID, name, b)...)
}

// plainBody is a sealed plaintext that holds that body uncompressed.
func plainBody(body []byte, padding ...byte) []byte {
	e := encoder{[]byte{methodRaw}}
	e.u32(uint32(len(body)))
	e.raw(body)
	e.raw(padding)
	return e.b
}

func body(f func(*encoder)) []byte {
	var e encoder
	f(&e)
	return e.b
}

func TestSegmentBodyThatBreaksARuleIsRefused(t *testing.T) {
	v, store := fixed(t)
	card, key := fixedDevice(t, v, 100)
	type e = *encoder
	claim := func(p e, device byte) { p.id(seal.ID{device}); p.uv(1); p.hash(seal.Hash{}) }
	del := AppendOperation(nil, &Delete{EntryName{seal.ID{1}, "x"}, Gone})
	empty := body(func(p e) { p.time(Time{}); p.uv(0); p.uv(0) })
	for rule, c := range map[string]struct {
		plain []byte
		good  bool
	}{
		"no fault": {plainBody(empty, 0, 0, 0), true},
		"operations and claims": {plainBody(body(func(p e) {
			p.time(Time{1, 1})
			p.uv(2)
			claim(p, 1)
			claim(p, 2)
			p.uv(1)
			p.raw(del)
		})), true},
		"padding of a one":        {plainBody(empty, 0, 1), false},
		"method 2":                {append([]byte{2}, plainBody(empty)[1:]...), false},
		"nothing":                 {nil, false},
		"length cut":              {[]byte{0, 1, 0}, false},
		"length beyond the end":   {append([]byte{0, 200, 0, 0, 0}, empty...), false},
		"length of all ones":      {append([]byte{0, 255, 255, 255, 255}, empty...), false},
		"length that cuts":        {append([]byte{0, 2, 0, 0, 0}, empty...), false},
		"nanoseconds of a second": {plainBody(body(func(p e) { p.zv(0); p.uv(1e9); p.uv(0); p.uv(0) })), false},
		"claims that fall":        {plainBody(body(func(p e) { p.time(Time{}); p.uv(2); claim(p, 2); claim(p, 1); p.uv(0) })), false},
		"a claim twice":           {plainBody(body(func(p e) { p.time(Time{}); p.uv(2); claim(p, 1); claim(p, 1); p.uv(0) })), false},
		"a claim of 17 digits": {plainBody(body(func(p e) {
			p.time(Time{})
			p.uv(1)
			p.id(seal.ID{})
			p.uv(maxSeq + 1)
			p.hash(seal.Hash{})
			p.uv(0)
		})), false},
		"a claim on oneself": {plainBody(body(func(p e) {
			p.time(Time{})
			p.uv(1)
			p.id(card.Device)
			p.uv(1)
			p.hash(seal.Hash{})
			p.uv(0)
		})), false},
		"a claim on nothing": {plainBody(body(func(p e) {
			p.time(Time{})
			p.uv(1)
			p.id(seal.ID{1})
			p.uv(0)
			p.hash(seal.Hash{})
			p.uv(0)
		})), false},
		"claims not there":       {plainBody(body(func(p e) { p.time(Time{}); p.uv(3); claim(p, 1); p.uv(0) })), false},
		"too many claims":        {plainBody(body(func(p e) { p.time(Time{}); p.uv(MaxClaims + 1); p.raw(make([]byte, 49*(MaxClaims+1))) })), false},
		"too many operations":    {plainBody(body(func(p e) { p.time(Time{}); p.uv(0); p.uv(MaxOperations + 1); p.raw(make([]byte, 4*MaxOperations)) })), false},
		"an operation not there": {plainBody(body(func(p e) { p.time(Time{}); p.uv(0); p.uv(2); p.raw(del) })), false},
		"an operation left over": {plainBody(body(func(p e) { p.time(Time{}); p.uv(0); p.uv(1); p.raw(del); p.raw(del) })), false},
		"a byte left over":       {plainBody(body(func(p e) { p.time(Time{}); p.uv(0); p.uv(0); p.u8(0) })), false},
		"an operation with a rest": {plainBody(body(func(p e) {
			p.time(Time{})
			p.uv(0)
			p.uv(1)
			p.uv(6)
			p.uv(1)
			p.bytes(append(del[3:], 0))
		})), false},
	} {
		name := SegmentName(card.Device, 1)
		store.Replace(name, forgedSegment(t, v, key, Head{Device: card.Device, Seq: 1}, card.Hash, c.plain))
		s, err := v.ReadSegment(t.Context(), card, 1)
		if err == nil {
			err = s.Each(func(int, Operation) error { return nil })
		}
		if c.good != (err == nil) || err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

func TestSegmentOfAnotherDeviceOrSlotIsRefused(t *testing.T) {
	v, _ := fixed(t)
	card, key := fixedDevice(t, v, 100)
	other, otherKey := fixedDevice(t, v, 150)
	plain := plainBody(body(func(p *encoder) { p.time(Time{}); p.uv(0); p.uv(0) }))
	own := forgedSegment(t, v, key, Head{Device: card.Device, Seq: 5}, card.Hash, plain)
	if _, err := v.ParseSegment(card, 5, own); err != nil {
		t.Fatalf("in its own slot: %v", err)
	}
	under := func(head Head) []byte { // sealed and signed for that slot, whatever its head says
		return forgedUnder(t, v, key, SegmentName(card.Device, 5), head, card.Hash, plain)
	}
	if !bytes.Equal(under(Head{Device: card.Device, Seq: 5}), own) {
		t.Fatal("the same head makes another segment")
	}
	for what, err := range map[string]error{
		"head of another":     errorOf(v.ParseSegment(card, 5, under(Head{Device: other.Device, Seq: 5}))),
		"head of another seq": errorOf(v.ParseSegment(card, 5, under(Head{Device: card.Device, Seq: 4}))),
		"next slot":           errorOf(v.ParseSegment(card, 6, own)),
		"another's journal":   errorOf(v.ParseSegment(other, 5, own)),
		"signed by another":   errorOf(v.ParseSegment(card, 5, forgedSegment(t, v, otherKey, Head{Device: card.Device, Seq: 5}, card.Hash, plain))),
		"a later key epoch":   errorOf(v.ParseSegment(card, 5, resigned(v, key, card.Device, own, 8, 2))),
		"a flag, but signed":  errorOf(v.ParseSegment(card, 5, resigned(v, key, card.Device, own, 6, 2))),
		"another device id":   errorOf(v.ParseSegment(card, 5, resigned(v, key, card.Device, own, 16, 7))),
		"another seq":         errorOf(v.ParseSegment(card, 5, resigned(v, key, card.Device, own, 32, 6))),
		"another incarnation": errorOf(v.ParseSegment(card, 5, resigned(v, key, card.Device, own, 40, 8))),
		"another previous":    errorOf(v.ParseSegment(card, 5, resigned(v, key, card.Device, own, 56, 8))),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// resigned is a segment of slot 5 with another byte, signed again by its own
// device: the signature holds, what is sealed must not.
func resigned(v *Vault, key ed25519.PrivateKey, device seal.ID, object []byte, at int, with byte) []byte {
	b := bytes.Clone(object[:len(object)-signature])
	b[at] = with
	return append(b, seal.Sign(key, seal.KindSegment, v.ID, SegmentName(device, 5), b)...)
}

func TestNoSegmentIsMadeThatNoReaderAccepts(t *testing.T) {
	v, _ := fixed(t)
	card, key := fixedDevice(t, v, 100)
	for what, op := range map[string]Operation{
		"entry without a name":  &Delete{EntryName{seal.ID{1}, ""}, Gone},
		"name above the limit":  &Delete{EntryName{seal.ID{1}, strings.Repeat("n", MaxName+1)}, Gone},
		"unknown reason":        &Delete{EntryName{seal.ID{1}, "n"}, 0},
		"label above the limit": &Mark{Label: strings.Repeat("l", MaxText+1)},
		"kind that is none":     &Put{EntryName{seal.ID{1}, "n"}, Node{}},
		"attributes unsorted":   &Put{EntryName{seal.ID{1}, "n"}, Node{Kind: KindSymlink, Meta: Meta{Attributes: []Attribute{{"b", ""}, {"a", ""}}}}},
		"too many chunks":       &Put{EntryName{seal.ID{1}, "n"}, Node{Kind: KindFile, Chunks: Chunks{0, make([]seal.Hash, MaxInlineChunks+1)}}},
		"whole second":          &Mark{Time: Time{0, 1_000_000_000}},
		"frames without chunks": &PackAdd{Epoch: 1, SizeBytes: 1000, Frames: []uint32{100}},
	} {
		var tx Transaction
		tx.Add(op)
		s := &Segment{Head: Head{Device: card.Device, Seq: 1}, Previous: card.Hash}
		if b, err := v.FormatSegment(s, &tx, key); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: a segment of %d bytes, %v, want ErrMalformed", what, len(b), err)
		}
	}
	s := &Segment{Head: Head{Device: card.Device, Seq: 1}, Claims: []Head{{Device: seal.ID{2}}, {Device: seal.ID{1}}}}
	if _, err := v.FormatSegment(s, &Transaction{}, key); !errors.Is(err, ErrMalformed) {
		t.Errorf("heads out of order: %v, want ErrMalformed", err)
	}
	var tx Transaction
	for range MaxOperations + 1 {
		tx.Add(&Delete{EntryName{seal.ID{1}, "x"}, Gone})
	}
	if _, err := v.FormatSegment(&Segment{Head: Head{Device: card.Device, Seq: 1}}, &tx, key); !errors.Is(err, ErrFull) {
		t.Errorf("too many operations: %v, want ErrFull", err)
	}
}

func TestEverySegmentOneCanDrawComesBackAsItWas(t *testing.T) {
	v, _ := fixed(t)
	card, key := fixedDevice(t, v, 100)
	rapid.Check(t, func(t *rapid.T) {
		s := &Segment{Head: Head{Device: card.Device, Seq: drawSeq(t)}, Incarnation: drawID(t), Previous: drawHash(t), Committed: drawTime(t)}
		for _, id := range drawIDs(t) {
			s.Claims = append(s.Claims, Head{id, drawSeq(t), drawHash(t)})
		}
		slices.SortFunc(s.Claims, func(a, b Head) int { return bytes.Compare(a.Device[:], b.Device[:]) })
		s.Claims = slices.CompactFunc(s.Claims, func(a, b Head) bool { return a.Device == b.Device })
		var tx Transaction
		var packs, others []Operation
		for range rapid.IntRange(0, 8).Draw(t, "operations") {
			op := drawOperation(t)
			tx.Add(op)
			if _, ok := op.(*PackAdd); ok {
				packs = append(packs, op)
			} else {
				others = append(others, op)
			}
		}
		b, err := v.FormatSegment(s, &tx, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.ParseSegment(card, s.Seq, b)
		if err != nil {
			t.Fatal(err)
		}
		var ops []Operation
		if err := got.Each(func(_ int, op Operation) error { ops = append(ops, op); return nil }); err != nil {
			t.Fatal(err)
		}
		want := append(packs, others...) // packs come first, each kind in its order
		if got.Head != s.Head || got.Incarnation != s.Incarnation || got.Previous != s.Previous || got.Committed != s.Committed ||
			!slices.Equal(got.Claims, s.Claims) || len(ops) != len(want) {
			t.Fatalf("got %+v with %d operations, want %+v with %d", got, len(ops), s, len(want))
		}
		for i := range want {
			if !bytes.Equal(AppendOperation(nil, ops[i]), AppendOperation(nil, want[i])) {
				t.Fatalf("operation %d: %+v, want %+v", i, ops[i], want[i])
			}
		}
		if uint64(len(b)) != padme(uint64(len(b))) {
			t.Fatalf("a segment of %d bytes is not padded", len(b))
		}
	})
}

func TestEachStopsAtTheErrorOfItsCaller(t *testing.T) {
	v, _ := fixed(t)
	card, key := fixedDevice(t, v, 100)
	putSegment(t, v, key, Head{card.Device, 0, card.Hash}, everyOperation()...)
	s, err := v.ReadSegment(t.Context(), card, 1)
	if err != nil {
		t.Fatal(err)
	}
	stop, seen := errors.New("enough"), 0
	err = s.Each(func(int, Operation) error {
		if seen++; seen == 3 {
			return stop
		}
		return nil
	})
	if err != stop || seen != 3 {
		t.Errorf("%d operations, then %v", seen, err)
	}
}

// forgedCard is a card whose fields are changed before the vault's key signs.
func forgedCard(t *testing.T, v *Vault, c *Card, at int, with byte) []byte {
	good, err := v.FormatCard(c)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(good[:len(good)-signature])
	b[at] = with
	return append(b, seal.Sign(v.Keys.Signer(), seal.KindCard, v.ID, CardName(c.Device), b)...)
}

func TestCardThatBreaksARuleIsRefusedThoughTheVaultSignedIt(t *testing.T) {
	v, _ := fixed(t)
	card, _ := fixedDevice(t, v, 100)
	for what, c := range map[string]struct {
		at   int
		with byte
		want error
	}{
		"flag":              {6, 2, ErrNewer},
		"epoch 0":           {8, 0, ErrMalformed},
		"a later epoch":     {8, 9, seal.ErrNoEpoch},
		"another device":    {16, 0xEE, ErrMalformed},
		"write-only device": {32, 2, ErrNewer},
		"a cloned device":   {33, 2, ErrNewer},
		"signer of no kind": {33, 0, ErrNewer},
		"signed by and not": {34, 1, ErrMalformed},
		"signing key":       {50, 0, seal.ErrSealed},
		"another KEM":       {82, 0x21, ErrNewer},
		"HPKE key":          {84, 0xEE, seal.ErrSealed},
		"sealed length":     {116, 1, ErrMalformed},
		"sealed part":       {130, 0xEE, seal.ErrSealed},
	} {
		if _, err := v.ParseCard(card.Device, forgedCard(t, v, card, c.at, c.with)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	long := *card
	long.Name = strings.Repeat("n", MaxName+1)
	if _, err := v.FormatCard(&long); !errors.Is(err, ErrFull) {
		t.Errorf("name above the limit: %v, want ErrFull", err)
	}
}

func TestCardIsPutTwiceOnlyIfItIsTheSame(t *testing.T) {
	v, _ := fixed(t)
	card, _ := fixedDevice(t, v, 100)
	again := *card
	if err := v.PutCard(t.Context(), &again); err != nil || again.Hash != card.Hash {
		t.Errorf("the same card again: %v", err)
	}
	again.Name = "another name"
	if err := v.PutCard(t.Context(), &again); !errors.Is(err, storage.ErrExists) {
		t.Errorf("another card of that device: %v, want ErrExists", err)
	}
}

// After a crash at any write of init there is either no vault, or a vault
// that opens; and init run again then says which, or finishes.
func TestInitThatIsStoppedAnywhereLeavesAVaultOrNone(t *testing.T) {
	storagetest.Crashes(t, &storagetest.Memory{}, func(t *testing.T, s storage.Store) func(*testing.T, storagetest.Crash, *storagetest.Memory) {
		v, _ := fixed(t)
		v.Store = s
		err := v.PutConfig(t.Context())
		return func(t *testing.T, c storagetest.Crash, left *storagetest.Memory) {
			if (err == nil) != (c.Write == 0) {
				t.Errorf("init said %v", err)
			}
			found, err := Find(t.Context(), left, nil)
			wantNone := c.Write == 1 && !c.Persisted
			if wantNone != errors.Is(err, ErrNoVault) || !wantNone && (err != nil || found.ID != v.ID) {
				t.Errorf("found %v", err)
			}
			v.Store = left
			if err := v.PutConfig(t.Context()); wantNone != (err == nil) || !wantNone && !errors.Is(err, ErrVaultExists) {
				t.Errorf("init again: %v", err)
			}
			if err := v.RestoreConfig(t.Context()); err != nil {
				t.Errorf("putting the copy back: %v", err)
			}
			if problems := v.CheckConfig(t.Context()); len(problems) != 0 || fmt.Sprint(left.Names()) != "[vault-copy.json vault.json]" {
				t.Errorf("in the end %v, %v", left.Names(), problems)
			}
		}
	})
}
