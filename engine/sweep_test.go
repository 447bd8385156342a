package engine

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
	"holm.example/internal/testseed"
)

// A corruption is what became of an object or a local file.
type corruption struct {
	what string
	b    []byte
}

// corruptions flips a bit in every byte and truncates at every length; of
// what is longer than most, in that many places, by chance; in a soak in 40
// times as many, and with all bits of what is short.
func corruptions(random *rand.Rand, good []byte, most int) (list []corruption) {
	places := most
	if soak() {
		places *= 40
	}
	for _, at := range random.Perm(len(good))[:min(places, len(good))] {
		bits := []int{random.IntN(8)}
		if soak() && len(good) <= most {
			bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
		}
		for _, bit := range bits {
			b := bytes.Clone(good)
			b[at] ^= 1 << bit
			list = append(list, corruption{fmt.Sprintf("bit %d of byte %d flipped", bit, at), b})
		}
		list = append(list, corruption{fmt.Sprintf("cut at %d", at), good[:at]})
	}
	return append(list, corruption{"empty", []byte{}}, corruption{"one byte longer", append(bytes.Clone(good), 0)})
}

// A sweep is a small vault with two snapshots, to be corrupted.
type sweep struct {
	*trouble
	listing string // of the newest snapshot
}

func newSweep(t *testing.T, parity bool) *sweep {
	t.Helper()
	return newSweepOf(t, parity, 300)
}

// newSweepOf is newSweep with that much noise, in the first pack.
func newSweepOf(t *testing.T, parity bool, noisy int) *sweep {
	t.Helper()
	w := &sweep{trouble: &trouble{start: &storagetest.Memory{}}}
	w.scene = newSceneOf(t, func(storage.Store) storage.Store { return w.start }, parity)
	w.ahead, w.overlay = time.Hour, tinyOverlay
	w.write("dir/letter", []byte("dear oak"))
	w.write("noise", noise(1, noisy))
	w.backup(w.scene.data)
	w.write("dir/other", bytes.Repeat([]byte("oak "), 100))
	w.backup(w.scene.data)
	w.now = image(t, w.src)
	var err error
	if w.data, err = take(w.scene.data); err != nil {
		t.Fatal(err)
	}
	w.with(w.scene.data, func(e *Engine) {
		if w.listing, err = listed(t, e); err != nil {
			t.Fatal(err)
		}
	})
	return w
}

// listed is the newest snapshot as text.
func listed(t *testing.T, e *Engine) (string, error) {
	t.Helper()
	text := ""
	err := e.List(t.Context(), ListOptions{Recursive: true}, func(entry Entry) error {
		text += fmt.Sprintln(entry.Path, entry.Mode, entry.SizeBytes, entry.ModTime.UnixNano())
		return nil
	})
	return text, err
}

// look opens the data directory, lists, restores and checks. It returns all
// that was said of damage. Whatever comes out is right: what is listed or
// restored without a word is all of it, and nothing of it was not there.
func (w *sweep) look(t *testing.T, s *scene, data string, local bool) (said string) {
	t.Helper()
	e, err := s.open(data)
	if err != nil {
		return err.Error()
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	list, err := listed(t, e)
	for line := range strings.Lines(list) {
		if local && !strings.Contains(w.listing, line) {
			t.Errorf("this is listed: %s", line)
		}
	}
	if err == nil && list != w.listing {
		t.Errorf("without an error this is listed:\n%s", list)
	}
	to := filepath.Join(s.dir, "to")
	r, restoreErr := e.Restore(t.Context(), RestoreOptions{To: to})
	err = errors.Join(err, restoreErr)
	got := map[string]string{}
	if _, statErr := os.Stat(filepath.Join(to, filepath.Base(w.src))); statErr == nil {
		got = image(t, filepath.Join(to, filepath.Base(w.src)))
	}
	for name, text := range got {
		if text != w.now[name] && (restoreErr == nil || !strings.HasPrefix(text, "dir")) {
			t.Errorf("%s is restored as %q", name, text)
		}
	}
	if restoreErr == nil && len(r.Problems) == 0 && !maps.Equal(got, w.now) {
		t.Errorf("without an error %v is restored", got)
	}
	c, checkErr := e.Check(t.Context(), CheckOptions{ReadData: true})
	if checkErr != nil {
		t.Errorf("check ends with %v", checkErr)
	}
	for _, p := range append(r.Problems, c.Problems...) {
		err = errors.Join(err, fmt.Errorf("%s: %w", p.Path, p.Err))
	}
	if err != nil {
		said = err.Error()
	}
	return said
}

// kindOf is the kind of an object, for the names of subtests.
func kindOf(name string) string {
	switch {
	case strings.HasPrefix(name, vault.KeysCopyPrefix):
		return "copy of a " + kindOf(vault.KeysPrefix+name[len(vault.KeysCopyPrefix):])
	case strings.HasPrefix(name, vault.KeysPrefix) && strings.Contains(name, "-"):
		return "device key"
	case strings.HasPrefix(name, vault.KeysPrefix):
		return "passphrase key"
	case strings.HasSuffix(name, "/card"):
		return "card"
	case strings.Contains(name, "/journal/"):
		return "segment"
	case strings.HasPrefix(name, vault.PacksPrefix):
		return "pack"
	}
	return name
}

func TestEveryCorruptByteOfTheVaultIsToldByTheNameOfItsObject(t *testing.T) {
	random := testseed.Rand(t)
	w := newSweep(t, false)
	kinds := map[string]int{}
	for n, name := range w.start.Names() {
		good, err := w.start.Get(t.Context(), name, vault.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		list := corruptions(random, good, 700)
		kinds[kindOf(name)] += len(list)
		t.Run(fmt.Sprint(kindOf(name), " ", n), func(t *testing.T) {
			for i, c := range list {
				t.Run(c.what, func(t *testing.T) {
					t.Parallel()
					s, data, store := w.again(t)
					if i%2 == 0 {
						forget(t, data)
					}
					store.Replace(name, c.b)
					if said := w.look(t, s, data, false); !strings.Contains(said, name) {
						t.Errorf("%s is not named: %q", name, said)
					}
				})
			}
		})
	}
	t.Logf("corruptions by kind: %v", kinds)
	for _, kind := range []string{vault.ConfigName, vault.ConfigCopyName, "device key", "passphrase key",
		"copy of a device key", "copy of a passphrase key", "card", "segment", "pack"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s was corrupted", kind)
		}
	}
}

// A pack of several frames is too long for all of its bytes: the borders of its
// frames are flipped, some bytes in each by chance, and some in the trailer.
func TestCorruptBytesOfEveryFrameOfAPackAreToldByItsName(t *testing.T) {
	random := testseed.Rand(t)
	w := newSweepOf(t, false, 2*vault.FrameSize+vault.FrameSize/3)
	var pack *vault.Pack
	w.with(w.scene.data, func(e *Engine) {
		err := e.catalog.Packs(func(p *vault.Pack) error {
			if len(p.Frames) == 3 {
				pack = p
			}
			return nil
		})
		if err != nil || pack == nil {
			t.Fatalf("no pack has three frames, %v", err)
		}
	})
	good, err := w.start.Get(t.Context(), pack.ID.Name(), vault.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	const head = 16 // bytes before the first frame
	var places []int
	at := head
	for _, length := range append(slices.Clone(pack.Frames), uint32(len(good)-head)-pack.Frames[0]-pack.Frames[1]-pack.Frames[2]) {
		places = append(places, at, at+int(length)-1)
		for range 3 {
			places = append(places, at+random.IntN(int(length)))
		}
		at += int(length)
	}
	for _, at := range places {
		flipped := bytes.Clone(good)
		flipped[at] ^= 1 << random.IntN(8)
		for what, b := range map[string][]byte{"flipped": flipped, "cut": good[:at]} {
			t.Run(fmt.Sprintf("byte %d of %d, %s", at, len(good), what), func(t *testing.T) {
				t.Parallel()
				s, data, store := w.again(t)
				store.Replace(pack.ID.Name(), b)
				if said := w.look(t, s, data, false); !strings.Contains(said, pack.ID.Name()) {
					t.Errorf("%s is not named: %q", pack.ID.Name(), said)
				}
			})
		}
	}
}

// What lies in the data directory is derived, or there twice: damage to one
// file of it costs nothing.
func TestEveryCorruptByteOfTheDataDirectoryCostsNothing(t *testing.T) {
	random := testseed.Rand(t)
	w := newSweep(t, true)
	tables := 0
	for _, name := range slices.Sorted(maps.Keys(w.data)) {
		list := corruptions(random, w.data[name], 120)
		if strings.HasSuffix(name, ".table") {
			tables += len(list)
		}
		t.Run(name, func(t *testing.T) {
			for _, c := range list {
				t.Run(c.what, func(t *testing.T) {
					t.Parallel()
					s, data, _ := w.again(t)
					if err := os.WriteFile(filepath.Join(data, name), c.b, 0o600); err != nil {
						t.Fatal(err)
					}
					if said := w.look(t, s, data, true); said != "" {
						t.Errorf("it is said that %s", said)
					}
					if r := s.backup(data); r.Changed != 0 || r.NewBytes != 0 {
						t.Errorf("the next backup stores %d bytes of %d changed entries", r.NewBytes, r.Changed)
					}
					s.clean(data)
				})
			}
		})
	}
	if len(w.data) < 3 || tables == 0 {
		t.Errorf("what is corrupted holds only %v", slices.Collect(maps.Keys(w.data)))
	}
}
