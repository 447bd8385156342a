//go:build !windows

package source

import "os"

// lstatIn examines a name of an open directory.
func lstatIn(dir *os.File, name string) (Entry, error) {
	return lstatAt(int(dir.Fd()), name, name, join(dir.Name(), name))
}
