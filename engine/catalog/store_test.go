package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"holm.example/internal/testseed"
)

func storeAt(t *testing.T, dir string, maxOverlayBytes int) *store {
	t.Helper()
	s, err := openStore(dir, []byte("identity"))
	if err != nil {
		t.Fatal(err)
	}
	s.maxOverlayBytes = maxOverlayBytes
	return s
}

func tableFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == tableEnd {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

func TestStoreIsAMapWhateverLiesInTables(t *testing.T) {
	r := testseed.Rand(t)
	for i, maxOverlayBytes := range []int{1, 2_000, 30_000, 1 << 30} {
		maxDeltaBytes := []int{1, 500, 1 << 30, 300}[i]
		dir := filepath.Join(t.TempDir(), "catalog")
		s := storeAt(t, dir, maxOverlayBytes)
		s.maxDeltaBytes = maxDeltaBytes
		model := map[string]string{}
		for range 120 {
			err := s.update(func(tx *tx) error {
				for range r.IntN(40) {
					key, value := fmt.Appendf(nil, "%x", r.IntN(2_000)), fmt.Appendf(nil, "%x", r.Uint64())
					if err := put(tx, bucketPages, key, value); err != nil {
						return err
					}
					model[string(key)] = string(value)
				}
				same(t, tx, model, r)
				return nil
			})
			if err == nil {
				err = s.view(func(tx *tx) error { same(t, tx, model, r); return nil })
			}
			if err == nil && r.IntN(10) == 0 {
				err = s.close()
				s = storeAt(t, dir, maxOverlayBytes)
				s.maxDeltaBytes = maxDeltaBytes
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := len(tableFiles(t, dir)); n != len(s.tables) || n > 12 {
			t.Errorf("%d files of tables, %d tables", n, len(s.tables))
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// same compares what a transaction sees with a map, near some random keys.
func same(t *testing.T, tx *tx, model map[string]string, r *rand.Rand) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(model))
	for range 5 {
		key := fmt.Sprintf("%x", r.IntN(2_000))
		f, known := get(tx, bucketPages, []byte(key))
		if want, there := model[key]; known != there || known && string(f.b) != want {
			t.Fatalf("%s: %q, %v, not %q, %v", key, f.b, known, want, there)
		}
		at, exact := slices.BinarySearch(keys, key)
		floor := at - 1
		if exact {
			floor = at
		}
		if low, ok := tx.floor(bucketPages.full([]byte(key))); ok != (floor >= 0) || ok && string(low.key[1:]) != keys[floor] {
			t.Fatalf("floor of %s: %q, %v", key, low.key, ok)
		}
		n := 0
		err := eachFrom(tx, bucketPages, nil, []byte(key), func(k []byte, f fields) error {
			if n++; string(k) != keys[at+n-1] || string(f.b) != model[string(k)] {
				return fmt.Errorf("%q behind %s", k, key)
			}
			return nil
		})
		if err != nil || n != len(keys)-at {
			t.Fatalf("from %s: %d of %d keys, %v", key, n, len(keys)-at, err)
		}
	}
}

func TestAnUpdateLargerThanMemoryMakesFewTables(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	s := storeAt(t, dir, 1)
	defer s.close()
	s.maxDeltaBytes = 1000
	err := s.update(func(tx *tx) error {
		for i := range 5_000 {
			if err := put(tx, bucketPages, fmt.Appendf(nil, "%05d", i*7919%5_000), []byte("value")); err != nil {
				return err
			}
		}
		if n := len(tableFiles(t, dir)); n != len(tx.early) || n < 2 || n > 10 {
			t.Errorf("%d files of tables, %d tables, want a few", n, len(tx.early))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.view(func(tx *tx) error {
		return each(tx, bucketPages, nil, func([]byte, fields) error { n++; return nil })
	})
	if files := len(tableFiles(t, dir)); err != nil || n != 5_000 || files != 1 {
		t.Errorf("%d of 5000 keys, %d tables, %v", n, files, err)
	}
}

func TestAnUpdateThatFailsChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	s := storeAt(t, dir, 1<<20)
	defer s.close()
	wrong := errors.New("wrong")
	for _, s.maxDeltaBytes = range []int{1 << 20, 1} {
		err := s.update(func(tx *tx) error {
			err := errors.Join(put(tx, bucketGone, []byte("k"), nil), put(tx, bucketGone, []byte("l"), nil))
			if made := len(tableFiles(t, dir)); made > 0 != (s.maxDeltaBytes == 1) {
				t.Errorf("%d tables were made of changes of more than %d bytes", made, s.maxDeltaBytes)
			}
			return errors.Join(err, wrong)
		})
		if !errors.Is(err, wrong) {
			t.Fatal(err)
		}
	}
	if left := tableFiles(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	err := s.view(func(tx *tx) error {
		if _, known := get(tx, bucketGone, []byte("k")); known {
			t.Error("the key is there")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTablesThatNoCommitNamesAreCleared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b", "catalog") // a name that looks like a pattern is one like any other
	s := storeAt(t, dir, 1)
	if err := s.update(func(tx *tx) error { return put(tx, bucketGone, []byte("k"), []byte("v")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tablePath(dir, 7), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = storeAt(t, dir, 1)
	if got := tableFiles(t, dir); len(got) != 1 || got[0] != tablePath(dir, 1) {
		t.Errorf("files %q", got)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(tablePath(dir, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(dir, []byte("identity")); !errors.Is(err, ErrDamaged) {
		t.Errorf("a table is missing: %v", err)
	}
}

func TestReadersSeeWholeUpdatesWhileTablesAreMade(t *testing.T) {
	s := storeAt(t, filepath.Join(t.TempDir(), "catalog"), 500)
	defer s.close()
	key := func(i int) []byte { return []byte{byte(i)} }
	write := func(round byte) error {
		return s.update(func(tx *tx) error {
			for i := range 20 {
				if err := put(tx, bucketGone, key(i), bytes.Repeat([]byte{round}, 30)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for range 500 {
				err := s.view(func(tx *tx) error {
					first, _ := get(tx, bucketGone, key(0))
					last, known := get(tx, bucketGone, key(19))
					if !known || !bytes.Equal(first.b, last.b) {
						return fmt.Errorf("half of an update: %x and %x", first.b, last.b)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for round := range 100 {
		if err := write(byte(round)); err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
}

// A leaf of bbolt whose count of entries is too low still looks whole.
func TestAnOverlayThatLostItemsIsDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	s := storeAt(t, dir, 1<<20)
	err := s.update(func(tx *tx) error {
		return errors.Join(put(tx, bucketGone, []byte("a"), nil), put(tx, bucketGone, []byte("b"), nil))
	})
	if err == nil {
		err = guard(func() error {
			return s.db.Update(func(btx *bbolt.Tx) error { return btx.Bucket(overlayBucket).Delete(bucketGone.full([]byte("b"))) })
		})
	}
	if err = errors.Join(err, s.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(dir, []byte("identity")); !errors.Is(err, ErrDamaged) {
		t.Errorf("opening it says %v", err)
	}
}

// A page of buckets that lost one still looks whole.
func TestAnOverlayThatLostABucketIsDamaged(t *testing.T) {
	for _, bucket := range [][]byte{metaBucket, overlayBucket} {
		dir := filepath.Join(t.TempDir(), "catalog")
		s := storeAt(t, dir, 1<<20)
		err := s.db.Update(func(btx *bbolt.Tx) error { return btx.DeleteBucket(bucket) })
		if err = errors.Join(err, s.close()); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(dir, []byte("identity")); !errors.Is(err, ErrDamaged) {
			t.Errorf("opening it without the bucket %s says %v", bucket, err)
		}
	}
}
