package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// traced are the system calls that change a file or a name, or make a change
// durable, and those that say where a write goes. What would write on a way
// that is not understood here is traced too, and refused.
const traced = "open,openat,creat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat," +
	"rmdir,mkdir,mkdirat,lseek," + refused

const refused = "writev,pwritev,pwritev2,truncate,fallocate,copy_file_range,sendfile,splice,sync_file_range,msync,openat2,symlink,symlinkat"

// A call is a system call that came to its end. Its texts are decoded; an
// open file stands there as its path.
type call struct {
	began   int // lines of the trace before its beginning: what was done then
	name    string
	args    []string
	numbers []int64 // of args that are numbers or open files
	result  int64
}

// trace runs the program and returns what it asked of the kernel, in the
// order in which it was done.
func trace(t *testing.T, env []string, args ...string) []call {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append([]string{"-f", "-y", "-xx", "-s", "100000000", "-o", log, "-e", "trace=" + traced, "-e", "signal=none", "holm"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace holm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var calls []call
	begun := map[string]string{} // by thread
	began := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<30)
	for n := 0; lines.Scan(); n++ {
		thread, text, _ := strings.Cut(lines.Text(), " ")
		text = strings.TrimSpace(text)
		if first, ok := strings.CutSuffix(text, "<unfinished ...>"); ok {
			begun[thread], began[thread] = first, n
			continue
		}
		at := n
		if _, rest, ok := strings.Cut(text, " resumed>"); ok && strings.HasPrefix(text, "<... ") {
			text, at = begun[thread]+rest, began[thread]
		}
		if c, ok := parseCall(t, text); ok {
			c.began = at
			calls = append(calls, c)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}

var (
	callForm = regexp.MustCompile(`^([a-z0-9_]+)\((.*)\)\s+= (-?[0-9]+)`)
	textForm = regexp.MustCompile(`^"((?:\\x[0-9a-f]{2})*)"$`)
	fileForm = regexp.MustCompile(`^(AT_FDCWD|[0-9]+)<((?:\\x[0-9a-f]{2})*)>(?:\(deleted\))?$`)
)

// parseCall reads a line of the trace; other lines, and calls that failed, are
// not ok.
func parseCall(t *testing.T, text string) (c call, ok bool) {
	t.Helper()
	parts := callForm.FindStringSubmatch(text)
	if parts == nil {
		if strings.Contains(text, ") ") && !strings.Contains(text, "= ?") {
			t.Fatalf("the trace has a line %.200q", text)
		}
		return c, false
	}
	c.name = parts[1]
	if strings.HasPrefix(c.name, "syscall_") {
		return c, false // newer than the tracer; the calls that write are older
	}
	var err error
	if c.result, err = strconv.ParseInt(parts[3], 10, 64); err != nil || c.result < 0 {
		return c, false
	}
	for arg := range strings.SplitSeq(parts[2], ", ") {
		arg = strings.TrimSpace(arg)
		number := int64(-1)
		if m := textForm.FindStringSubmatch(arg); m != nil {
			arg = unhex(m[1])
		} else if m := fileForm.FindStringSubmatch(arg); m != nil {
			arg = unhex(m[2])
			number, _ = strconv.ParseInt(m[1], 10, 64)
		} else {
			number, _ = strconv.ParseInt(arg, 0, 64)
		}
		c.args, c.numbers = append(c.args, arg), append(c.numbers, number)
	}
	return c, true
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		panic(err) // the form was checked
	}
	return string(b)
}

// A written is one change of a file that no sync has covered yet.
type written struct {
	line int   // of the trace
	off  int64 // of data, or the new size
	data []byte
	size bool // a change of the size alone
}

// An inode is a file of the traced disk, or a directory.
type inode struct {
	dir     bool
	synced  []byte
	pending []written
}

// A naming is a change of names in one directory that no sync of that
// directory has covered yet; nil removes.
type naming struct {
	line int
	dir  string
	set  map[string]*inode
}

// A tracedDisk is what the calls of the program have made of some
// directories: what a running system sees, and what would be there after a
// power cut.
type tracedDisk struct {
	under   []string // the directories
	names   map[string]*inode
	durable map[string]*inode
	pending []naming
	offsets map[int64]int64 // of open files, by descriptor
	line    int
}

func (d *tracedDisk) inside(path string) bool {
	for _, dir := range d.under {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// above reports whether one of the directories stands in this one.
func (d *tracedDisk) above(path string) bool {
	return slices.ContainsFunc(d.under, func(dir string) bool { return filepath.Dir(dir) == path })
}

func (d *tracedDisk) enter(set map[string]*inode) {
	for name, ino := range set {
		if ino == nil {
			delete(d.names, name)
		} else {
			d.names[name] = ino
		}
		d.pending = append(d.pending, naming{d.line, filepath.Dir(name), map[string]*inode{name: ino}})
	}
}

// move is a rename: within a directory both names change in one step.
func (d *tracedDisk) move(from, to string) {
	ino := d.names[from]
	if filepath.Dir(from) != filepath.Dir(to) {
		d.enter(map[string]*inode{to: ino})
		d.enter(map[string]*inode{from: nil})
		return
	}
	delete(d.names, from)
	d.names[to] = ino
	d.pending = append(d.pending, naming{d.line, filepath.Dir(to), map[string]*inode{from: nil, to: ino}})
}

// sync makes durable what was done before the call began.
func (d *tracedDisk) sync(path string, before int) {
	ino := d.names[path]
	if ino != nil && !ino.dir {
		var left []written
		for _, w := range ino.pending {
			if w.line < before {
				ino.synced = w.on(ino.synced)
			} else {
				left = append(left, w)
			}
		}
		ino.pending = left
		return
	}
	var left []naming
	for _, n := range d.pending {
		if n.dir == path && n.line < before {
			apply(d.durable, n)
		} else {
			left = append(left, n)
		}
	}
	d.pending = left
}

func apply(names map[string]*inode, n naming) {
	for name, ino := range n.set {
		if ino == nil {
			delete(names, name)
		} else {
			names[name] = ino
		}
	}
}

// on is the content after a change.
func (w written) on(b []byte) []byte {
	end := w.off + int64(len(w.data))
	grown := make([]byte, max(int64(len(b)), end))
	copy(grown, b)
	copy(grown[w.off:], w.data)
	if w.size {
		return grown[:w.off]
	}
	return grown
}

// do lets a call change the disk; it reports whether it did.
func (d *tracedDisk) do(c call, line int) (changed bool, err error) {
	d.line = line
	at := func(n int) string { // a path, relative to the directory before it
		if strings.HasSuffix(c.name, "at") || c.name == "renameat2" {
			if !filepath.IsAbs(c.args[n]) {
				return filepath.Join(c.args[n-1], c.args[n])
			}
		}
		return filepath.Clean(c.args[n])
	}
	if strings.Contains(","+refused+",", ","+c.name+",") {
		for _, a := range c.args {
			if d.inside(a) {
				return false, fmt.Errorf("%s %q is not understood", c.name, c.args)
			}
		}
		return false, nil
	}
	switch c.name {
	case "openat":
		return d.open(at(1), c), nil
	case "write", "pwrite64", "ftruncate", "lseek":
		return d.write(c), nil
	case "fsync", "fdatasync":
		if !d.inside(c.args[0]) && !d.above(c.args[0]) {
			return false, nil
		}
		d.sync(c.args[0], c.began)
		return true, nil
	case "mkdirat", "mkdir":
		path := at(len(c.args) - 2)
		if !d.inside(path) {
			return false, nil
		}
		d.enter(map[string]*inode{path: {dir: true}})
		return true, nil
	case "unlinkat", "unlink", "rmdir":
		path := at(min(1, len(c.args)-1))
		if !d.inside(path) {
			return false, nil
		}
		d.enter(map[string]*inode{path: nil})
		return true, nil
	case "renameat", "renameat2", "linkat", "rename", "link":
		from, to := at(min(1, len(c.args)-2)), at(min(3, len(c.args)-1))
		if !d.inside(from) && !d.inside(to) {
			return false, nil
		}
		if strings.HasPrefix(c.name, "rename") {
			d.move(from, to)
		} else {
			d.enter(map[string]*inode{to: d.names[from]})
		}
		return true, nil
	}
	return false, fmt.Errorf("%s %q is not understood", c.name, c.args)
}

func (d *tracedDisk) open(path string, c call) (changed bool) {
	d.offsets[c.result] = 0
	if !d.inside(path) {
		return false
	}
	ino := d.names[path]
	if ino == nil && strings.Contains(c.args[2], "O_CREAT") {
		d.enter(map[string]*inode{path: {}})
		return true
	}
	if ino != nil && strings.Contains(c.args[2], "O_TRUNC") {
		ino.pending = append(ino.pending, written{line: d.line, size: true})
		return true
	}
	return false
}

func (d *tracedDisk) write(c call) (changed bool) {
	fd := c.numbers[0]
	if c.name == "lseek" {
		d.offsets[fd] = c.result
		return false
	}
	if !d.inside(c.args[0]) {
		return false
	}
	w := written{line: d.line}
	switch c.name {
	case "write":
		w.off, w.data = d.offsets[fd], []byte(c.args[1])[:c.result]
		d.offsets[fd] += c.result
	case "pwrite64":
		w.off, w.data = c.numbers[3], []byte(c.args[1])[:c.result]
	case "ftruncate":
		w.off, w.size = c.numbers[1], true
	}
	if ino := d.names[c.args[0]]; ino != nil {
		ino.pending = append(ino.pending, w)
	}
	return true
}
