package source

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// attributesOf are the file attributes as a path of the system has them.
func attributesOf(t *testing.T, path string) uint32 {
	t.Helper()
	p, err := windows.UTF16PtrFromString(path)
	must(t, err)
	attributes, err := windows.GetFileAttributes(p)
	must(t, err)
	return attributes
}

func setAttributesOf(t *testing.T, path string, attributes uint32) {
	t.Helper()
	p, err := windows.UTF16PtrFromString(path)
	must(t, err)
	must(t, windows.SetFileAttributes(p, attributes))
}

func TestFileAttributesOfWindowsComeBack(t *testing.T) {
	const kept = windows.FILE_ATTRIBUTE_READONLY | windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM | windows.FILE_ATTRIBUTE_ARCHIVE
	dir := t.TempDir()
	tree := openTree(t, dir)
	for _, want := range []uint32{0, windows.FILE_ATTRIBUTE_READONLY, windows.FILE_ATTRIBUTE_HIDDEN, windows.FILE_ATTRIBUTE_SYSTEM | windows.FILE_ATTRIBUTE_HIDDEN,
		windows.FILE_ATTRIBUTE_ARCHIVE, kept} {
		from, to := put(t, dir, "from", "content"), put(t, dir, "to", "content")
		setAttributesOf(t, from, cmp.Or(want, windows.FILE_ATTRIBUTE_NORMAL))
		given := attributesOf(t, from) & kept // some file systems have fewer
		e, err := openDir(t, dir).Lstat("from")
		must(t, err)
		if e.WinAttrs&kept != given || (e.Mode&0o200 == 0) != (given&windows.FILE_ATTRIBUTE_READONLY != 0) {
			t.Errorf("of %#x the entry has %#x and mode %o", given, e.WinAttrs, e.Mode)
		}
		must(t, tree.SetMetadata("to", e))
		if got := attributesOf(t, to) & kept; got != given {
			t.Errorf("%#x came back as %#x", given, got)
		}
		if got, err := tree.Lstat("to"); err != nil || got.ModTime != e.ModTime {
			t.Errorf("the time is %v, %v, want %v", got.ModTime, err, e.ModTime)
		}
		for _, path := range []string{from, to} {
			setAttributesOf(t, path, windows.FILE_ATTRIBUTE_NORMAL)
			must(t, os.Remove(path))
		}
	}
}

func TestDirectoryKeepsItsFileAttributes(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	must(t, errors.Join(tree.Mkdir("d"), os.Mkdir(filepath.Join(dir, "from"), 0o700)))
	setAttributesOf(t, filepath.Join(dir, "from"), windows.FILE_ATTRIBUTE_HIDDEN)
	e, err := Lstat(filepath.Join(dir, "from"))
	must(t, err)
	if e.Kind != Directory || e.WinAttrs&windows.FILE_ATTRIBUTE_DIRECTORY == 0 {
		t.Errorf("the directory is %+v", e)
	}
	must(t, tree.SetMetadata("d", e))
	want, got := attributesOf(t, filepath.Join(dir, "from")), attributesOf(t, filepath.Join(dir, "d"))
	if got != want {
		t.Errorf("%#x came back as %#x", want, got)
	}
}

// sddlOf is the security descriptor as a path of the system has it.
func sddlOf(t *testing.T, path string) string {
	t.Helper()
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, securityParts)
	must(t, err)
	return sd.String()
}

func TestSecurityDescriptorComesBack(t *testing.T) {
	dir := t.TempDir()
	from, to := put(t, dir, "from", "content"), put(t, dir, "to", "content")
	plain := sddlOf(t, to)
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;BA)(A;;FA;;;WD)")
	must(t, err)
	dacl, _, err := sd.DACL()
	must(t, err)
	must(t, windows.SetNamedSecurityInfo(from, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION, nil, nil, dacl, nil))
	want := sddlOf(t, from)
	r, err := openDir(t, dir).OpenFile("from")
	must(t, err)
	list, err := r.Attributes()
	must(t, errors.Join(err, r.Close()))
	e := Entry{Kind: File, Mode: 0o666, ModTime: Time{1_600_000_000, 0}, Attributes: list}
	if got, _ := e.attribute(AttributeSecurity); got != want {
		t.Errorf("read %q, want %q", got, want)
	}
	must(t, openTree(t, dir).SetMetadata("to", e))
	if got := sddlOf(t, to); got != want {
		t.Errorf("came back as %q, want %q; it was %q", got, want, plain)
	}
	if plain == want {
		t.Errorf("the two were %q from the start", want)
	}
}

func TestHostileSecurityDescriptorIsRefusedAndTheRestIsSet(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "to", "content")
	for _, sddl := range []string{"", "nonsense", "O:", "D:(A;;;;;)", strings.Repeat("(", 60_000)} {
		e := Entry{Kind: File, Mode: 0o666, ModTime: Time{1_600_000_000, 0}, Attributes: []Attribute{{AttributeSecurity, sddl}}}
		tree := openTree(t, dir)
		err := tree.SetMetadata("to", e)
		if got, lerr := tree.Lstat("to"); lerr != nil || got.ModTime != e.ModTime {
			t.Errorf("with %.10q the time is %v, %v (%v)", sddl, got.ModTime, lerr, err)
		}
	}
}

func TestStreamsComeBack(t *testing.T) {
	dir := t.TempDir()
	from, to := put(t, dir, "from", "content"), put(t, dir, "to", "content")
	if err := os.WriteFile(from+":zone", []byte("[ZoneTransfer]\r\nZoneId=3\r\n"), 0o600); err != nil {
		t.Skip("this file system has no streams: ", err)
	}
	if names, err := namesIn(openDir(t, dir)); err != nil || len(names) != 2 {
		t.Skipf("this system makes a file of a stream: %q, %v", names, err)
	}
	must(t, os.WriteFile(from+":large", make([]byte, maxStream+1), 0o600))
	r, err := openDir(t, dir).OpenFile("from")
	must(t, err)
	list, err := r.Attributes()
	must(t, r.Close())
	if err == nil || !strings.Contains(err.Error(), "large") {
		t.Errorf("%v, want that the large stream is told", err)
	}
	must(t, openTree(t, dir).SetMetadata("to", Entry{Kind: File, Mode: 0o666, ModTime: Time{1_600_000_000, 0}, Attributes: list}))
	if b, err := os.ReadFile(to + ":zone"); err != nil || string(b) != "[ZoneTransfer]\r\nZoneId=3\r\n" {
		t.Errorf("the stream is %q, %v", b, err)
	}
	if _, err := os.ReadFile(to + ":large"); err == nil {
		t.Error("a stream that is not kept came back")
	}
}

// streamList is a list of streams as the kernel writes it.
func streamList(names ...string) (b []byte) {
	for i, name := range names {
		u, _ := windows.UTF16FromString(name)
		u = u[:len(u)-1]
		size := (24 + 2*len(u) + 7) &^ 7
		one := make([]byte, size)
		if i < len(names)-1 {
			binary.LittleEndian.PutUint32(one, uint32(size))
		}
		binary.LittleEndian.PutUint32(one[4:], uint32(2*len(u)))
		for j, c := range u {
			binary.LittleEndian.PutUint16(one[24+2*j:], c)
		}
		b = append(b, one...)
	}
	return b
}

func TestListOfStreamsIsReadOrRefused(t *testing.T) {
	names, err := parseStreams(streamList("::$DATA", ":Zone.Identifier:$DATA", ":\U0001F333:$DATA", ":index:$INDEX_ALLOCATION"))
	if want := "Zone.Identifier \U0001F333"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("read %q, %v, want %q", names, err, want)
	}
	whole := streamList(":one:$DATA", ":two:$DATA")
	for n := range len(whole) {
		if _, err := parseStreams(whole[:n]); err == nil && n < 24+2*len(":one:$DATA") {
			t.Errorf("a list of %d bytes was taken", n)
		}
	}
	for i := range whole {
		for _, bit := range []byte{1, 0x80} {
			broken := append([]byte(nil), whole...)
			broken[i] ^= bit
			_, _ = parseStreams(broken) // no panic, and an end
		}
	}
}

func TestReparsePointIsReadAsItWasWritten(t *testing.T) {
	for target, junction := range map[string]bool{`C:\Users\all`: true, `\\?\Volume{1}\x`: true, `D:\x`: false, `..\sibling`: false,
		`\\server\share\x`: false, `name`: false, `\rooted`: false, "\u00e9\U0001F333": false} {
		b, err := formatReparse(target, junction)
		must(t, err)
		got, isJunction, err := parseReparse(b)
		if err != nil || got != target || isJunction != junction {
			t.Errorf("%q, junction %v, became %q, %v, %v", target, junction, got, isJunction, err)
		}
		for n := range b {
			if _, _, err := parseReparse(b[:n]); err == nil {
				t.Errorf("%d of %d bytes were taken", n, len(b))
			}
		}
		for i := range b {
			broken := append([]byte(nil), b...)
			broken[i] ^= 0x80
			_, _, _ = parseReparse(broken) // no panic
		}
	}
	if _, err := formatReparse("relative", true); err == nil {
		t.Error("a junction to nowhere was made")
	}
	if _, err := formatReparse(strings.Repeat("x", 16_000), false); err == nil {
		t.Error("a reparse point larger than any was made")
	}
}

func TestLinksComeBackAsWhatTheyWere(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	put(t, filepath.Join(dir, "real"), "file", "x")
	tree := openTree(t, dir)
	for name, e := range map[string]Entry{
		"junction":  {Kind: Symlink, Target: filepath.Join(dir, "real"), WinAttrs: windows.FILE_ATTRIBUTE_DIRECTORY, Attributes: []Attribute{{Name: AttributeJunction}}},
		"directory": {Kind: Symlink, Target: "real", WinAttrs: windows.FILE_ATTRIBUTE_DIRECTORY},
		"file":      {Kind: Symlink, Target: `real\file`, WinAttrs: windows.FILE_ATTRIBUTE_ARCHIVE},
	} {
		if err := tree.SymlinkAs(name, e); err != nil {
			if _, lerr := tree.Lstat(name); lerr == nil {
				t.Errorf("%s: something is left behind of what could not be made: %v", name, err)
			}
			t.Skip("no links here: ", err)
		}
		got, err := tree.Lstat(name)
		if err != nil || got.Kind != Symlink || got.Target != e.Target || got.WinAttrs&windows.FILE_ATTRIBUTE_DIRECTORY != e.WinAttrs&windows.FILE_ATTRIBUTE_DIRECTORY {
			t.Errorf("%s is %+v, %v", name, got, err)
		}
		list, err := openDir(t, dir).Attributes(name)
		got.Attributes = list
		if _, junction := got.attribute(AttributeJunction); err != nil || junction != (name == "junction") {
			t.Errorf("%s has %v, %v", name, list, err)
		}
	}
	if d, err := openDir(t, dir).OpenDir("junction"); err == nil {
		t.Errorf("the junction was followed: %v", d.Close())
	}
}

func TestPathsLongerThanWindowsLikesAreReadAndWritten(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	path, last := "", strings.Repeat("d", 60)
	for range 8 {
		path = strings.TrimPrefix(path+"/"+last, "/")
		must(t, tree.Mkdir(path))
	}
	f, err := tree.Create(path + "/file")
	must(t, err)
	_, err = f.Write([]byte("deep"))
	must(t, errors.Join(err, f.Close()))
	d := openDir(t, dir)
	for range 8 {
		if d, err = d.OpenDir(last); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
	}
	r, err := d.OpenFile("file")
	must(t, err)
	b := make([]byte, 4)
	if _, err := r.ReadAt(b, 0); err != nil || string(b) != "deep" {
		t.Errorf("read %q, %v", b, err)
	}
	must(t, r.Close())
	if e, err := Lstat(filepath.Join(d.Path(), "file")); err != nil || e.Size != 4 {
		t.Errorf("a path of %d characters: %+v, %v", len(d.Path()), e, err)
	}
}

func TestExtendedPathIsTheSamePlace(t *testing.T) {
	long := strings.Repeat(`\d`, 150)
	for path, want := range map[string]string{`C:\short`: `C:\short`, `C:` + long: `\\?\C:` + long, `\\server\share` + long: `\\?\UNC\server\share` + long,
		`\\?\C:` + long: `\\?\C:` + long, `relative` + long: `relative` + long, `C:` + long + `\..`: `\\?\C:` + long[:len(long)-2]} {
		if got := extended(path); got != want {
			t.Errorf("%.20s… is %.30s…, want %.30s…", path, got, want)
		}
	}
}

func TestNamesThatWindowsTakesForSomethingElseAreRefused(t *testing.T) {
	for _, name := range []string{"CON", "nul.txt", "com1", "LPT9.x", "a:b", "a\\b", "what?", "star*", `"`, "<", ">", "|", "dot.", "blank ", "bell\x07", "caf\xe9"} {
		if err := CheckName(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v, want ErrName", name, err)
		}
	}
	for _, name := range []string{"console", ".hidden", "a b", "\u00e9", "\U0001F333", "con1"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestChangeTimeAndFileIDTellAFileFromItsSuccessor(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "file", "content")
	d := openDir(t, dir)
	before, err := d.Lstat("file")
	must(t, err)
	if before.ID == (FileID{}) || before.ChangeTime == (Time{}) {
		t.Errorf("the entry is %+v, want an id and a change time", before)
	}
	must(t, os.Rename(path, path+".old"))
	after, err := os.ReadFile(path + ".old")
	must(t, err)
	put(t, dir, "file", string(after))
	must(t, os.Chtimes(path, before.ModTime.Time(), before.ModTime.Time()))
	successor, err := d.Lstat("file")
	must(t, err)
	if successor.ModTime != before.ModTime || successor.Same(before) {
		t.Errorf("the successor %+v is taken for %+v", successor, before)
	}
}

func TestHardLinkIsMadeInAnotherDirectory(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, dir)
	put(t, dir, "file", "content")
	must(t, errors.Join(tree.Mkdir("d"), tree.Link("file", "d/linked \u00e9"), tree.Link("file", "x")))
	e, err := tree.Lstat("d/linked \u00e9")
	must(t, err)
	first, err := tree.Lstat("file")
	must(t, err)
	if e.ID != first.ID || e.Links != 3 || first.Links != 3 {
		t.Errorf("the link is %+v, the file %+v", e, first)
	}
	if err := tree.Link("file", "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want that nothing is replaced", err)
	}
}

func TestContentThatIsElsewhereIsNotFetched(t *testing.T) {
	if why := (Entry{Kind: File, Elsewhere: true}).Skip(); why == "" {
		t.Error("a placeholder would be read")
	}
	if why := (Entry{Kind: Special}).Skip(); why == "" {
		t.Error("an unknown reparse point would be stored")
	}
	if why := (Entry{Kind: File}).Skip(); why != "" {
		t.Errorf("a file would be skipped: %s", why)
	}
}

func FuzzParseReparse(f *testing.F) {
	for target, junction := range map[string]bool{`C:\x`: true, `..\x`: false, `\\server\share`: false} {
		b, err := formatReparse(target, junction)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		target, _, err := parseReparse(b)
		if err == nil && len(target) > 3*len(b) {
			t.Errorf("%d bytes became a target of %d", len(b), len(target))
		}
	})
}

func FuzzParseStreams(f *testing.F) {
	f.Add(streamList("::$DATA", ":one:$DATA"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := parseStreams(b)
		if err == nil && len(names) > len(b)/24 {
			t.Errorf("%d names in %d bytes", len(names), len(b))
		}
	})
}

func TestUnreachableShareIsNotTakenForRemovedFiles(t *testing.T) {
	for err, gone := range map[error]bool{windows.ERROR_FILE_NOT_FOUND: true, windows.ERROR_PATH_NOT_FOUND: true, windows.ERROR_BAD_NETPATH: false,
		windows.ERROR_ACCESS_DENIED: false} {
		if got := IsGone(&fs.PathError{Op: "lstat", Path: "x", Err: err}); got != gone {
			t.Errorf("%v is gone: %v", err, got)
		}
	}
}

func TestStreamsOfAFileAreReadUpToABoundOfAllTogether(t *testing.T) {
	read := 0
	list, err := appendStreams([]Attribute{{AttributeSecurity, strings.Repeat("s", maxStream)}}, "file", make([]string, 100),
		func(string) ([]byte, error) { read++; return make([]byte, maxStream), nil })
	if !errors.Is(err, ErrAttributes) || len(list) != 15 || read != 15 {
		t.Errorf("%d attributes, %d streams read, %v", len(list), read, err)
	}
}
