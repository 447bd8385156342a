package repo_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holm.example/repo"
	"holm.example/repo/site"
)

func TestARealDirectoryIsPublishedAndRead(t *testing.T) {
	w := newWorkshop(t)
	d := site.OpenDir(filepath.Join(t.TempDir(), "site"))
	publish(t, d, w.options(), w.version("1.0.0"), now())
	publish(t, d, w.options(), w.version("1.0.1"), now())
	if v := accepted(t, d, now()); v.Packages != 12 || v.Version != "1.0.1" {
		t.Errorf("%+v", v)
	}
	if report := publish(t, d, w.options(), w.version("1.0.1"), now()); len(report.Written) != 0 {
		t.Errorf("published again, wrote %v", report.Written)
	}
}

// copyFollowing copies a tree as rsync -aL does: links become what they name.
func copyFollowing(t *testing.T, to, from string) {
	t.Helper()
	all, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		old, copied := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if info, err := os.Stat(old); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			copyFollowing(t, copied, old)
			continue
		}
		data, err := os.ReadFile(old)
		if err == nil {
			err = os.WriteFile(copied, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestACopyWithoutLinksIsPublishedTo(t *testing.T) {
	w := newWorkshop(t)
	dir := t.TempDir()
	publish(t, site.OpenDir(filepath.Join(dir, "site")), w.options(), w.version("1.0.0"), now())
	copyFollowing(t, filepath.Join(dir, "copy"), filepath.Join(dir, "site"))
	d := site.OpenDir(filepath.Join(dir, "copy"))
	if report := publish(t, d, w.options(), w.version("1.0.0"), now()); len(report.Written) != 0 {
		t.Errorf("published again, wrote %v", report.Written)
	}
	publish(t, d, w.options(), w.version("1.0.1"), now().Add(time.Hour))
	if v := accepted(t, d, now().Add(time.Hour)); v.Unfinished || v.Packages != 12 {
		t.Errorf("%+v", v)
	}
}

func TestOfTwoPublishersEachIsRefusedOrDoesAllOfItsWork(t *testing.T) {
	w := newWorkshop(t)
	dir := filepath.Join(t.TempDir(), "site")
	publish(t, site.OpenDir(dir), w.options(), w.version("1.0.0"), now())
	versions := []repo.Version{w.version("1.0.1"), w.version("1.0.2")}
	errs := make([]error, len(versions))
	var both sync.WaitGroup
	for i, v := range versions {
		o := w.options()
		both.Go(func() { _, errs[i] = repo.Publish(context.Background(), site.OpenDir(dir), o, v, now()) })
	}
	both.Wait()
	want := 6
	for i, err := range errs {
		switch {
		case err == nil:
			want += 6
		case !errors.Is(err, site.ErrLocked):
			t.Errorf("%s: %v", versions[i].Number, err)
		}
	}
	if v := accepted(t, site.OpenDir(dir), now()); v.Packages != want || want == 6 {
		t.Errorf("%d packages, want %d", v.Packages, want)
	}
}

func TestASiteThatCannotBeWrittenIsAnError(t *testing.T) {
	w := newWorkshop(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Publish(context.Background(), site.OpenDir(file), w.options(), w.version("1.0.0"), now()); err == nil {
		t.Error("published into a file")
	}
}

func TestACancelledPublishStops(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := repo.Publish(ctx, s, w.options(), w.version("1.0.0"), now()); !errors.Is(err, context.Canceled) || s.writes != 0 {
		t.Errorf("%v, %d writes", err, s.writes)
	}
}
