//go:build !windows

package storage

import "syscall"

// openWithoutWaiting is the flag for opening what may be no regular file.
const openWithoutWaiting = syscall.O_NONBLOCK
