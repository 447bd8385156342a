//go:build !windows

package storage

import (
	"io/fs"
	"syscall"
)

// device is a number of the file system that something is on.
func device(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Dev)
	}
	return 0
}
