package acceptance

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"holm.example/acceptance/root"
)

func TestAcceptance(t *testing.T) {
	cache := openRoots(t)
	url, servers := startServers(t)
	rel := makeReleases(t, url)
	t.Run("lint", func(t *testing.T) {
		t.Parallel()
		lintPackages(t, rel)
	})
	for _, sys := range systems() {
		t.Run(sys.spec.Suite, func(t *testing.T) {
			t.Parallel()
			base, err := cache.Base(t.Context(), sys.spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range sys.clients {
				t.Run(c.name, func(t *testing.T) {
					liveThrough(t, newSession(t, base, c, rel, servers))
				})
				t.Run(c.name+"_with_one_file", func(t *testing.T) {
					installOneFile(t, newSession(t, base, c, rel, servers))
				})
				if sys.spec.Suite == "bookworm" { // the one system with all three kinds of clients
					t.Run(c.name+"_from_holm-publish_serve", func(t *testing.T) {
						installFromServe(t, newSession(t, base, c, rel, servers))
					})
				}
				t.Run(c.name+"_on_32_bits", func(t *testing.T) {
					install32Bits(t, newSession(t, base, c, rel, servers))
				})
			}
		})
	}
}

// liveThrough walks one client through the life of an installation. The steps
// bear the numbers of the list in README.md; the attacks come while the second
// release waits to be installed, so that its later upgrade proves that nothing
// but the attack was refused.
func liveThrough(t *testing.T, s *session) {
	before := s.files(t)
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"1_bootstrap_and_install", s.step1Install},
		{"2_back_up_and_restore", s.step2Restore},
		{"5_refuse", s.step5Refuse},
		{"3_upgrade", s.step3Upgrade},
		{"6_live_through_a_new_archive_key", s.step6NewKey},
		{"4_remove", func(t *testing.T) { s.step4Remove(t, before) }},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.run) {
			t.Fatalf("what follows step %s means nothing without it", step.name)
		}
	}
}

func (s *session) step1Install(t *testing.T) {
	s.bootstrap(t)
	s.must(t, s.refresh...)
	s.must(t, with(s.install, "holm")...)
	s.wantInstalled(t, "holm", s.rel.versions[0])
	s.sameFile(t, s.keyFile, 0, s.served)
	for _, name := range []string{s.entry, s.keyFile} {
		if res := s.must(t, with(s.owner, name)...); !strings.Contains(res.Stdout, s.keyring) {
			t.Errorf("%s belongs to %q, want %s", name, res.Stdout, s.keyring)
		}
	}
}

func (s *session) step2Restore(t *testing.T) {
	s.wantAnswer(t, s.rel.versions[0])
	s.backUp(t)
	s.wantRestored(t, "/srv/restored")
}

func (s *session) step3Upgrade(t *testing.T) {
	entry, err := s.root.ReadFile(t.Context(), s.entry)
	if err != nil {
		t.Fatal(err)
	}
	edited := string(entry) + "# edited by the administrator\n"
	if err := s.root.WriteFile(t.Context(), s.entry, []byte(edited)); err != nil {
		t.Fatal(err)
	}
	s.server.show(s.rel.trees[1], nil)
	s.wantUpgrade(t, 1)
	s.wantRestored(t, "/srv/restored-by-the-next")
	if now, err := s.root.ReadFile(t.Context(), s.entry); err != nil || string(now) != edited {
		t.Errorf("the edited repository entry is now %q (%v)", now, err)
	}
}

// wantUpgrade refreshes, upgrades and fails unless both packages and the
// program are of that release.
func (s *session) wantUpgrade(t *testing.T, release int) root.Result {
	t.Helper()
	s.must(t, s.refresh...)
	res := s.must(t, s.upgrade...)
	s.wantInstalled(t, "holm", s.rel.versions[release])
	s.wantInstalled(t, s.keyring, s.rel.versions[release])
	s.wantAnswer(t, s.rel.versions[release])
	return res
}

func (s *session) step4Remove(t *testing.T, before map[string]bool) {
	last := s.rel.versions[2]
	s.must(t, with(s.remove, "holm")...)
	s.wantInstalled(t, "holm", "")
	s.wantInstalled(t, s.keyring, last)
	s.wantQuietRefresh(t)

	s.must(t, with(s.install, "holm")...)
	s.must(t, with(s.remove, s.keyring)...)
	s.wantInstalled(t, s.keyring, "")
	s.wantAnswer(t, last)
	s.wantQuietRefresh(t)

	s.must(t, with(s.remove, "holm")...)
	if s.purge != nil {
		s.must(t, with(s.purge, "holm", s.keyring)...)
	}
	s.wantQuietRefresh(t)
	left := s.files(t)
	for name := range before {
		if !left[name] {
			t.Errorf("%s was there before the first install and is gone", name)
		}
	}
	if s.format == "rpm" { // rpm keeps what the administrator edited, under this name
		if !left[s.entry+".rpmsave"] {
			t.Errorf("the edited repository entry is not kept as .rpmsave")
		}
		delete(left, s.entry+".rpmsave")
	}
	for name := range left {
		if !before[name] && (s.format == "deb" || strings.Contains(name, "holm") || !s.isDirectory(t, name)) {
			t.Errorf("%s is left after removal", name)
		}
	}
}

// isDirectory tells directories from the rest. rpm leaves directories that no
// package of a Debian system owns; on systems of its own they belong to one.
func (s *session) isDirectory(t *testing.T, name string) bool {
	t.Helper()
	return s.run(t, "test", "-d", name).Code == 0
}

func (s *session) step5Refuse(t *testing.T) {
	arch := map[string]string{"deb": "amd64", "rpm": "x86_64"}[s.format]
	a := attacker{
		tree:     s.rel.trees[1].dir,
		pkg:      s.rel.artifact(t, 1, s.format, "holm", arch),
		archive:  s.rel.archive,
		stranger: s.rel.stranger,
	}
	if s.format == "rpm" {
		a.unsigned = s.unsign(t, a.pkg)
	}
	for _, r := range s.refusals {
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) { s.refuse(t, r, a) })
	}
}

// refuse lets one attack loose on a client that would upgrade.
func (s *session) refuse(t *testing.T, r refusal, a attacker) {
	if r.entry != "" { // the check that refuses is one that has to be asked for
		entry, err := s.root.ReadFile(t.Context(), s.entry)
		if err == nil {
			err = s.root.WriteFile(t.Context(), s.entry, append(slices.Clone(entry), r.entry...))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.root.WriteFile(context.WithoutCancel(t.Context()), s.entry, entry)
	}
	if s.log != "" {
		s.must(t, "rm", "-f", s.log)
	}
	s.server.show(s.rel.trees[1], r.forge(t, a))
	said := s.run(t, s.refresh...).String() + "\n" + s.run(t, s.upgrade...).String()
	if s.log != "" {
		said += "\n" + s.run(t, "cat", s.log).String()
	}
	if !regexp.MustCompile(r.says).MatchString(said) {
		t.Errorf("the client does not say %q but:\n%s\nrequests:\n%s", r.says, said, s.server.requests())
	}
	s.wantInstalled(t, "holm", s.rel.versions[0])
	s.wantAnswer(t, s.rel.versions[0])
}

// unsign takes the signature off a package, with rpm's own tool.
func (s *session) unsign(t *testing.T, pkg string) []byte {
	t.Helper()
	s.put(t, 1, pkg, "/tmp/unsigned.rpm")
	s.must(t, "rpmsign", "--delsign", "/tmp/unsigned.rpm")
	data, err := s.root.ReadFile(t.Context(), "/tmp/unsigned.rpm")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *session) step6NewKey(t *testing.T) {
	old, new := signerOf(t, read(t, s.rel.trees[1].dir, inReleasePath)), signerOf(t, read(t, s.rel.trees[2].dir, inReleasePath))
	if old == new {
		t.Fatalf("the third release is signed by the key of the second, %s", old)
	}
	trusted := s.trusted(t)
	s.server.show(s.rel.trees[2], nil)
	res := s.wantUpgrade(t, 2)
	if asked := regexp.MustCompile(`(?i)import.*key|\bkey\b.*import|is this ok.*key|trust`).FindString(res.Output()); asked != "" {
		t.Errorf("the client asks about the new key: %s\n%s", asked, res)
	}
	if now := s.trusted(t); !slices.Equal(now, trusted) {
		t.Errorf("the client trusts %v now, and %v before", now, trusted)
	}
}

// trusted lists the keys in rpm's database.
func (s *session) trusted(t *testing.T) []string {
	t.Helper()
	if s.format != "rpm" {
		return nil
	}
	res := s.run(t, append(slices.Clone(s.query[:len(s.query)-2]), "gpg-pubkey")...)
	list := strings.Fields(res.Stdout)
	slices.Sort(list)
	if len(list) == 0 {
		t.Fatalf("rpm trusts no key: %s", res)
	}
	return list
}

// installOneFile installs the program's package alone, without any repository.
func installOneFile(t *testing.T, s *session) {
	s.server.show(s.rel.trees[0], nil)
	arch := map[string]string{"deb": "amd64", "rpm": "x86_64"}[s.format]
	if s.trust != "" {
		s.put(t, 0, s.served, "/tmp/keys")
		s.must(t, "sh", "-euc", s.trust)
	}
	s.put(t, 0, s.rel.artifact(t, 0, s.format, "holm", arch), "/tmp/holm."+s.format)
	s.must(t, with(s.addFile, "/tmp/holm."+s.format)...)
	s.wantInstalled(t, "holm", s.rel.versions[0])
	s.wantAnswer(t, s.rel.versions[0])
	s.wantQuietRefresh(t)
	if s.format == "rpm" { // nothing else has to be there, no shell, no library
		s.must(t, "rpm", "--root", "/srv/empty", "--initdb")
		s.must(t, "rpm", "--root", "/srv/empty", "-i", "/tmp/holm.rpm")
		s.must(t, "chroot", "/srv/empty", "/usr/bin/holm", "version")
	}
}

// install32Bits installs the program for 32-bit systems on this 64-bit one:
// apt by name, with the foreign architecture added; rpm by file.
func install32Bits(t *testing.T, s *session) {
	if s.format == "deb" {
		s.must(t, "dpkg", "--add-architecture", "i386")
		s.bootstrap(t)
		s.must(t, s.refresh...)
		s.must(t, with(s.install, "holm:i386")...)
		s.wantInstalled(t, "holm:i386", s.rel.versions[0])
	} else {
		if s.trust != "" {
			s.put(t, 0, s.served, "/tmp/keys")
			s.must(t, "sh", "-euc", s.trust)
		}
		s.put(t, 0, s.rel.artifact(t, 0, "rpm", "holm", "i[36]86"), "/tmp/holm.rpm")
		s.must(t, with(s.addFile, "/tmp/holm.rpm")...)
		s.wantInstalled(t, "holm", s.rel.versions[0])
	}
	s.wantAnswer(t, s.rel.versions[0])
	if res := s.must(t, "holm", "version"); !strings.Contains(res.Stdout, "linux/386") {
		t.Errorf("the installed program is not the one for 32 bits: %s", res)
	}
}
