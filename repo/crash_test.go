package repo_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"holm.example/repo"
)

// served says which versions the signed indexes of apt and yum offer.
func served(t *testing.T, s *memory) (apt, yum string) {
	t.Helper()
	for name := range s.files {
		if strings.HasPrefix(name, "apt/") && strings.Contains(name, "1.0.1_amd64.deb") {
			apt = name
		}
	}
	return apt, string(s.files["yum/stable/x86_64/mirrorlist"])
}

func TestKilledAfterAnyWriteTheSiteIsAcceptedAndTheNextRunFinishes(t *testing.T) {
	w := newWorkshop(t)
	first, second := w.version("1.0.0"), w.version("1.0.1")
	old := newMemory()
	publish(t, old, w.options(), first, now())
	later := now().Add(time.Hour)
	done := old.clone()
	total := len(publish(t, done, w.options(), second, later).Written)
	if total < 40 {
		t.Fatalf("only %d writes", total)
	}
	for n := range total {
		s := old.clone()
		s.limit = n
		if _, err := repo.Publish(context.Background(), s, w.options(), second, later); !errors.Is(err, errKilled) {
			t.Fatalf("killed after %d writes: %v", n, err)
		}
		v := verdict(t, s, later)
		if v.Refused() {
			t.Errorf("killed after %d writes, refused: %+v", n, v.Findings)
		}
		s.limit = -1
		publish(t, s, w.options(), second, later.Add(time.Minute))
		if v := accepted(t, s, later.Add(time.Minute)); v.Unfinished || v.Packages != 12 {
			t.Fatalf("killed after %d writes, not finished by the next run: %+v", n, v)
		}
		if again := publish(t, s, w.options(), second, later.Add(2*time.Minute)); len(again.Written) != 0 {
			t.Errorf("killed after %d writes, the run after the next wrote %v", n, again.Written)
		}
	}
}

func TestTheVeryFirstPublishMayBeKilledToo(t *testing.T) {
	w := newWorkshop(t)
	v := w.version("1.0.0")
	total := len(publish(t, newMemory(), w.options(), v, now()).Written)
	for n := range total {
		s := newMemory()
		s.limit = n
		if _, err := repo.Publish(context.Background(), s, w.options(), v, now()); !errors.Is(err, errKilled) {
			t.Fatalf("killed after %d writes: %v", n, err)
		}
		s.limit = -1
		publish(t, s, w.options(), v, now().Add(time.Minute))
		accepted(t, s, now().Add(time.Minute))
	}
}

func TestAKilledPublishMayBeGivenUpForAnotherRelease(t *testing.T) {
	w := newWorkshop(t)
	first, second, third := w.version("1.0.0"), w.version("1.0.1"), w.version("1.0.2")
	old := newMemory()
	publish(t, old, w.options(), first, now())
	total := len(publish(t, old.clone(), w.options(), second, now().Add(time.Hour)).Written)
	for n := 0; n < total; n += 3 {
		for _, next := range []repo.Version{first, third} {
			s := old.clone()
			s.limit = n
			if _, err := repo.Publish(context.Background(), s, w.options(), second, now().Add(time.Hour)); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			s.limit = -1
			at := now().Add(2 * time.Hour)
			publish(t, s, w.options(), next, at)
			v := verdict(t, s, at)
			if v.Refused() || v.Unfinished {
				t.Fatalf("killed after %d writes, then %s: %+v", n, next.Number, v)
			}
		}
	}
}

func TestAtNoInstantOfAPublishAClientIsRefused(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	oldList := string(s.files["yum/stable/x86_64/mirrorlist"])
	later := now().Add(time.Hour)
	lists := []string{}
	s.after = func(snapshot *memory) {
		if v := verdict(t, snapshot, later); v.Refused() {
			t.Errorf("%+v", v.Findings)
		}
		if _, list := served(t, snapshot); !slices.Contains(lists, list) {
			lists = append(lists, list)
		}
	}
	publish(t, s, w.options(), w.version("1.0.1"), later)
	_, newList := served(t, s)
	if !slices.Equal(lists, []string{oldList, newList}) || oldList == newList {
		t.Errorf("the mirror list was %q one after the other", lists)
	}
}

func TestTheOldReleaseIsServedUntilThePointersSwitch(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	report := publish(t, s, w.options(), w.version("1.0.1"), now().Add(time.Hour))
	at := func(name string) int {
		i := slices.Index(report.Written, name)
		if i < 0 {
			t.Fatalf("%s was not written", name)
		}
		return i
	}
	head := at("publish/head")
	for i, name := range report.Written {
		pointer := strings.HasPrefix(name, "apt/stable/dists/stable/") && !strings.Contains(name, "/by-hash/") || strings.HasSuffix(name, "/mirrorlist") ||
			strings.HasSuffix(name, "/current") || name == "index.html"
		if pointer != (i > head) && name != "publish/head" {
			t.Errorf("%s is written in place %d, publish/head in %d", name, i, head)
		}
	}
	if r, g, in := at("apt/stable/dists/stable/Release"), at("apt/stable/dists/stable/Release.gpg"), at(inRelease); r > g || g > in {
		t.Error("InRelease is not the last of its three")
	}
}
