package main

import "path/filepath"

const defaultDataDirText = `%LOCALAPPDATA%\holm`

// userDataDir is where Windows wants the state of programs that belongs to
// this machine.
func userDataDir(env func(string) string) string {
	if dir := env("LOCALAPPDATA"); dir != "" {
		return filepath.Join(dir, "holm")
	}
	return ""
}
