package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"holm.example/engine/seal"
	"holm.example/engine/storage"
	"holm.example/engine/storage/storagetest"
)

// refusing is a store that fails to read objects.
type refusing struct {
	*storagetest.Faulty
	of  func(name string) bool
	err error
}

// refuse makes every read of the named objects fail; of all without names.
func refuse(s storage.Store, err error, names ...string) *refusing {
	of := func(name string) bool {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return len(names) == 0
	}
	return &refusing{storagetest.NewFaulty(s, nil), of, err}
}

func (r *refusing) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if r.of(name) {
		return nil, fmt.Errorf("object %s: %w", name, r.err)
	}
	return r.Faulty.Get(ctx, name, limit)
}

func (r *refusing) GetRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	if r.of(name) {
		return nil, fmt.Errorf("object %s: %w", name, r.err)
	}
	return r.Faulty.GetRange(ctx, name, offset, length)
}

// passing are errors of reading that say nothing about the object.
func passing() []error {
	return []error{storage.ErrDenied, storage.ErrUnreachable, syscall.EMFILE, syscall.EACCES, syscall.ETIMEDOUT, errors.New("the service is confused")}
}

func TestCopyOfTheConfigThatCannotBeReadIsNotReplaced(t *testing.T) {
	for _, name := range []string{ConfigName, ConfigCopyName} {
		for _, why := range append(passing(), io.ErrUnexpectedEOF, storage.ErrShort) {
			v, store := copied(t)
			r := refuse(store, why, name)
			v.Store = r
			if err := v.RestoreConfig(t.Context()); !errors.Is(err, why) || r.Count(storagetest.Delete) != 0 || r.Count(storagetest.Put) != 0 {
				t.Errorf("%s, %v: %v, %d deletes", name, why, err, r.Count(storagetest.Delete))
			}
			found, err := Find(t.Context(), r, &v.ID)
			if storeGone(why) != errors.Is(err, why) || err == nil && found.ID != v.ID {
				t.Errorf("%s, %v: find: %v", name, why, err)
			}
		}
		// What is proved to be worthless is.
		for _, why := range []error{storage.ErrTooLarge, storage.ErrMedium} {
			v, store := copied(t)
			r := refuse(store, why, name)
			v.Store = r
			if err := v.RestoreConfig(t.Context()); err != nil || r.Count(storagetest.Delete) != 0 || r.Count(storagetest.Put) != 1 {
				t.Errorf("%s, %v: %v, %d deletes", name, why, err, r.Count(storagetest.Delete))
			}
		}
	}
}

func TestCopyOfAKeyThatCannotBeReadIsNotReplaced(t *testing.T) {
	name := DeviceKeyName(seal.ID(counting(100, 16)), 1)
	for _, place := range []string{name, KeyCopyName(name)} {
		for _, why := range append(passing(), io.ErrUnexpectedEOF, storage.ErrShort) {
			v, store := copied(t)
			r := refuse(store, why, place)
			v.Store = r
			if _, err := v.RestoreKeys(t.Context()); !errors.Is(err, why) || r.Count(storagetest.Delete) != 0 || r.Count(storagetest.Put) != 0 {
				t.Errorf("%s, %v: %v, %d deletes", place, why, err, r.Count(storagetest.Delete))
			}
		}
	}
}

// wholeReads reads every kind of object that is read in one piece, each from
// that store.
func wholeReads(t *testing.T, w *tailed, s storage.Store, key seal.DeviceKey) map[string]error {
	v := *w.v
	v.Store = s
	_, cardErr := v.ReadCard(t.Context(), w.card.Device)
	_, segmentErr := v.ReadSegment(t.Context(), w.card, 1)
	_, findErr := Find(t.Context(), s, nil)
	return map[string]error{
		"find": findErr, "check of the configuration": errors.Join(v.CheckConfig(t.Context())...), "check of the keys": errors.Join(v.CheckKeys(t.Context()).Problems...),
		"card": cardErr, "segment": segmentErr, "head": v.CheckHead(t.Context(), w.segment.Head),
		"device": v.UnlockWithDevice(t.Context(), w.card.Device, key), "passphrase": v.UnlockWithPassphrase(t.Context(), []byte("oak")),
	}
}

func TestErrorThatSaysNothingAboutTheObjectIsNoDamage(t *testing.T) {
	w := newTailed(t, 3000)
	key, err := seal.NewDeviceKey(seal.Key(counting(3, 32)))
	if err == nil {
		err = errors.Join(w.v.PutConfig(t.Context()), w.v.PutDeviceKey(t.Context(), w.card))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range passing() {
		for what, err := range wholeReads(t, w, refuse(w.store, why), key) {
			if !errors.Is(err, why) || errors.Is(err, ErrDamaged) || errors.Is(err, seal.ErrPassphrase) || errors.Is(err, ErrNoVault) {
				t.Errorf("%s, %v: %v", what, why, err)
			}
		}
	}
	for _, why := range []error{storage.ErrMedium, storage.ErrTooLarge, io.ErrUnexpectedEOF} {
		for what, err := range wholeReads(t, w, refuse(w.store, why), key) {
			if !errors.Is(err, why) || !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %v: %v, want damage", what, why, err)
			}
		}
	}
}

func TestFenceWhoseSignerCannotBeReadIsNoDamage(t *testing.T) {
	w := newTailed(t, 3000)
	other, _ := fixedDevice(t, w.v, 151)
	fence, err := w.v.Whole(w.v.FormatFence(&Fence{Head: Head{Device: other.Device, Seq: 1}, Previous: other.Hash, By: w.segment.Head}, w.key))
	if err != nil {
		t.Fatal(err)
	}
	w.store.Replace(SegmentName(other.Device, 1), fence)
	for _, why := range passing() {
		w.v.Store = refuse(w.store, why, CardName(w.card.Device))
		if _, err := w.v.ReadSegment(t.Context(), other, 1); !errors.Is(err, why) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v: %v", why, err)
		}
	}
}

func TestStoreThatDeniesSaysNothingAboutItsPacks(t *testing.T) {
	for _, c := range []struct {
		why  error
		want bool
	}{{storage.ErrDenied, false}, {storage.ErrUnreachable, false}, {storage.ErrMedium, true}, {storage.ErrNotFound, true}} {
		w := newTailed(t, 3000)
		w.v.Store = refuse(w.store, c.why, w.pack.ID.Name())
		_, streamErr := readStream(t, w.v, w.pack)
		_, trailerErr := w.v.ReadTrailer(t.Context(), w.pack.ID, w.v.ObjectSize(int64(w.pack.SizeBytes)))
		for what, err := range map[string]error{"frames": streamErr, "trailer": trailerErr} {
			if !errors.Is(err, c.why) || errors.Is(err, ErrDamaged) != c.want {
				t.Errorf("%s, %v: %v", what, c.why, err)
			}
		}
	}
}
