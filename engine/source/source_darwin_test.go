package source

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFlagsAndAttributesOfMacOSComeBack(t *testing.T) {
	dir := t.TempDir()
	from, to := put(t, dir, "from", "content"), put(t, dir, "to", "content")
	fork := make([]byte, 5000)
	fork[4999] = 1
	must(t, errors.Join(unix.Setxattr(from, "com.apple.ResourceFork", fork, 0), unix.Setxattr(from, "com.apple.FinderInfo", append([]byte("TEXTholm"), make([]byte, 24)...), 0),
		unix.Setxattr(from, "org.example.holm", []byte("\x00\xff"), 0), unix.Chflags(from, int(flagsOf("adhi")))))
	defer func() { must(t, errors.Join(unix.Chflags(from, 0), unix.Chflags(to, 0))) }() // or nobody removes them
	r, err := openDir(t, dir).OpenFile("from")
	must(t, err)
	want, err := r.Attributes()
	must(t, errors.Join(err, r.Close()))
	if len(want) != 4 || want[2].Name != AttributeFlags || want[2].Value != "adhi" {
		t.Fatalf("the file has %q", want)
	}
	tree := openTree(t, dir)
	e := Entry{Kind: File, Mode: 0o600, ModTime: Time{1_600_000_000, 0}, Attributes: want}
	must(t, errors.Join(tree.SetMetadata("to", e), tree.SetFlags("to", e)))
	r, err = openDir(t, dir).OpenFile("to")
	must(t, err)
	got, err := r.Attributes()
	must(t, errors.Join(err, r.Close()))
	if !slices.Equal(got, want) {
		t.Errorf("came back as %q, want %q", got, want)
	}
}

func TestAttributesOfALinkAreItsOwn(t *testing.T) {
	dir := t.TempDir()
	target := put(t, dir, "target", "content")
	tree := openTree(t, dir)
	must(t, tree.Symlink("target", "link"))
	e := Entry{Kind: Symlink, Target: "target", ModTime: Time{1_600_000_000, 0}, Attributes: []Attribute{{"org.example.holm", "of the link"}}}
	must(t, tree.SetMetadata("link", e))
	list, err := openDir(t, dir).Attributes("link")
	if err != nil || !slices.Equal(list, e.Attributes) {
		t.Errorf("the link has %q, %v", list, err)
	}
	if _, err := unix.Getxattr(filepath.Clean(target), "org.example.holm", nil); err != unix.ENOATTR {
		t.Errorf("the target has the attribute too: %v", err)
	}
}

func TestFlagsAreTheirLetters(t *testing.T) {
	for _, letters := range []string{"", "AIadhi", "i", "h", "Ad"} {
		if got := lettersOf(flagsOf(letters)); got != letters {
			t.Errorf("%q became %q", letters, got)
		}
	}
	if got := flagsOf("t?"); got != 0 {
		t.Errorf("letters of other systems are %#x", got)
	}
}
