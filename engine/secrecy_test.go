package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// unpacked is what an object says to who looks for frames of zstd in it: the
// content of each, as far as it can be inflated.
func unpacked(t *testing.T, b []byte) (all [][]byte) {
	t.Helper()
	for at := 0; ; at++ {
		next := bytes.Index(b[at:], []byte{0x28, 0xb5, 0x2f, 0xfd})
		if next < 0 {
			return all
		}
		at += next
		d, err := zstd.NewReader(bytes.NewReader(b[at:]), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		_, _ = d.WriteTo(&plain) // what follows a frame is none
		d.Close()
		all = append(all, plain.Bytes())
	}
}

// secrets are what nobody but their owners may know, by what they are.
func secrets() map[string][]byte {
	return map[string][]byte{
		"path of the source": []byte("TestNoObjectOfTheStore"), "name of a directory": []byte("confidential-folder"),
		"name of a file": []byte("resignation-letter"), "name of a file that is gone": []byte("burnt-papers"), "target of a link": []byte("secret-whereabouts"),
		"text": []byte("the treasure lies below the third oak"), "what does not compress": noise(77, 40_000)[20_000:20_016],
		"short file": []byte("pin 83517264"), "device name": []byte("laptop-of-ann"), "other device name": []byte("phone-of-bob"), "passphrase": []byte(passphrase),
	}
}

// The store is to learn nothing: every object of a vault is searched, and what
// can be inflated in it, for all that was put into it.
func TestNoObjectOfTheStoreTellsANameOrAContent(t *testing.T) {
	for what, parity := range map[string]bool{"with parity": true, "without parity": false} {
		t.Run(what, func(t *testing.T) {
			store := &storagetest.Memory{}
			s := newSceneOf(t, func(storage.Store) storage.Store { return store }, parity)
			laptop, phone := newParty(t, s, "laptop-of-ann"), newParty(t, s, "phone-of-bob")
			laptop.confide()
			phone.confide()
			laptop.clean(laptop.data)
			secrets := secrets()
			secrets["vault secret"], secrets["key of an epoch"], secrets["chunk id"] = laptop.keys()
			kinds := map[string]int{}
			for _, name := range store.Names() {
				b, err := store.Get(t.Context(), name, 1<<30)
				if err != nil {
					t.Fatal(err)
				}
				kind, _, _ := strings.Cut(name, "/")
				kinds[kind]++
				for _, plain := range append(unpacked(t, b), b, []byte(name)) {
					for what, secret := range secrets {
						if tells(plain, secret) {
							t.Errorf("%s tells the %s", name, what)
						}
					}
				}
			}
			if len(kinds) < 5 || kinds["packs"] < 1 || kinds["devices"] < 7 { // three cards and four segments
				t.Errorf("objects %v: not a whole vault", kinds)
			}
		})
	}
}

// tells reports whether bytes hold a secret, as it is or as text has it.
func tells(b, secret []byte) bool {
	return bytes.Contains(b, secret) || bytes.Contains(b, []byte(hex.EncodeToString(secret))) ||
		bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(secret)[:len(secret)]))
}

// keys are what the vault's objects are sealed with, and the id of a chunk.
func (s *scene) keys() (secret, epoch, chunk []byte) {
	s.t.Helper()
	s.with(s.data, func(e *Engine) {
		key, id := e.vault.Keys.Epochs[e.vault.Keys.Epoch()], e.vault.Keys.ChunkKey().ID(secrets()["short file"])
		secret, epoch, chunk = bytes.Clone(e.vault.Keys.VaultSecret[:]), bytes.Clone(key[:]), id[:]
		if known, err := e.catalog.Holds(seal.Hash(id)); err != nil || !known {
			s.t.Errorf("the short file is not in the vault, %v", err)
		}
	})
	return secret, epoch, chunk
}

// confide backs a tree up that has every secret, and again without one of its
// files.
func (s *scene) confide() {
	s.t.Helper()
	said := secrets()
	s.write("confidential-folder/resignation-letter", bytes.Repeat(append(said["text"], '\n'), 300))
	s.write("confidential-folder/photo", noise(77, 40_000))
	s.write("confidential-folder/pin", said["short file"])
	s.write("confidential-folder/burnt-papers", said["text"])
	if err := os.Symlink("secret-whereabouts", filepath.Join(s.src, "confidential-folder", "link")); err != nil {
		s.t.Fatal(err)
	}
	s.backup(s.data)
	if err := os.Remove(filepath.Join(s.src, "confidential-folder", "burnt-papers")); err != nil {
		s.t.Fatal(err)
	}
	s.backup(s.data)
}
