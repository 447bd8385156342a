//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// memoryGroup makes a cgroup that holds that many bytes and no swap, and says
// how to remove it.
func memoryGroup(limit int64) (dir string, remove func(), err error) {
	base, settings := "/sys/fs/cgroup", map[string]string{"memory.max": strconv.FormatInt(limit, 10), "memory.swap.max": "0"}
	if v1 := "/sys/fs/cgroup/memory"; exists(v1) {
		base, settings = v1, map[string]string{"memory.limit_in_bytes": strconv.FormatInt(limit, 10), "memory.swappiness": "0"}
	} else if err := os.WriteFile(filepath.Join(base, "cgroup.subtree_control"), []byte("+memory"), 0o644); err != nil {
		return "", func() {}, err
	}
	dir = filepath.Join(base, fmt.Sprintf("holm-bench-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", func() {}, err
	}
	remove = func() { os.Remove(dir) }
	for name, value := range settings {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
			return "", remove, err
		}
	}
	return dir, remove, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// enterGroup is what stands before a command that runs in a cgroup.
func enterGroup(dir string) []string {
	return []string{"sh", "-euc", `echo $$ >"$0/cgroup.procs"; ` + entered + `"$@"`, dir}
}

// dropCaches empties the page cache and the caches of names, so that whoever
// reads next is charged for what it reads.
func dropCaches() error {
	syscall.Sync()
	err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o200)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("a limit of memory is measured as root: %w", err)
	}
	return err
}
