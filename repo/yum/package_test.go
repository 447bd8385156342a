package yum_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	rpmutils "github.com/sassoftware/go-rpmutils"

	"github.com/goreleaser/nfpm/v2"

	"holm.example/repo/yum"
)

func TestAPackageIsDescribedByItsOwnHeaders(t *testing.T) {
	data := buildRPM(t, nil)
	p, err := yum.ReadPackage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if p.FileName() != "holm-1.2.3-1.x86_64.rpm" || p.Size != int64(len(data)) || p.SHA256 != sha256.Sum256(data) {
		t.Errorf("read %s, %d bytes, %x", p.FileName(), p.Size, p.SHA256)
	}
	if !bytes.Equal(p.Header, data[p.HeaderStart:p.HeaderEnd]) {
		t.Error("the header is not where it is said to be")
	}
	h, err := rpmutils.ReadHeader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if r := h.GetRange(); int64(r.Start) != p.HeaderStart || int64(r.End) != p.HeaderEnd {
		t.Errorf("header at %d to %d, another reader says %+v", p.HeaderStart, p.HeaderEnd, r)
	}
}

func TestEveryTruncationOfAPackageIsRefused(t *testing.T) {
	data := buildRPM(t, nil)
	for n := range len(data) {
		if _, err := yum.ReadPackage(bytes.NewReader(data[:n])); !errors.Is(err, yum.ErrFormat) && !errors.Is(err, yum.ErrDigest) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := yum.ReadPackage(bytes.NewReader(append(data, 0))); !errors.Is(err, yum.ErrDigest) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestEveryFlippedByteOfHeaderOrPayloadIsNoticed(t *testing.T) {
	data := buildRPM(t, nil)
	p, err := yum.ReadPackage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for at := p.HeaderStart; at < p.Size; at++ {
		data[at] ^= 0x41
		if _, err := yum.ReadPackage(bytes.NewReader(data)); err == nil {
			t.Fatalf("byte %d flipped, and nobody noticed", at)
		}
		data[at] ^= 0x41
	}
}

// A headerSpec is a header as bytes; sizes that lie are wanted.
type headerSpec struct {
	entries, size uint32
	table         []uint32
	store         string
}

func (h headerSpec) bytes() []byte {
	out := []byte{0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0}
	for _, n := range append([]uint32{h.entries, h.size}, h.table...) {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return append(out, h.store...)
}

// rpmOf puts a main header behind a correct lead and signature header.
func rpmOf(main []byte) []byte {
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00")
	sum := sha256.Sum256(main)
	signature := headerSpec{1, 65, []uint32{273, 6, 0, 1}, hex.EncodeToString(sum[:]) + "\x00"}.bytes()
	signature = append(signature, make([]byte, 7)...)
	return append(append(lead, signature...), main...)
}

func TestHostileHeadersAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		main []byte
		want error
	}{
		"no magic":                {[]byte(strings.Repeat("x", 64)), yum.ErrFormat},
		"entries without end":     {headerSpec{entries: 0xffffffff}.bytes(), yum.ErrTooLarge},
		"store without end":       {headerSpec{size: 0xffffffff}.bytes(), yum.ErrTooLarge},
		"store of 8 MiB and more": {headerSpec{size: 8<<20 + 1}.bytes(), yum.ErrTooLarge},
		"store that is not there": {headerSpec{size: 1 << 20}.bytes(), yum.ErrFormat},
		"offset behind the store": {headerSpec{1, 4, []uint32{1000, 6, 5, 1}, "abc\x00"}.bytes(), yum.ErrFormat},
		"negative offset":         {headerSpec{1, 4, []uint32{1000, 6, 0xfffffff0, 1}, "abc\x00"}.bytes(), yum.ErrFormat},
		"count behind the store":  {headerSpec{1, 4, []uint32{1000, 4, 0, 2}, "abcd"}.bytes(), yum.ErrFormat},
		"count that overflows":    {headerSpec{1, 4, []uint32{1000, 5, 0, 0x20000001}, "abcd"}.bytes(), yum.ErrFormat},
		"no values":               {headerSpec{1, 4, []uint32{1000, 4, 0, 0}, "abcd"}.bytes(), yum.ErrFormat},
		"string without end":      {headerSpec{1, 4, []uint32{1000, 6, 0, 1}, "abcd"}.bytes(), yum.ErrFormat},
		"more strings than there": {headerSpec{1, 4, []uint32{1000, 8, 0, 4}, "ab\x00\x00"}.bytes(), yum.ErrFormat},
		"unknown type":            {headerSpec{1, 4, []uint32{1000, 99, 0, 1}, "abcd"}.bytes(), yum.ErrFormat},
		"tag twice":               {headerSpec{2, 4, []uint32{1000, 7, 0, 1, 1000, 7, 1, 1}, "abcd"}.bytes(), yum.ErrFormat},
		"values that overlap":     {headerSpec{3, 4, []uint32{1000, 7, 0, 3, 1001, 7, 1, 3, 1002, 7, 0, 4}, "abcd"}.bytes(), yum.ErrFormat},
		"no payload digest":       {headerSpec{1, 5, []uint32{1000, 6, 0, 1}, "holm\x00"}.bytes(), yum.ErrDigest},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := yum.ReadPackage(bytes.NewReader(rpmOf(tc.main))); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestAHeaderOfNothingButNamesCostsLittle(t *testing.T) {
	const names = 8<<20 - 128
	// Name, version, release and architecture as they should be, so that the
	// reader comes as far as the list of files.
	store := "holm\x001\x001\x00noarch\x00s\x00" + strings.Repeat("0", 64) + "\x00" + strings.Repeat("\x00", names+1)
	empty := sha256.Sum256(nil)
	store = strings.Replace(store, strings.Repeat("0", 64), hex.EncodeToString(empty[:]), 1)
	numbers := len(store)
	store += "\x00\x00\x00\x08"
	file := rpmOf(headerSpec{8, uint32(len(store)), []uint32{
		1000, 6, 0, 1, 1001, 6, 5, 1, 1002, 6, 7, 1, 1022, 6, 9, 1, 1044, 6, 16, 1,
		5092, 8, 18, 1, 5093, 4, uint32(numbers), 1, 1117, 8, 18 + 65, names,
	}, store}.bytes())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := yum.ReadPackage(bytes.NewReader(file))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, yum.ErrTooLarge) || !strings.Contains(err.Error(), "1117") {
		t.Errorf("%v", err)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 96 {
		t.Errorf("took %d MiB", took)
	}
}

func TestPackagesWhoseNamesCouldClimbAreRefused(t *testing.T) {
	for name, change := range map[string]func(*nfpm.Info){
		"name":         func(i *nfpm.Info) { i.Name = "../holm" },
		"version":      func(i *nfpm.Info) { i.Version, i.VersionSchema = "1/../2", "none" },
		"release":      func(i *nfpm.Info) { i.Release = "1/x" },
		"architecture": func(i *nfpm.Info) { i.Arch = "x/y" },
		"control text": func(i *nfpm.Info) { i.Vendor = "a\x01b" },
	} {
		t.Run(name, func(t *testing.T) {
			p, err := yum.ReadPackage(bytes.NewReader(buildRPM(t, change)))
			if err == nil {
				_, err = p.Entry("pkgs/")
			}
			if !errors.Is(err, yum.ErrFormat) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestDirectoriesAreNamedForWhatClientsCallThem(t *testing.T) {
	for arch, want := range map[string]string{"x86_64": "x86_64", "i686": "i386", "i386": "i386", "aarch64": "aarch64",
		"armv7hl": "armhfp armv6hl", "noarch": "x86_64 i386 aarch64 armhfp armv6hl", "src": "", "ppc64le": ""} {
		if got := strings.Join(yum.BaseArchs(arch), " "); got != want {
			t.Errorf("%s: %q, want %q", arch, got, want)
		}
	}
}

func FuzzReadPackage(f *testing.F) {
	f.Add(buildRPM(f, nil))
	f.Add(rpmOf(headerSpec{1, 5, []uint32{1000, 6, 0, 1}, "holm\x00"}.bytes()))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := yum.ReadPackage(bytes.NewReader(data))
		if err != nil {
			return
		}
		e, err := p.Entry("../../../pkgs/")
		if err != nil {
			return
		}
		md := yum.FormatRepodata([]yum.Entry{e}, 1)
		var open [3][]byte
		for i, d := range md.Data {
			if open[i], err = d.Open(d.Bytes()); err != nil {
				t.Fatal(err)
			}
		}
		again, err := yum.ParseEntries(open[0], open[1], open[2])
		if err != nil || len(again) != 1 || !again[0].Same(e) || again[0].Href != e.Href {
			t.Fatalf("entry does not read back: %v\n%s", err, e.Primary)
		}
	})
}
