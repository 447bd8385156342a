package source

import (
	"os"

	"golang.org/x/sys/unix"
)

// nameReader reads the names in directories, one after the other.
type nameReader struct{ room [32 << 10]byte }

// some reads the next names in a directory, in no order; none: that was all.
// It is getdents(2) alone, which package os asks once more for each directory.
func (r *nameReader) some(f *os.File) (names []string, err error) {
	for {
		n, err := unix.ReadDirent(int(f.Fd()), r.room[:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, failed("readdir", f.Name(), err)
		case n == 0:
			return nil, nil
		default:
			_, _, names = unix.ParseDirent(r.room[:n], -1, nil)
			if len(names) > 0 { // else they were "." and ".."
				return names, nil
			}
		}
	}
}
