package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
)

// golden is the vault that all later code must open. HOLM_WRITE_GOLDEN=1
// makes it anew, which release 1.0 forbids.
const golden = "testdata/v1"

// listing is a snapshot as text: what a restore reproduces on any system, and
// the hash of every file.
func listing(t *testing.T, e *Engine, s Snapshot) (lines []string) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "to")
	r, err := e.Restore(t.Context(), RestoreOptions{At: s.ID, To: to})
	if err != nil || len(r.Problems) > 0 {
		t.Fatal(r.Problems, err)
	}
	root := s.Paths[0]
	err = e.List(t.Context(), ListOptions{At: s.ID, Recursive: true}, func(entry Entry) error {
		rel := strings.TrimPrefix(strings.TrimPrefix(entry.Path, root), "/")
		line := fmt.Sprintf("%s %v %d %d %s", rel, entry.Mode, entry.SizeBytes, entry.ModTime.UnixNano(), entry.Target)
		if entry.Mode.IsRegular() {
			b, err := os.ReadFile(filepath.Join(to, filepath.Base(root), filepath.FromSlash(rel)))
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", seal.Sum(b))
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestGoldenVaultOpens(t *testing.T) {
	if os.Getenv("HOLM_WRITE_GOLDEN") != "" {
		writeGolden(t)
	}
	s := &scene{t: t, dir: t.TempDir(), wrap: same}
	s.vault, s.data = filepath.Join(s.dir, "vault"), filepath.Join(s.dir, "data")
	if err := os.CopyFS(s.vault, os.DirFS(filepath.Join(golden, "vault"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Join(t.Context(), s.options(s.data)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(golden, "snapshots.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	s.clean(s.data)
	s.with(s.data, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if err != nil || len(list) != len(want) || len(want) != 3 {
			t.Fatalf("%d snapshots, %v", len(list), err)
		}
		for i, snapshot := range list {
			if got := strings.Join(listing(t, e, snapshot), "\n"); got != strings.Join(want[i], "\n") {
				t.Errorf("snapshot %d is\n%s\nwant\n%s", i, got, strings.Join(want[i], "\n"))
			}
		}
	})
}

// writeGolden makes the fixture: two devices, three snapshots, a file with a
// list of the first level, a deleted directory.
func writeGolden(t *testing.T) {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), wrap: same, ahead: time.Hour}
	s.vault, s.data, s.src = filepath.Join(s.dir, "vault"), filepath.Join(s.dir, "data"), filepath.Join(s.dir, "src")
	o := s.options(s.data)
	o.Chunker = vault.ChunkSizes{Minimum: 64, Average: 256, Maximum: 1024}
	if _, err := Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var long bytes.Buffer
	for i := range 14_000 {
		fmt.Fprintf(&long, "line %d of the golden file\n", i)
	}
	s.write("long", long.Bytes())
	s.write("noise", noise(1, 3000))
	s.write("dir/inner/letter", []byte("dear oak"))
	s.write("empty", nil)
	if err := os.Symlink("no/where", filepath.Join(s.src, "link")); err != nil {
		t.Fatal(err)
	}
	s.backup(s.data)
	if err := os.RemoveAll(filepath.Join(s.src, "dir")); err != nil {
		t.Fatal(err)
	}
	s.write("noise", noise(2, 3000))
	s.backup(s.data)
	other := filepath.Join(s.dir, "other")
	if _, err := Join(t.Context(), s.options(other)); err != nil {
		t.Fatal(err)
	}
	s.write("dir/inner/letter", []byte("back again"))
	s.backup(other)
	var all [][]string
	s.with(s.data, func(e *Engine) {
		list, err := e.Snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, snapshot := range list {
			all = append(all, listing(t, e, snapshot))
		}
	})
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.RemoveAll(golden), os.MkdirAll(golden, 0o755),
		os.CopyFS(filepath.Join(golden, "vault"), os.DirFS(s.vault)),
		os.WriteFile(filepath.Join(golden, "snapshots.json"), append(b, '\n'), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(formatState(&state{Vault: "/vault", HeadSeq: 3, Intents: []string{"aa"}}, 7))
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, generation, err := parseState(b)
		if err == nil && generation == 0 {
			t.Fatalf("generation 0: %+v", s)
		}
	})
}
