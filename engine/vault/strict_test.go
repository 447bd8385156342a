package vault

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"holm.example/engine/seal"
)

// made is an operation whose payload is what f encodes.
func made(number, level uint64, f func(*encoder)) []byte {
	var p, e encoder
	f(&p)
	e.uv(number)
	e.uv(level)
	e.bytes(p.b)
	return e.b
}

// goodMeta is the shortest meta, up to the attributes.
func goodMeta(e *encoder) {
	e.raw([]byte{0, 0, 0, 0, 0}) // mode, uid, gid, user, group
	e.raw([]byte{0, 0, 0, 0})    // times
	e.raw([]byte{0, 0})          // file id, attributes
}

func goodEntry(e *encoder) { e.id(seal.ID{1}); e.text("n") }

// putOf is a Put whose node f encodes.
func putOf(f func(*encoder)) []byte {
	return made(3, 1, func(e *encoder) { goodEntry(e); f(e) })
}

// packOf is a PackAdd with those lists.
func packOf(size uint64, f func(*encoder)) []byte {
	return made(2, 1, func(e *encoder) { e.id(seal.ID{2}); e.uv(1); e.uv(size); f(e) })
}

// refused wants ErrMalformed for each of the encodings.
func refused(t *testing.T, encodings map[string][]byte) {
	t.Helper()
	for rule, b := range encodings {
		if op, err := ParseOperation(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", rule, op, err)
		}
	}
}

func TestOperationsAndPacksThatBreakARuleAreRefused(t *testing.T) {
	id, hash := seal.ID{1}, seal.Hash{1}
	long := bytes.Repeat([]byte{0x80}, 10)
	type e = *encoder
	refused(t, map[string][]byte{
		"nothing":                        {},
		"type not minimal":               {0x81, 0, 1, 0},
		"type above 64 bits":             append(bytes.Clone(long), 1),
		"level not minimal":              {1, 0x81, 0, 0},
		"payload not minimal":            {1, 1, 0x80, 0},
		"payload longer than it is":      {1, 1, 5, 0},
		"payload above the limit":        {1, 1, 0x81, 0x80, 0x80, 0x08},
		"payload length of all ones":     {1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"a byte after the operation":     append(made(6, 1, func(p e) { goodEntry(p); p.u8(1) }), 0),
		"a byte after the payload":       made(6, 1, func(p e) { goodEntry(p); p.u8(1); p.u8(0) }),
		"Source, path above the limit":   made(1, 1, func(p e) { p.id(id); p.text(strings.Repeat("p", MaxText+1)); p.text("linux") }),
		"Source, system above the limit": made(1, 1, func(p e) { p.id(id); p.text("/"); p.text(strings.Repeat("p", MaxText+1)) }),
		"PackAdd, epoch 0":               made(2, 1, func(p e) { p.id(id); p.uv(0); p.uv(100); p.uv(0); p.uv(0) }),
		"PackAdd, epoch above 32 bits":   made(2, 1, func(p e) { p.id(id); p.uv(1 << 32); p.uv(100); p.uv(0); p.uv(0) }),
		"PackAdd, object too large":      packOf(MaxPack+1, func(p e) { p.uv(0); p.uv(0) }),
		"PackAdd, smaller than frames":   packOf(63, func(p e) { p.uv(1); p.uv(40); p.uv(1); p.hash(hash); p.uv(9) }),
		"PackAdd, too many frames":       packOf(MaxPack, func(p e) { p.uv(MaxFrames + 1); p.raw(make([]byte, 4000)) }),
		"PackAdd, frames not there":      packOf(1000, func(p e) { p.uv(1000) }),
		"PackAdd, frame below its least": packOf(1000, func(p e) { p.uv(1); p.uv(29); p.uv(1); p.hash(hash); p.uv(1) }),
		"PackAdd, frame above its most":  packOf(MaxPack, func(p e) { p.uv(1); p.uv(FrameSize + 30); p.uv(1); p.hash(hash); p.uv(1) }),
		"PackAdd, too many chunks":       packOf(1000, func(p e) { p.uv(0); p.uv(MaxPackChunks + 1); p.raw(make([]byte, 40)) }),
		"PackAdd, chunk of nothing": packOf(1000, func(p e) {
			p.uv(1)
			p.uv(40)
			p.uv(2)
			p.hash(hash)
			p.uv(9)
			p.hash(hash)
			p.uv(0)
		}),
		"PackAdd, chunk above its most": packOf(MaxPack, func(p e) { p.uv(1); p.uv(40); p.uv(1); p.hash(hash); p.uv(MaxChunk + 1) }),
		"PackAdd, a frame too many": packOf(1000, func(p e) {
			p.uv(2)
			p.uv(40)
			p.uv(40)
			p.uv(1)
			p.hash(hash)
			p.uv(9)
		}),
		"PackAdd, a frame too few": packOf(1000, func(p e) { p.uv(1); p.uv(40); p.uv(1); p.hash(hash); p.uv(FrameSize + 1) }),
	})
}

func TestPutsThatBreakARuleAreRefused(t *testing.T) {
	id, hash := seal.ID{1}, seal.Hash{1}
	type e = *encoder
	refused(t, map[string][]byte{
		"Put, mode above 12 bits":      putOf(func(p e) { p.uv(0o10000) }),
		"Put, uid above 32 bits":       putOf(func(p e) { p.uv(0); p.uv(1 << 32) }),
		"Put, gid above 32 bits":       putOf(func(p e) { p.uv(0); p.uv(0); p.uv(1 << 32) }),
		"Put, nanoseconds of a second": putOf(func(p e) { p.raw([]byte{0, 0, 0, 0, 0}); p.zv(1); p.uv(1e9) }),
		"Put, attributes out of order": putOf(func(p e) {
			goodMeta(p)
			p.uv(2)
			p.text("b")
			p.text("")
			p.text("a")
			p.text("")
		}),
		"Put, an attribute twice": putOf(func(p e) {
			goodMeta(p)
			p.uv(2)
			p.text("a")
			p.text("")
			p.text("a")
			p.text("")
		}),
		"Put, too many attributes":    putOf(func(p e) { goodMeta(p); p.uv(MaxAttributes + 1); p.raw(make([]byte, 4096)) }),
		"Put, attribute too long":     putOf(func(p e) { goodMeta(p); p.uv(1); p.text("a"); p.text(strings.Repeat("v", MaxText+1)) }),
		"Put, link group 2":           putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 2}) }),
		"Put, link group of zeros":    putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 1}); p.id(seal.ID{}); p.u8(2); p.id(id) }),
		"Put, kind 0":                 putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 0}) }),
		"Put, kind 5":                 putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 5}) }),
		"Put, list level above 3":     putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 1, 9, 4, 0}) }),
		"Put, too many chunks":        putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 1, 9, 0}); p.uv(1025); p.raw(make([]byte, 32*1025)) }),
		"Put, chunks not there":       putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 1, 9, 0, 2}); p.hash(hash) }),
		"Put, target above the limit": putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 3}); p.text(strings.Repeat("t", MaxText+1)) }),
		"Put, special type 5":         putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 4, 5, 0, 0}) }),
		"Put, fifo with a major":      putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 4, 1, 1, 0}) }),
		"Put, socket with a minor":    putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 4, 4, 0, 1}) }),
		"Put, major above 32 bits":    putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 4, 2}); p.uv(1 << 32); p.uv(0) }),
	})
}

func TestOtherOperationsThatBreakARuleAreRefused(t *testing.T) {
	id, hash := seal.ID{1}, seal.Hash{1}
	type e = *encoder
	refused(t, map[string][]byte{
		"Delete, reason 3":            made(6, 1, func(p e) { goodEntry(p); p.u8(3) }),
		"Mark, label above the limit": made(7, 1, func(p e) { p.id(id); p.raw([]byte{0, 0}); p.text(strings.Repeat("l", MaxText+1)); p.uv(0) }),
		"Mark, sources not there":     made(7, 1, func(p e) { p.id(id); p.raw([]byte{0, 0, 0, 2}); p.id(id) }),
		"Mark, too many sources":      made(7, 1, func(p e) { p.id(id); p.raw([]byte{0, 0, 0}); p.uv(65537); p.raw(make([]byte, 16*65537)) }),
		"Policy, keys out of order":   made(8, 2, func(p e) { p.uv(2); p.text("b"); p.text(""); p.text("a"); p.text("") }),
		"Hold, 2":                     made(9, 2, func(p e) { p.id(id); p.id(id); p.u8(2) }),
		"Forget, marks not there":     made(10, 2, func(p e) { p.id(id); p.uv(1) }),
		"Condemn, seq of 17 digits":   made(11, 2, func(p e) { p.uv(1); p.id(id); p.uv(maxSeq + 1); p.id(id) }),
		"Condemn, seq 0":              made(11, 2, func(p e) { p.uv(1); p.id(id); p.uv(0); p.id(id) }),
		"Drop, seq 0": made(12, 2, func(p e) {
			p.uv(2)
			p.id(id)
			p.uv(1)
			p.id(id)
			p.id(id)
			p.uv(0)
			p.id(id)
		}),
		"Drop, packs not there":        made(12, 2, func(p e) { p.uv(3); p.id(id) }),
		"Checkpoint, tables not there": made(13, 2, func(p e) { p.uv(1); p.uv(2); p.hash(hash) }),
		"Adopt, seq of 17 digits":      made(14, 1, func(p e) { p.id(id); p.uv(maxSeq + 1); p.hash(hash) }),
		"Share, open 2":                made(15, 2, func(p e) { p.id(id); p.hash(hash); p.u8(2); p.uv(0) }),
	})
}

func TestOperationsWithoutAFaultAreRead(t *testing.T) {
	hash := seal.Hash{1}
	type e = *encoder
	for what, b := range map[string][]byte{ // the same makers, with nothing broken
		"PackAdd":            packOf(64, func(p e) { p.uv(1); p.uv(40); p.uv(1); p.hash(hash); p.uv(9) }),
		"Put":                putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 4, 1, 0, 0}) }),
		"Delete":             made(6, 1, func(p e) { goodEntry(p); p.u8(2) }),
		"symlink to nothing": putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 3, 0}) }),
		"block device":       putOf(func(p e) { goodMeta(p); p.raw([]byte{0, 0, 4, 3, 8, 1}) }),
		"no path":            made(1, 1, func(p e) { p.id(seal.ID{}); p.text(""); p.text("") }),
	} {
		if _, err := ParseOperation(b); err != nil {
			t.Errorf("%s without a fault: %v", what, err)
		}
	}
}

// The generators draw operations within the limits of the format.

func drawID(t *rapid.T) seal.ID { return seal.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")) }
func drawHash(t *rapid.T) seal.Hash {
	return seal.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
}

func drawIDs(t *rapid.T) (list []seal.ID) {
	for range rapid.IntRange(0, 4).Draw(t, "ids") {
		list = append(list, drawID(t))
	}
	return list
}

func drawTime(t *rapid.T) Time {
	return Time{rapid.Int64().Draw(t, "seconds"), rapid.Uint32Range(0, 999_999_999).Draw(t, "nanoseconds")}
}

func drawText(t *rapid.T) string {
	return string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "text"))
}

func drawEntry(t *rapid.T) EntryName {
	name := rapid.SliceOfN(rapid.Byte(), 1, MaxName).Filter(func(b []byte) bool { return CheckEntryName(string(b)) == nil })
	return EntryName{drawID(t), string(name.Draw(t, "name"))}
}

func drawChunks(t *rapid.T) Chunks {
	c := Chunks{Level: rapid.IntRange(0, MaxListLevel).Draw(t, "level")}
	for range rapid.IntRange(0, 5).Draw(t, "chunks") {
		c.IDs = append(c.IDs, drawHash(t))
	}
	return c
}

func drawAttributes(t *rapid.T) (list []Attribute) {
	name := ""
	for range rapid.IntRange(0, 4).Draw(t, "attributes") {
		name += string(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "more of the name")) // rises
		list = append(list, Attribute{name, drawText(t)})
	}
	return list
}

func drawNode(t *rapid.T) Node {
	u32 := rapid.Uint32()
	n := Node{Meta: Meta{Mode: rapid.Uint32Range(0, 0o7777).Draw(t, "mode"), UID: u32.Draw(t, "uid"), GID: u32.Draw(t, "gid"),
		User: drawText(t), Group: drawText(t), ModTime: drawTime(t), ChangeTime: drawTime(t), FileID: rapid.Uint64().Draw(t, "file id"),
		WinAttrs: u32.Draw(t, "attributes"), Attributes: drawAttributes(t)}}
	if rapid.Bool().Draw(t, "linked") {
		n.Meta.LinkGroup = drawID(t)
	}
	n.Kind = EntryKind(rapid.IntRange(1, 4).Draw(t, "kind"))
	switch n.Kind {
	case KindFile:
		n.SizeBytes, n.Chunks = rapid.Uint64().Draw(t, "size"), drawChunks(t)
	case KindDirectory:
		n.Directory = drawID(t)
	case KindSymlink:
		n.Target = drawText(t)
	case KindSpecial:
		n.Special = SpecialType(rapid.IntRange(1, 4).Draw(t, "special"))
		if n.Special == CharDevice || n.Special == BlockDevice {
			n.Major, n.Minor = u32.Draw(t, "major"), u32.Draw(t, "minor")
		}
	}
	return n
}

func drawPackAdd(t *rapid.T) *PackAdd {
	o := &PackAdd{Random: drawID(t), Epoch: rapid.Uint32Min(1).Draw(t, "epoch"), Chunks: []ChunkInfo{}}
	var stream uint64
	for range rapid.IntRange(0, 5).Draw(t, "chunks") {
		c := ChunkInfo{drawHash(t), rapid.Uint32Range(1, MaxChunk).Draw(t, "length")}
		o.Chunks = append(o.Chunks, c)
		stream += uint64(c.SizeBytes)
	}
	o.SizeBytes = headSize + footerSize + 100
	for range (stream + FrameSize - 1) / FrameSize {
		f := rapid.Uint32Range(minSealedFrame, maxSealedFrame).Draw(t, "frame")
		o.Frames = append(o.Frames, f)
		o.SizeBytes += uint64(f)
	}
	return o
}

func drawPacks(t *rapid.T) (list []PackID) {
	for range rapid.IntRange(0, 3).Draw(t, "packs") {
		list = append(list, PackID{drawID(t), drawSeq(t), drawID(t)})
	}
	return list
}

func drawSeq(t *rapid.T) uint64 { return rapid.Uint64Range(1, maxSeq).Draw(t, "seq") }

func drawOperation(t *rapid.T) Operation {
	switch rapid.IntRange(1, 16).Draw(t, "type") {
	case 1:
		return &Source{drawID(t), drawText(t), drawText(t)}
	case 2:
		return drawPackAdd(t)
	case 3:
		return &Put{drawEntry(t), drawNode(t)}
	case 4:
		return &Part{drawEntry(t), rapid.Uint64().Draw(t, "offset"), rapid.Uint64().Draw(t, "length"), drawChunks(t)}
	case 5:
		return &MoveDir{drawID(t), drawEntry(t)}
	case 6:
		return &Delete{drawEntry(t), DeleteReason(rapid.IntRange(1, 2).Draw(t, "reason"))}
	case 7:
		return &Mark{drawID(t), drawTime(t), drawText(t), drawIDs(t)}
	case 8:
		return &Policy{drawAttributes(t)}
	case 9:
		return &Hold{drawID(t), drawID(t), rapid.Bool().Draw(t, "held")}
	case 10:
		return &Forget{drawID(t), drawIDs(t)}
	case 11:
		return &Condemn{drawPacks(t)}
	case 12:
		return &Drop{drawPacks(t)}
	case 13:
		o := &Checkpoint{Seq: drawSeq(t), Root: drawHash(t)}
		for range rapid.IntRange(0, 3).Draw(t, "tables") {
			o.Tables = append(o.Tables, TableRef{drawID(t), rapid.Uint64().Draw(t, "size"), drawHash(t)})
		}
		return o
	case 14:
		return &Adopt{drawID(t), drawSeq(t), drawHash(t)}
	case 15:
		return &Share{drawID(t), drawHash(t), rapid.Bool().Draw(t, "open"), drawIDs(t)}
	}
	payload := rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "payload")
	return &Unknown{rapid.Uint64Min(16).Draw(t, "type"), rapid.Uint64().Draw(t, "since"), payload}
}

func TestEveryOperationOneCanDrawComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		op := drawOperation(t)
		b := AppendOperation([]byte("x"), op)[1:]
		got, err := ParseOperation(b)
		if err != nil {
			t.Fatalf("%+v: %v", op, err)
		}
		// %#v also shows a difference of types, and nil beside empty.
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", op) || !bytes.Equal(AppendOperation(nil, got), b) {
			t.Fatalf("%+v comes back as %+v", op, got)
		}
	})
}

func TestPaddedSizesAreThoseOfTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.Uint64Range(2, MaxPack).Draw(t, "size")
		// E = ⌊log2 L⌋, S = ⌊log2 E⌋ + 1, rounded up to a multiple of 2^(E−S)
		floorLog2 := func(n uint64) uint64 { return uint64(bits.Len64(n)) - 1 }
		e := floorLog2(l)
		unit := uint64(1)
		if e > 0 && e > floorLog2(e)+1 {
			unit = 1 << (e - floorLog2(e) - 1)
		}
		if want := (l + unit - 1) / unit * unit; padme(l) != want {
			t.Fatalf("padme(%d) = %d, the formula says %d", l, padme(l), want)
		}
	})
}

func TestHeadRefusesWhatItDoesNotKnow(t *testing.T) {
	good := appendHead(nil, seal.KindPack, 0, 3)
	if epoch, err := parseHead(good, seal.KindPack, 0); err != nil || epoch != 3 || len(good) != headSize {
		t.Fatalf("epoch %d, %v", epoch, err)
	}
	for what, c := range map[string]struct {
		at   int
		with byte
		want error
	}{
		"magic":          {0, 'H', ErrMalformed},
		"kind":           {4, 'j', ErrMalformed},
		"version 0":      {5, 0, ErrNewer},
		"version 2":      {5, 2, ErrNewer},
		"parity flag":    {6, 1, ErrNewer},
		"unknown flag":   {7, 0x80, ErrNewer},
		"epoch 0":        {8, 0, ErrMalformed},
		"recipients 1":   {12, 1, ErrNewer},
		"recipients 2³¹": {15, 0x80, ErrNewer},
	} {
		bad := bytes.Clone(good)
		bad[c.at] = c.with
		if _, err := parseHead(bad, seal.KindPack, 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if _, err := parseHead(good[:15], seal.KindPack, 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("cut: %v", err)
	}
	if _, err := parseHead(appendHead(nil, seal.KindFence, 0, 1), seal.KindFence, 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("a fence of an epoch: %v", err)
	}
}

func TestFeaturesAreLowerCaseWordsInOrder(t *testing.T) {
	v, _ := fixed(t)
	for words, good := range map[string]bool{
		"parity": true, "a b2 c-d": true, "b a": false, "a a": false, "Parity": false, "é": false, "a  b": false, "a<b": false} {
		c := v.Config
		c.Features.Collect = strings.Split(words, " ")
		_, err := ParseConfig(FormatConfig(c))
		if (err == nil) != good || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", words, err)
		}
	}
	for _, number := range []string{"2", "4294967297", "9223372036854775807"} {
		text := strings.Replace(string(FormatConfig(v.Config)), `"format": 1`, `"format": `+number, 1)
		if _, err := ParseConfig([]byte(text)); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), number) {
			t.Errorf("format %s: %v, want ErrNewer that names it", number, err)
		}
	}
}

func TestCompressedPayloadIsOneFrameAndNothingElse(t *testing.T) {
	v, _ := fixed(t)
	data := bytes.Repeat([]byte("oak "), 5000)
	one := v.codec.enc.EncodeAll(data, nil)
	summed, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, payload []byte, size int, exact, good bool) {
		t.Helper()
		got, err := v.codec.inflate([]byte("before"), methodZstd, payload, size, exact)
		if good && (err != nil || !bytes.Equal(got, append([]byte("before"), data...))) {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
		if !good && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d bytes, %v, want ErrMalformed", what, len(got), err)
		}
	}
	check("as written", one, len(data), true, true)
	check("with a checksum", summed.EncodeAll(data, nil), len(data), true, true)
	check("room for more", one, len(data)+1, false, true)
	check("shorter than wanted", one, len(data)+1, true, false)
	check("longer than wanted", one, len(data)-1, false, false)
	check("a byte more", append(bytes.Clone(one), 0), len(data), true, false)
	check("an empty frame more", append(bytes.Clone(one), v.codec.enc.EncodeAll([]byte{}, nil)...), len(data), true, false)
	check("a frame more", append(bytes.Clone(one), one...), 2*len(data), true, false)
	check("a skippable frame after it", append(bytes.Clone(one), 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7), len(data), true, false)
	check("a skippable frame before it", append([]byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7}, one...), len(data), true, false)
	// One that wants a dictionary: the flag of one byte, and that byte.
	check("a dictionary", slices.Insert(append(bytes.Clone(one[:4]), append([]byte{one[4] | 1}, one[5:]...)...), 5, 7), len(data), true, false)
	check("nothing", nil, 0, true, false)
	for n := range one {
		check(fmt.Sprintf("cut to %d", n), one[:n], len(data), true, false)
	}
	if _, err := v.codec.inflate(nil, 2, data, len(data), true); !errors.Is(err, ErrMalformed) {
		t.Errorf("method 2: %v", err)
	}
}
