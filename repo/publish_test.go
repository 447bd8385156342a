package repo_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goreleaser/nfpm/v2"

	"holm.example/keys"
	"holm.example/repo"
	"holm.example/repo/apt"
)

const inRelease = "apt/stable/dists/stable/InRelease"

func TestAPublishedReleaseIsAcceptedByEveryClient(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	report := publish(t, s, w.options(), w.version("1.0.0"), now())
	if report.Packages != 6 || !report.Date.Equal(now().Add(-time.Minute)) || report.Revision != report.Date.Unix() {
		t.Errorf("%+v", report)
	}
	v := accepted(t, s, now())
	if v.Packages != 6 || v.Version != "1.0.0" || v.Unfinished || !v.ValidUntil.Equal(v.Date.Add(apt.Lifetime)) {
		t.Errorf("%+v", v)
	}
	for _, k := range append(w.release, w.archive[0], w.pack) {
		if !slices.Contains(v.Signers, k.Certificate().Fingerprint().String()) {
			t.Errorf("%s is not among the signers", k.Certificate().UserIDs())
		}
	}
}

func TestPublishingAgainWritesNothing(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	before := s.clone()
	if report := publish(t, s, w.options(), w.version("1.0.0"), now().Add(time.Hour)); len(report.Written) != 0 {
		t.Errorf("wrote %v", report.Written)
	}
	if s.writes != len(before.files)+len(before.aliases) {
		// Every name is written exactly once, by the first publish.
		t.Errorf("%d writes for %d files and %d aliases", s.writes, len(before.files), len(before.aliases))
	}
}

func TestEarlierVersionsStayAndWhatTheyNeedStays(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	before := s.clone()
	publish(t, s, w.options(), w.version("1.0.1"), now().Add(time.Hour))
	if v := accepted(t, s, now().Add(time.Hour)); v.Packages != 12 || v.Version != "1.0.1" {
		t.Errorf("%+v", v)
	}
	// A client that read the old pointers just before still finds all that
	// they name, unchanged.
	for name, data := range before.files {
		fixed := strings.Contains(name, "/pool/") || strings.Contains(name, "/by-hash/") || strings.Contains(name, "/r/") || strings.Contains(name, "/pkgs/") || strings.HasPrefix(name, "releases/")
		if fixed && !bytes.Equal(s.files[name], data) {
			t.Errorf("%s has changed", name)
		}
	}
}

func TestAnOlderVersionIsListedButDoesNotBecomeTheNewest(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.10.0"), now())
	publish(t, s, w.options(), w.version("1.9.0"), now().Add(time.Hour))
	if v := accepted(t, s, now().Add(time.Hour)); v.Packages != 12 || v.Version != "1.10.0" {
		t.Errorf("%+v", v)
	}
	if got := s.aliases["releases/current"]; got != "releases/1.10.0/current" {
		t.Errorf("releases/current is %s", got)
	}
}

func TestTheSameVersionForMoreTargetsIsAdded(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	all := w.version("1.0.0")
	some := all
	some.Artifacts = some.Artifacts[:4]
	publish(t, s, w.options(), some, now())
	publish(t, s, w.options(), all, now().Add(time.Hour))
	accepted(t, s, now().Add(time.Hour))
	if report := publish(t, s, w.options(), some, now().Add(2*time.Hour)); len(report.Written) != 0 {
		t.Errorf("the part, published after the whole, wrote %v", report.Written)
	}
	other := all
	other.Artifacts = append(slices.Clone(all.Artifacts[1:]), artifact("holm_1.0.0_freebsd_amd64.tar.gz", []byte("x")))
	if _, err := repo.Publish(context.Background(), s, w.options(), other, now().Add(3*time.Hour)); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("one artifact less and one more: %v", err)
	}
}

func TestTheStandbyKeySignsAfterARotation(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	publish(t, s, w.rotated(), w.version("1.0.1"), now().Add(time.Hour))
	v := accepted(t, s, now().Add(time.Hour))
	if !slices.Contains(v.Signers, w.archive[1].Certificate().Fingerprint().String()) {
		t.Errorf("signed by %v", v.Signers)
	}
}

func TestTheSameReleaseIsSignedAgainAfterARotation(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	retired := repo.VerifyOptions{Retired: keys.Keyring{w.archive[0].Certificate()}}
	notes := func() (files []string) {
		t.Helper()
		all, err := repo.Verify(context.Background(), s, retired, now().Add(time.Hour))
		if err != nil || all[0].Refused() {
			t.Fatalf("%v: %+v", err, all)
		}
		for _, f := range all[0].Findings {
			files = append(files, f.File)
		}
		return files
	}
	// InRelease, Release.gpg, and for each of five directories the revision
	// and its other name.
	if files := notes(); len(files) != 12 {
		t.Errorf("of the retired key: %v", files)
	}
	publish(t, s, w.rotated(), w.version("1.0.0"), now().Add(time.Hour))
	if files := notes(); len(files) != 0 {
		t.Errorf("of the retired key after the publish: %v", files)
	}
	v := accepted(t, s, now().Add(time.Hour))
	if slices.Contains(v.Signers, w.archive[0].Certificate().Fingerprint().String()) {
		t.Errorf("signed by %v", v.Signers)
	}
	if again := publish(t, s, w.rotated(), w.version("1.0.0"), now().Add(2*time.Hour)); len(again.Written) != 0 {
		t.Errorf("the run after it wrote %v", again.Written)
	}
}

func TestAReleaseGPGThatARetiredKeySignedIsReplaced(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.rotated(), w.version("1.0.0"), now())
	release, name := s.files["apt/stable/dists/stable/Release"], "apt/stable/dists/stable/Release.gpg"
	old, err := w.signer(w.archive[0]).SignDetached(release, now())
	if err != nil {
		t.Fatal(err)
	}
	s.files[name] = old
	publish(t, s, w.rotated(), w.version("1.0.0"), now().Add(time.Hour))
	if bytes.Equal(s.files[name], old) {
		t.Error("it was left")
	}
	accepted(t, s, now().Add(time.Hour))
}

func TestWhatMayNotBePublished(t *testing.T) {
	w := newWorkshop(t)
	base := newMemory()
	publish(t, base, w.options(), w.version("1.0.0"), now())
	changed := func(change func(*nfpm.Info)) repo.Version {
		other := *w
		other.change = change
		return other.version("1.0.0")
	}
	stranger := newWorkshop(t)
	flipped := w.version("1.0.1")
	data := []byte("other bytes")
	flipped.Artifacts[0].Open = artifact("x", data).Open
	for name, tc := range map[string]struct {
		options repo.Options
		version repo.Version
		want    error
	}{
		"same version, other bytes": {w.options(), changed(func(i *nfpm.Info) { i.Description = "other" }), repo.ErrConflict},
		"unsigned package": {w.options(), func() repo.Version {
			v := w.version("1.0.1")
			other := *w
			other.change = func(i *nfpm.Info) { i.RPM.Signature.SignFn = nil }
			v.Artifacts[1] = artifact(v.Artifacts[1].Name, other.build(rpmPackager(), "rpm", "holm", "amd64", "1.0.1"))
			return v
		}(), repo.ErrUnsigned},
		"package of a stranger":               {w.options(), stranger.version("1.0.1"), repo.ErrUnsigned},
		"artifact that is not what is listed": {w.options(), flipped, repo.ErrArtifact},
		"other base URL":                      {func() repo.Options { o := w.options(); o.URL = "https://elsewhere.example"; return o }(), w.version("1.0.1"), repo.ErrMoved},
		"other label":                         {func() repo.Options { o := w.options(); o.Title = "Holm"; return o }(), w.version("1.0.1"), repo.ErrWriteOnce},
		"keyring without the signing key": {func() repo.Options {
			o := w.options()
			o.Shipped = []repo.KeyFile{{Name: "x", Data: keys.Keyring{w.archive[1].Certificate()}.Binary()}}
			return o
		}(), w.version("1.0.1"), repo.ErrArtifact},
		"channel that climbs":                  {func() repo.Options { o := w.options(); o.Channel = "../x"; return o }(), w.version("1.0.1"), repo.ErrConfig},
		"version that climbs":                  {w.options(), func() repo.Version { v := w.version("1.0.1"); v.Number = "1.0/../1"; return v }(), repo.ErrConfig},
		"artifact that climbs":                 {w.options(), func() repo.Version { v := w.version("1.0.1"); v.Artifacts[0].Name = "../x.deb"; return v }(), repo.ErrConfig},
		"artifact in the place of the sums":    {w.options(), func() repo.Version { v := w.version("1.0.1"); v.Artifacts[6].Name = "SHA256SUMS"; return v }(), repo.ErrConfig},
		"base URL that breaks the mirror list": {func() repo.Options { o := w.options(); o.URL = "http://x/\nhttp://y"; return o }(), w.version("1.0.1"), repo.ErrConfig},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.clone()
			if _, err := repo.Publish(context.Background(), s, tc.options, tc.version, now().Add(time.Hour)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if s.writes != 0 {
				t.Errorf("%d writes before the refusal", s.writes)
			}
		})
	}
}

func TestNothingIsSignedOnTopOfWhatDoesNotVerify(t *testing.T) {
	w := newWorkshop(t)
	base := newMemory()
	publish(t, base, w.options(), w.version("1.0.0"), now())
	for name := range base.files {
		watched := strings.HasSuffix(name, "/InRelease") || strings.Contains(name, "/by-hash/") || strings.Contains(name, "/repodata/") || strings.HasSuffix(name, "/mirrorlist")
		if !watched {
			continue
		}
		s := base.clone()
		s.files[name] = bytes.Clone(s.files[name])
		s.files[name][len(s.files[name])/2] ^= 1
		if _, err := repo.Publish(context.Background(), s, w.options(), w.version("1.0.1"), now().Add(time.Hour)); !errors.Is(err, repo.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
		if s.writes != 0 {
			t.Errorf("%s: %d writes before the refusal", name, s.writes)
		}
	}
	other := newWorkshop(t)
	if _, err := repo.Publish(context.Background(), base, other.options(), other.version("1.0.1"), now()); !errors.Is(err, repo.ErrForeign) {
		t.Errorf("on top of another publisher: %v", err)
	}
}

func TestDatesOnlyGrowAndNeverLieAhead(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	at := now()
	publish(t, s, w.options(), w.version("1.0.0"), at)
	// The clock stands still: a second each, as long as it is not ahead.
	for i, number := range []string{"1.0.1", "1.0.2"} {
		want := at.Add(-time.Minute + time.Duration(i+1)*time.Second)
		if got := publish(t, s, w.options(), w.version(number), at).Date; !got.Equal(want) {
			t.Errorf("%s is dated %s, want %s", number, got, want)
		}
	}
	writes := s.writes
	if _, err := repo.Publish(context.Background(), s, w.options(), w.version("1.0.3"), at.Add(-time.Hour)); !errors.Is(err, repo.ErrClock) {
		t.Errorf("with a clock an hour behind: %v", err)
	}
	if _, err := repo.Publish(context.Background(), s, w.options(), w.version("1.0.3"), at.Add(-58*time.Second)); !errors.Is(err, repo.ErrClock) {
		t.Errorf("with a clock a minute behind: %v", err)
	}
	if s.writes != writes {
		t.Error("something was written")
	}
}

func TestAReleaseThatIsAboutToExpireIsRenewed(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	for _, tc := range []struct {
		days    time.Duration
		renewed bool
	}{{19, false}, {21, true}, {22, false}, {60, true}} {
		at := now().Add(tc.days * 24 * time.Hour)
		report := publish(t, s, w.options(), w.version("1.0.0"), at)
		if renewed := len(report.Written) > 0; renewed != tc.renewed {
			t.Errorf("after %d days: renewed %t, want %t", tc.days, renewed, tc.renewed)
		}
		accepted(t, s, at)
	}
}

func TestASiteThatMovesToAnotherURLPointsThere(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	publish(t, s, w.options(), w.version("1.0.0"), now())
	o := w.options()
	o.URL, o.Moved = "https://packages.holm.example", true
	publish(t, s, o, w.version("1.0.0"), now().Add(time.Hour))
	if got := string(s.files["yum/stable/x86_64/mirrorlist"]); !strings.HasPrefix(got, o.URL+"/yum/stable/x86_64/r/") {
		t.Errorf("the mirror list says %q", got)
	}
	accepted(t, s, now().Add(time.Hour))
}

func TestTheLandingPageSaysWhatItIs(t *testing.T) {
	w, s := newWorkshop(t), newMemory()
	o := w.options()
	publish(t, s, o, w.version("1.0.0"), now())
	page := string(s.files["index.html"])
	for _, want := range []string{"rehearsal, not a release", "releases/current/holm-archive-keyring.deb", "releases/current/holm-archive-keyring.rpm",
		"holm_windows_amd64.zip", "holm_darwin_arm64.tar.gz", "holm version"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("the page has a script")
	}
	o.Rehearsal = false
	publish(t, s, o, w.version("1.0.1"), now().Add(time.Hour))
	if strings.Contains(string(s.files["index.html"]), "rehearsal") {
		t.Error("a release calls itself a rehearsal")
	}
}
