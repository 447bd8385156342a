package main

import "path/filepath"

const defaultDataDirText = "~/Library/Application Support/holm"

// userDataDir is where macOS wants the state of programs.
func userDataDir(env func(string) string) string {
	if home := env("HOME"); home != "" {
		return filepath.Join(home, "Library", "Application Support", "holm")
	}
	return ""
}
