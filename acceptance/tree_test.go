package acceptance

import (
	"strconv"
	"strings"
	"testing"
)

// makeTree lays out what step 2 backs up: the system's own /usr/share, and the
// names, modes and kinds that programs forget. The script is POSIX shell, so
// printf speaks of bytes in octal.
const makeTree = `
umask 022
mkdir -p /srv/tree/odd/empty /srv/tree/odd/closed
cp -a /usr/share /srv/tree/share
cd /srv/tree/odd
printf 'x' >'name with spaces '
printf 'x' >"$(printf 'new\nline')"
printf 'x' >"$(printf 'not utf-8 \377\376')"
printf 'x' >"$(printf 'caf\303\251')"
printf 'x' >"$(printf 'cafe\314\201')"
printf 'x' >-rf
printf 'x' >'*'
printf '' >nothing
head -c 3000000 /dev/urandom >random
truncate -s 5000000 hole
printf 'old' >old && touch -d '1969-12-31 23:59:58.123456789 UTC' old
printf 'far' >far && touch -d '2100-01-01 00:00:00.000000001 UTC' far
for mode in 0000 0400 0755 1644 2755 4755; do printf "$mode" >"mode$mode"; chmod $mode "mode$mode"; done
chmod 0500 closed; chmod 1777 empty
ln -s nothing link; ln -s /nowhere/at/all dangling; ln -s "$(printf '\377')" 'link to odd'
ln random hardlink
`

// manifest prints every entry below a directory with kind, mode, time in
// nanoseconds, size, target and name, then the digest of every file; sorted.
const manifest = `
cd "$1"
find . -type l -printf '%y %T@ %l %P\0' -o -type f -printf '%y %m %T@ %s %P\0' -o -printf '%y %m %T@ %P\0' | sort -z | tr '\n\0' '\2\n'
find . -type f -print0 | sort -z | xargs -0 sha256sum -z | tr '\n\0' '\2\n'
find . -type f | wc -l
`

// manifestOf lists a directory of the system; the number of files follows.
func (s *session) manifestOf(t *testing.T, dir string) (string, int) {
	t.Helper()
	res := s.must(t, "sh", "-euc", manifest, "manifest", dir)
	lines := strings.Split(strings.TrimSpace(res.Stdout), "\n")
	n, err := strconv.Atoi(strings.TrimSpace(lines[len(lines)-1]))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines[:len(lines)-1], "\n"), n
}

// backUp makes the tree and backs it up into a new vault.
func (s *session) backUp(t *testing.T) {
	t.Helper()
	s.must(t, "sh", "-euc", makeTree)
	s.mustInput(t, []byte("correct horse battery staple\n"), "holm", "init", "/srv/vault", "--passphrase-fd", "0")
	s.must(t, "holm", "backup", "/srv/tree")
}

// wantRestored restores the vault into a new directory and fails unless it is
// the tree, byte for byte and mode for mode.
func (s *session) wantRestored(t *testing.T, to string) {
	t.Helper()
	s.must(t, "holm", "restore", "--to", to)
	want, files := s.manifestOf(t, "/srv/tree")
	if files <= 1000 {
		t.Fatalf("the tree has %d files, want more than 1000", files)
	}
	got, _ := s.manifestOf(t, to+"/tree")
	if got != want {
		t.Fatalf("restored is not what was backed up; the first lines that differ:\n%s", firstDifference(want, got))
	}
}

// firstDifference shows where two lists part.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) {
			return "want " + w[i] + "\ngot  the end"
		}
		if w[i] != g[i] {
			return "want " + w[i] + "\ngot  " + g[i]
		}
	}
	return "want the end\ngot  " + g[len(w)]
}
