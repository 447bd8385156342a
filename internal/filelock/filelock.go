// Package filelock takes advisory locks on open files.
//
// It promises that of several openings of one file, in this process or in
// others, at most one holds the lock, and that the kernel frees it when that
// opening is closed or its process ends, however it ends: a lock that kill -9
// left behind blocks nobody. Whoever does not ask for the lock is not kept
// from the file.
package filelock

import (
	"errors"
	"os"
)

// ErrHeld is returned by Try when another opening has the lock.
var ErrHeld = errors.New("locked by another process")

// Release frees the lock and closes the file. Closing alone frees it too, but
// not before a process that was forked meanwhile has closed its copy, which it
// does when it becomes another program.
func Release(f *os.File) error { return errors.Join(unlock(f), f.Close()) }
