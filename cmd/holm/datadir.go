package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"holm.example/engine/storage"
)

// dataDir is the directory of this device's state, absolute.
func (a *app) dataDir() (string, error) {
	dir := a.dataDirFlag
	if dir == "" {
		dir = a.env("HOLM_DATA_DIR")
	}
	if dir == "" {
		// systemd sets it for a unit with StateDirectory=holm: /var/lib/holm.
		dir, _, _ = strings.Cut(a.env("STATE_DIRECTORY"), ":")
	}
	if dir == "" {
		dir = userDataDir(a.env)
	}
	if dir == "" {
		return "", &usageError{"no data directory: there is no home directory to put it in", "say where with --data-dir or HOLM_DATA_DIR"}
	}
	return absolute(dir)
}

// vault is where the command line or the environment says that the vault is,
// or "" for the one that the data directory belongs to.
func (a *app) vault() (string, error) {
	dir := a.vaultFlag
	if dir == "" {
		dir = a.env("HOLM_VAULT")
	}
	if dir == "" {
		return "", nil
	}
	return place(dir)
}

// place is the place of a vault as it is remembered: of a directory the
// absolute path.
func place(text string) (string, error) {
	at, err := storage.ParseLocation(text)
	return at.String(), err
}

// vaultToOpen is the vault of init and join: the argument, or what vault says.
func (a *app) vaultToOpen(args []string) (string, error) {
	if len(args) == 0 {
		dir, err := a.vault()
		if err == nil && dir == "" {
			err = &usageError{"no vault given", `say where: "holm init VAULT", or --vault, or HOLM_VAULT`}
		}
		return dir, err
	}
	if a.vaultFlag != "" && a.vaultFlag != args[0] {
		return "", &usageError{"two vaults given: " + quoteName(args[0]) + " and " + quoteName(a.vaultFlag), "leave --vault out"}
	}
	return place(args[0])
}

func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", quoteName(path), err)
	}
	return abs, nil
}

// snapshotPath is the path of a file when it was backed up, absolute. What is
// absolute on another system is taken as it is: snapshots of all devices can
// be read on each.
func snapshotPath(path string) (string, error) {
	unix := strings.HasPrefix(path, "/")
	windows := len(path) >= 3 && path[1] == ':' && (path[2] == '\\' || path[2] == '/')
	if (unix || windows) && !filepath.IsAbs(path) {
		return path, nil
	}
	return absolute(path)
}
