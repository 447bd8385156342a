package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// A watch counts what happens to the files of some directories, and calls
// someone at a chosen count: chance picks a place in the work of the program
// and not a time, of which most would pass while it starts.
type watch struct {
	fd    int
	mask  uint32
	dirs  map[int32]string // by descriptor of the watch
	count atomic.Int64
	done  chan error
}

const (
	changes    = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_MOVED_TO
	everything = changes | unix.IN_DELETE | unix.IN_CLOSE | unix.IN_OPEN
)

func newWatch(t *testing.T, mask uint32, at int64, call func(), dirs ...string) *watch {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{fd: fd, mask: mask, dirs: map[int32]string{}, done: make(chan error, 1)}
	for _, root := range dirs {
		if _, err := w.add(root); err != nil {
			t.Fatal(err)
		}
	}
	go func() { w.done <- w.run(at, call, dirs[0]) }()
	return w
}

// add watches a directory and those below it, and returns how many files
// are there already.
func (w *watch) add(root string) (files int64, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		} else if err == nil {
			var n int
			n, err = unix.InotifyAddWatch(w.fd, path, w.mask)
			w.dirs[int32(n)] = path
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // it is gone again
		}
		return err
	})
	return files, err
}

// run ends when the first directory is touched by stop.
func (w *watch) run(at int64, call func(), dir string) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(w.fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for events := buffer[:n]; len(events) >= unix.SizeofInotifyEvent; {
			field := func(n int) uint32 { return binary.NativeEndian.Uint32(events[4*n:]) }
			what, end := field(1), unix.SizeofInotifyEvent+field(3)
			name := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
			if name == stopName {
				return os.Remove(filepath.Join(dir, stopName))
			}
			more := int64(1)
			if what&unix.IN_ISDIR != 0 && what&unix.IN_CREATE != 0 {
				files, err := w.add(filepath.Join(w.dirs[int32(field(0))], name))
				if err != nil {
					return err
				}
				more += files
			}
			if now := w.count.Add(more); now >= at && now-more < at {
				call()
			}
			events = events[end:]
		}
	}
}

const stopName = "stop-watching"

// stop ends the watch and returns how much happened.
func (w *watch) stop(t *testing.T, dir string) int64 {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, stopName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-w.done, unix.Close(w.fd)); err != nil {
		t.Fatal(err)
	}
	return w.count.Load()
}
