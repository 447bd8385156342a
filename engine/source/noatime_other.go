//go:build !linux && !windows

package source

// openNoAccessTime has no flag here.
const openNoAccessTime = 0
