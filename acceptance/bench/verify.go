//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// sameTree compares names, kinds, modes, times, targets, links and contents.
func sameTree(want, got string) error {
	a, err := describe(want)
	if err != nil {
		return err
	}
	b, err := describe(got)
	if err != nil {
		return err
	}
	for name, d := range a {
		if b[name] != d {
			return fmt.Errorf("restored %s: %q, not %q", name, b[name], d)
		}
	}
	if len(a) != len(b) {
		return fmt.Errorf("restored %d entries, not %d", len(b), len(a))
	}
	return nil
}

// describe says of each name below a directory what has to be the same after
// a restore.
func describe(dir string) (map[string]string, error) {
	all := map[string]string{}
	block := make([]byte, blockSize)
	names := map[uint64]string{} // of a file with several: the one that came first
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode(), " ", info.ModTime().UnixNano())
		switch st := info.Sys().(*syscall.Stat_t); {
		case info.Mode().IsRegular() && st.Nlink > 1 && names[st.Ino] != "":
			what = "link to " + names[st.Ino]
		case info.Mode().IsRegular():
			if st.Nlink > 1 {
				names[st.Ino] = rel
			}
			sum, err := hashFile(path, block)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %d %x", info.Size(), sum)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what = "-> " + target // not every tool restores the times of links
		}
		all[rel] = what
		return nil
	})
	return all, err
}

// blockSize is the unit in which content is read.
const blockSize = 1 << 20

// readData reads a file without its holes, a block at a time.
func readData(path string, block []byte, each func(at int64, data []byte)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for at := int64(0); ; at += blockSize {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // nothing but a hole follows, if anything
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for holes in %s: %w", path, err)
		}
		at = data - data%blockSize
		n, err := f.ReadAt(block, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		each(at, block[:n])
	}
}

// hashFile hashes the content of a file without the blocks that are zero, so
// that a hole is the same as zeros.
func hashFile(path string, block []byte) ([]byte, error) {
	h := sha256.New()
	err := readData(path, block, func(at int64, data []byte) {
		if n := len(data); n > 0 && (data[0] != 0 || !bytes.Equal(data[1:], data[:n-1])) {
			h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at)))
			h.Write(data)
		}
	})
	return h.Sum(nil), err
}
