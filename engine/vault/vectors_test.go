package vault

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"holm.example/engine/seal"
)

// vectors computes what section 14 of the specification lists.
func vectors(t *testing.T) []string {
	v, store := fixed(t)
	var lines []string
	add := func(name string, b []byte) { lines = append(lines, name+" = "+hex.EncodeToString(b)) }
	sum := func(name string, b []byte) {
		h := seal.Sum(b)
		lines = append(lines, fmt.Sprintf("H(%s) = %x (%d bytes)", name, h, len(b)))
	}
	var e encoder
	e.uv(300)
	add("uv 300", e.b)
	e = encoder{}
	e.zv(-3)
	add("zv -3", e.b)
	e = encoder{}
	e.time(Time{-1, 5})
	add("time -1 s, 5 ns", e.b)
	for _, n := range []uint64{9, 1000, 64<<20 + 1} {
		lines = append(lines, fmt.Sprintf("Padmé(%d) = %d", n, padme(n)))
	}
	id := func(n byte) seal.ID { return seal.ID(counting(n, 16)) }
	add("Delete", AppendOperation(nil, &Delete{EntryName{id(1), "old"}, Gone}))
	add("Mark", AppendOperation(nil, &Mark{id(5), Time{1_800_000_000, 1}, "oak", []seal.ID{id(1)}}))
	add("Put", AppendOperation(nil, &Put{EntryName{id(1), "a\xff"}, Node{Meta: Meta{Mode: 0o644, UID: 1000, GID: 100, ModTime: Time{1_700_000_000, 7}},
		Kind: KindFile, SizeBytes: 5, Chunks: Chunks{0, []seal.Hash{v.Keys.ChunkKey().ID([]byte("hello"))}}}}))
	sum("vault.json", FormatConfig(v.Config))
	pid := PackID{id(100), 1, id(200)}
	padd := putPack(t, v, pid, []byte("hello"))
	pack := get(t, store, pid.Name())
	sum("pack", pack)
	add("frame 0 of the pack", pack[headSize:headSize+int(padd.Frames[0])])
	card, key := fixedDevice(t, v, 100)
	sum("card", get(t, store, CardName(card.Device)))
	putSegment(t, v, key, Head{card.Device, 0, card.Hash}, padd)
	segment := get(t, store, SegmentName(card.Device, 1))
	sum("segment", segment)
	add("segment", segment)
	f := &Fence{Head: Head{Device: id(150), Seq: 3}, Previous: seal.Hash(counting(1, 32)), By: Head{card.Device, 1, seal.Sum(segment)}}
	sum("fence", v.FormatFence(f, key))
	for _, op := range everyOperation() {
		number, _ := op.opType()
		sum(fmt.Sprintf("operation of type %d", number), AppendOperation(nil, op))
	}
	return lines
}

func TestLimitsAreThoseOfTheSpecification(t *testing.T) {
	doc, err := os.ReadFile("../../docs/vault-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## 12. ")
	section, _, _ = strings.Cut(section, "\n## 13. ")
	for name, value := range map[string]uint64{"MaxConfig": MaxConfig, "MaxKeyObject": seal.MaxKeyObject, "MaxEpochs": seal.MaxEpochs,
		"MaxCard": MaxCard, "MaxSegment": MaxSegment, "MaxClaims": MaxClaims, "MaxOperations": MaxOperations, "FrameSize": FrameSize,
		"MaxFrames": MaxFrames, "MaxPackChunks": MaxPackChunks, "MaxTrailer": MaxTrailer, "MaxPack": MaxPack, "MaxChunk": MaxChunk,
		"MaxInlineChunks": MaxInlineChunks, "ListPiece": ListPiece, "MaxListLevel": MaxListLevel, "MaxName": MaxName, "MaxText": MaxText,
		"MaxAttributes": MaxAttributes, "MaxMarkSources": MaxMarkSources, "MaxDepth": MaxDepth} {
		_, row, ok := strings.Cut(section, "| "+name+" | ")
		number, unit, _ := strings.Cut(strings.SplitN(row, " |", 2)[0], " ")
		got, err := strconv.ParseUint(strings.ReplaceAll(number, ",", ""), 10, 64)
		got <<= map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[unit]
		if !ok || err != nil || got != value {
			t.Errorf("%s: the specification says %s %s, the code %d", name, number, unit, value)
		}
	}
}

func TestVectorsAreThoseOfTheSpecification(t *testing.T) {
	doc, err := os.ReadFile("../../docs/vault-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## 14. ")
	if !ok {
		t.Fatal("no section 14")
	}
	for _, line := range vectors(t) {
		if !strings.Contains(section, line+"\n") {
			t.Errorf("not in the specification: %s", line)
		}
	}
}
