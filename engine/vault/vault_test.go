package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// counting is n bytes that count up from first: secrets that everybody knows.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// fixed is a vault whose secrets are known, in an empty store.
func fixed(t testing.TB) (*Vault, *storagetest.Memory) {
	t.Helper()
	keys := &seal.Keyring{VaultSecret: seal.Key(counting(0, 32)), Epochs: map[uint32]seal.Key{1: seal.Key(counting(32, 32))}}
	c := Config{Nonce: seal.ID(counting(64, 16)), Chunker: DefaultChunker()}
	copy(c.Signer[:], keys.Signer().Public().(ed25519.PublicKey))
	store := &storagetest.Memory{}
	v, err := New(store, c, keys)
	if err != nil {
		t.Fatal(err)
	}
	return v, store
}

// fixedDevice is a device of it, with its card in the store.
func fixedDevice(t testing.TB, v *Vault, first byte) (*Card, ed25519.PrivateKey) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(counting(first, 32))
	dk, err := seal.NewDeviceKey(seal.Key(counting(first+32, 32)))
	if err != nil {
		t.Fatal(err)
	}
	c := &Card{Device: seal.ID(counting(first, 16)), Signing: [32]byte(key.Public().(ed25519.PublicKey)),
		HPKE: [32]byte(dk.Public()), Name: "oak", Created: Time{1_700_000_000, 5}}
	if err := v.PutCard(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return c, key
}

// everyOperation has one of each, with every field set.
func everyOperation() []Operation {
	id := func(n byte) seal.ID { return seal.ID(counting(n, 16)) }
	hash := func(n byte) seal.Hash { return seal.Hash(counting(n, 32)) }
	meta := Meta{Mode: 0o4755, UID: 1000, GID: 100, User: "ann", Group: "users", ModTime: Time{1_700_000_000, 123_456_789},
		ChangeTime: Time{-5, 999_999_999}, FileID: 42, WinAttrs: 32,
		Attributes: []Attribute{{"user.a", "\x00\xff"}, {"user.b", ""}}, LinkGroup: id(9)}
	return []Operation{
		&Source{id(1), "/home/ann\xff", "linux"},
		&PackAdd{id(2), 1, 5000, []uint32{3000, 40}, []ChunkInfo{{hash(1), FrameSize}, {hash(2), 7}}},
		&Put{EntryName{id(1), "caf\xe9"}, Node{Meta: meta, Kind: KindFile, SizeBytes: 1 << 40, Chunks: Chunks{1, []seal.Hash{hash(3)}}}},
		&Put{EntryName{id(1), "dir"}, Node{Meta: meta, Kind: KindDirectory, Directory: id(3)}},
		&Put{EntryName{id(1), "link"}, Node{Meta: Meta{Mode: 0o777}, Kind: KindSymlink, Target: "../no/where"}},
		&Put{EntryName{id(1), "fifo"}, Node{Kind: KindSpecial, Special: FIFO}},
		&Put{EntryName{id(1), "dev"}, Node{Kind: KindSpecial, Special: BlockDevice, Major: 8, Minor: 1 << 20}},
		&Part{EntryName{id(1), "huge"}, 1 << 30, 1 << 20, Chunks{0, []seal.Hash{hash(4), hash(5)}}},
		&MoveDir{id(3), EntryName{id(4), "moved"}},
		&Delete{EntryName{id(1), "old"}, Unselected},
		&Mark{id(5), Time{1_800_000_000, 1}, "before the storm", []seal.ID{id(1), id(6)}},
		&Policy{[]Attribute{{"keep", "30d"}}},
		&Hold{id(1), id(5), true},
		&Forget{id(1), []seal.ID{id(5)}},
		&Condemn{[]PackID{{id(1), 7, id(2)}}},
		&Drop{[]PackID{{id(1), 7, id(2)}}},
		&Checkpoint{9, []TableRef{{id(7), 4096, hash(6)}}, hash(7)},
		&Adopt{id(1), 12, hash(8)},
		&Share{id(8), [32]byte(counting(7, 32)), true, []seal.ID{id(3)}},
		&Unknown{4711, 3, []byte("later")},
	}
}

func TestEveryOperationReadsAsItWasWritten(t *testing.T) {
	for _, op := range everyOperation() {
		b := AppendOperation(nil, op)
		got, err := ParseOperation(b)
		if err != nil {
			t.Errorf("%T: %v", op, err)
		} else if !reflect.DeepEqual(got, op) {
			t.Errorf("%T: read as %+v, want %+v", op, got, op)
		}
		for n := range b {
			if _, err := ParseOperation(b[:n]); err == nil {
				t.Errorf("%T cut to %d of %d bytes parses", op, n, len(b))
			}
		}
		if _, err := ParseOperation(append(b, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%T with a byte after it: %v", op, err)
		}
	}
}

func TestKnownOperationOfLaterLevelIsUnknown(t *testing.T) {
	b := AppendOperation(nil, &Delete{EntryName{seal.ID{1}, "x"}, Gone})
	b[1] = 2
	op, err := ParseOperation(b)
	if u, ok := op.(*Unknown); err != nil || !ok || LevelOf(u) != 2 {
		t.Fatalf("got %#v, %v", op, err)
	}
}

func TestNamesThatNoTreeHasAreRefused(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a\x00b", strings.Repeat("x", MaxName+1)} {
		b := AppendOperation(nil, &Delete{EntryName{seal.ID{1}, name}, Gone})
		if _, err := ParseOperation(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func FuzzParseOperation(f *testing.F) {
	for _, op := range everyOperation() {
		f.Add(AppendOperation(nil, op))
	}
	f.Add([]byte{2, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{3, 1, 5, 0x80, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		op, err := ParseOperation(b)
		if err != nil {
			return
		}
		if again := AppendOperation(nil, op); !bytes.Equal(again, b) {
			t.Fatalf("%x reads as %#v, written %x", b, op, again)
		}
	})
}

func FuzzParseNode(f *testing.F) {
	for _, op := range everyOperation() {
		if p, ok := op.(*Put); ok {
			f.Add(AppendNode(nil, &p.Node))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParseNode(b)
		if err == nil && !bytes.Equal(AppendNode(nil, &n), b) {
			t.Fatalf("%x is not the one form of %#v", b, n)
		}
	})
}

func FuzzParseSegmentBody(f *testing.F) {
	v, _ := fixed(f)
	f.Add([]byte{0, 3, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 9, 0, 0, 0, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0xff, 0, 0, 0})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Segment{Head: Head{Seq: 1}}
		if v.parseBody(s, b) == nil {
			_ = s.Each(func(int, Operation) error { return nil }) // must end, whatever it says
		}
	})
}

func FuzzParseTrailer(f *testing.F) {
	var e encoder
	e.uv(1)
	e.framesAndChunks([]uint32{40}, []ChunkInfo{{seal.Hash{1}, 5}})
	f.Add(e.b)
	f.Add(append(e.b, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		var add PackAdd
		if err := parseTrailer(b, 1, &add, 64); err == nil && len(add.Frames) != 1 {
			t.Fatalf("%d frames in 64 bytes", len(add.Frames))
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	v, _ := fixed(f)
	f.Add(FormatConfig(v.Config))
	f.Add([]byte(`{"format": 2}`))
	f.Add([]byte(`{"format":1,"format":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err == nil && !bytes.Equal(FormatConfig(c), b) {
			t.Fatalf("%q is not the one form", b)
		}
	})
}

func FuzzParseNames(f *testing.F) {
	f.Add(PackID{seal.ID{1}, 10_007, seal.ID{2}}.Name())
	f.Add(SegmentName(seal.ID{1}, 10_007))
	f.Add("packs/x/y/z")
	f.Fuzz(func(t *testing.T, name string) {
		if p, err := ParsePackName(name); err == nil && p.Name() != name {
			t.Fatalf("pack %q is named %q", name, p.Name())
		}
		if d, seq, err := ParseSegmentName(name); err == nil && SegmentName(d, seq) != name {
			t.Fatalf("segment %q is named %q", name, SegmentName(d, seq))
		}
	})
}

func TestPaddedSizesTellLittle(t *testing.T) {
	for _, c := range []struct{ n, want uint64 }{{0, 0}, {1, 1}, {9, 10}, {100, 104}, {1000, 1024}, {1_000_000, 1_015_808}, {64<<20 + 1, 66 << 20}} {
		if got := padme(c.n); got != c.want {
			t.Errorf("padme(%d) = %d, want %d", c.n, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		n := r.Uint64N(1 << 40)
		if p := padme(n); p < n || float64(p) > 1.12*float64(n)+1 || padme(p) != p {
			t.Fatalf("padme(%d) = %d", n, p)
		}
	}
}

func TestConfigOfOthersIsRefusedWithItsReason(t *testing.T) {
	v, _ := fixed(t)
	good := string(FormatConfig(v.Config))
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"newer format":     {strings.Replace(good, `"format": 1`, `"format": 7`, 1), ErrNewer},
		"unknown field":    {strings.Replace(good, `"cipher"`, "\"more\": 1,\n  \"cipher\"", 1), ErrMalformed},
		"other spacing":    {good + "\n", ErrMalformed},
		"upper case id":    {strings.Replace(good, "404142434445464748494a", "404142434445464748494A", 1), ErrMalformed},
		"huge chunks":      {strings.Replace(good, "4194304", "99999999", 1), ErrMalformed},
		"odd average":      {strings.Replace(good, "1048576", "1048577", 1), ErrMalformed},
		"empty":            {"", ErrMalformed},
		"too long":         {good + strings.Repeat(" ", MaxConfig), ErrMalformed},
		"another cipher":   {strings.Replace(good, "aes-256-gcm", "rot13", 1), ErrMalformed},
		"null for a list":  {strings.Replace(good, `"read": []`, `"read": null`, 1), ErrMalformed},
		"duplicate fields": {strings.Replace(good, `"format": 1,`, "\"format\": 1,\n  \"format\": 1,", 1), ErrMalformed},
	} {
		if c.text == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, err := ParseConfig([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestUnknownFeatureIsNamed(t *testing.T) {
	v, store := fixed(t)
	v.Config.Features.Read = []string{"parity", "poetry"}
	store.Replace(ConfigName, FormatConfig(v.Config))
	_, err := Find(t.Context(), store, nil)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "poetry") {
		t.Fatalf("got %v", err)
	}
	v.Config.Features = Features{Write: []string{"opaque-devices"}}
	store.Replace(ConfigName, FormatConfig(v.Config))
	found, err := Find(t.Context(), store, nil)
	if err != nil {
		t.Fatalf("reading is allowed: %v", err)
	}
	if err := found.Config.CheckWrite(); !errors.Is(err, ErrNewer) {
		t.Fatalf("writing: %v", err)
	}
}

func TestSecondCopyOfTheConfigServesForTheFirst(t *testing.T) {
	v, store := fixed(t)
	if err := v.PutConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.PutConfig(t.Context()); !errors.Is(err, ErrVaultExists) {
		t.Fatalf("second init: %v", err)
	}
	good := FormatConfig(v.Config)
	for name, first := range map[string][]byte{"missing": nil, "cut": good[:50], "changed": bytes.Replace(good, []byte("a"), []byte("b"), 1)} {
		store.Replace(ConfigName, first)
		if _, err := Find(t.Context(), store, &v.ID); err != nil {
			t.Errorf("first copy %s: %v", name, err)
		}
		if problems := v.CheckConfig(t.Context()); len(problems) != 1 || !errors.Is(problems[0], ErrDamaged) {
			t.Errorf("first copy %s: check finds %v", name, problems)
		}
	}
	other := v.Config
	other.Nonce[0]++
	store.Replace(ConfigName, FormatConfig(other))
	if _, err := Find(t.Context(), store, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("copies that differ: %v", err)
	}
	store.Replace(ConfigName, nil)
	store.Replace(ConfigCopyName, nil)
	if _, err := Find(t.Context(), store, nil); !errors.Is(err, ErrNoVault) {
		t.Errorf("no copy: %v", err)
	}
}

func get(t *testing.T, s storage.Store, name string) []byte {
	t.Helper()
	b, err := s.Get(context.Background(), name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
