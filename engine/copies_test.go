package engine

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
	"holm.example/engine/vault"
)

func TestFlippedBitInACopyOfTheConfigIsToldAndMended(t *testing.T) {
	store := &storagetest.Memory{}
	s := newSceneOn(t, func(storage.Store) storage.Store { return store })
	s.ahead = 1 << 42
	s.write("letter", []byte("dear oak"))
	want := image(t, s.src)
	s.backup(s.data)
	good, err := store.Get(t.Context(), vault.ConfigName, vault.MaxConfig)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{vault.ConfigName, vault.ConfigCopyName} {
		for n, place := range []string{"", "\"format\": ", "\"nonce\": \"", "\"signer\": \"", "\"minimum\": ", "\"read\""} {
			bad := bytes.Clone(good)
			at := bytes.Index(bad, []byte(place)) + len(place)
			if bad[at] ^= 1; bad[at] == '`' {
				bad[at] = 'b' // still a digit, so that the copy parses
			}
			store.Replace(name, bad)
			sameTrees(t, want, image(t, s.restore(s.data, "")))
			if problems := s.check(s.data, false); len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), name+": ") {
				t.Errorf("%s, bit in %s: check finds %v", name, place, problems)
			}
			other := filepath.Join(s.dir, fmt.Sprintf("other-%d-%d", i, n))
			if _, err := join(t.Context(), s.options(other), s.wrap); err != nil {
				t.Fatalf("%s, bit in %s: join: %v", name, place, err)
			}
			sameTrees(t, want, image(t, s.restore(other, "")))
			s.backup(s.data)
			if now, err := store.Get(t.Context(), name, vault.MaxConfig); err != nil || !bytes.Equal(now, good) {
				t.Errorf("%s, bit in %s: the backup left it as %q, %v", name, place, now, err)
			}
			s.clean(s.data)
		}
	}
}
