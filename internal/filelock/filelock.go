// Package filelock takes advisory locks on open files.
//
// It promises that of several openings of one file, in this process or in
// others, at most one holds the lock, and that the kernel frees it when that
// opening is closed or its process ends, however it ends: a lock that kill -9
// left behind blocks nobody. Whoever does not ask for the lock is not kept
// from the file.
package filelock

import "errors"

// ErrHeld is returned by Try when another opening has the lock.
var ErrHeld = errors.New("locked by another process")
