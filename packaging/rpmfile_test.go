package packaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// builtRPM returns what the package builder makes, with one file.
func builtRPM(t testing.TB) []byte {
	t.Helper()
	source := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(source, []byte("#!/bin/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	info := &nfpm.Info{Name: "x", Arch: "noarch", Platform: "linux", Version: "1", Release: "1", MTime: time.Unix(1, 0)}
	info.RPM.Compression, info.RPM.BuildHost = rpmCompression, rpmBuildHost
	info.Contents = files.Contents{{Source: source, Destination: "/usr/bin/x", FileInfo: &files.ContentFileInfo{Mode: 0o755}}}
	var out bytes.Buffer
	if err := rpm.DefaultRPM.Package(info, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func signTest([]byte) ([]byte, error) { return []byte("signature"), nil }

func TestAFinishedRPMIsFinishedAlikeAgain(t *testing.T) {
	var once, twice bytes.Buffer
	if err := finishRPM(&once, builtRPM(t), signTest); err != nil {
		t.Fatal(err)
	}
	if err := finishRPM(&twice, once.Bytes(), signTest); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(once.Bytes(), twice.Bytes()) {
		t.Error("the second time it differs")
	}
}

func TestTruncatedPackagesAreAnError(t *testing.T) {
	good := builtRPM(t)
	for n := range len(good) {
		if err := finishRPM(io.Discard, good[:n], signTest); !errors.Is(err, errRPM) {
			t.Fatalf("%d of %d bytes: %v, want errRPM", n, len(good), err)
		}
	}
}

func TestHeadersThatClaimMoreThanThereIsAreAnError(t *testing.T) {
	for _, at := range []int{rpmLeadSize + 8, rpmLeadSize + 12} {
		bad := builtRPM(t)
		binary.BigEndian.PutUint32(bad[at:], 0xFFFFFFFF)
		if err := finishRPM(io.Discard, bad, signTest); !errors.Is(err, errRPM) {
			t.Errorf("count at %d: %v, want errRPM", at, err)
		}
	}
}

// full is a disk without space.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAFullDiskIsReported(t *testing.T) {
	if err := finishRPM(full{}, builtRPM(t), signTest); !errors.Is(err, errFull) {
		t.Errorf("error %v, want that of the disk", err)
	}
}

func FuzzFinishRPM(f *testing.F) {
	f.Add(builtRPM(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		if err := finishRPM(&out, data, signTest); err != nil {
			return
		}
		if _, _, _, err := splitRPM(out.Bytes()); err != nil {
			t.Fatalf("written, but not readable: %v", err)
		}
	})
}

func TestWrappedLinesKeepEveryWord(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "  * \n",
		"one":                  "  * one\n",
		"one two three four":   "  * one two\n    three four\n",
		"averyveryverylongone": "  * averyveryverylongone\n",
	} {
		if got := wrap(text, "  * ", "    ", 15); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
