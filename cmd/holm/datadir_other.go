//go:build !linux && !darwin && !windows

package main

import "path/filepath"

const defaultDataDirText = "$XDG_STATE_HOME/holm or ~/.local/state/holm"

// userDataDir follows the XDG Base Directory Specification, which has paths
// that are not absolute ignored.
func userDataDir(env func(string) string) string {
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "holm")
	}
	if home := env("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "holm")
	}
	return ""
}
