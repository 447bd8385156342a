package engine

import (
	"fmt"
	"os"
	"path/filepath"

	"holm.example/engine/source"
	"holm.example/engine/storage"
)

// ownPlace is a directory in which holm alone writes.
type ownPlace struct{ what, path string }

func (e *Engine) ownPlaces() []ownPlace {
	places := []ownPlace{{"the data directory", e.dataDir}}
	// A vault elsewhere is no directory of this machine.
	if at, err := storage.ParseLocation(e.state.state.Vault); err == nil {
		if dir, ok := at.Directory(); ok {
			places = append(places, ownPlace{"the vault", dir})
		}
	}
	return places
}

// checkApart returns ErrOwnPlace if a path is, or is below, a directory of
// holm's own, by whatever name and through whatever links; neither needs to
// be there yet.
func checkApart(what, path string, own ...ownPlace) error {
	for _, o := range own {
		in, err := inside(path, o.path)
		if err != nil {
			return err
		}
		if in {
			return fmt.Errorf("%s%s lies in %s %s: %w", what, path, o.what, o.path, ErrOwnPlace)
		}
	}
	return nil
}

// checkBeside returns ErrOwnPlace if a data directory and a vault are one, or
// one lies in the other: secrets would be where the vault is, or the vault
// where nothing is safe from this device.
func checkBeside(dataDir, vault string) error {
	err := checkApart("the data directory ", dataDir, ownPlace{"the vault", vault})
	if err == nil {
		err = checkApart("the vault ", vault, ownPlace{"the data directory", dataDir})
	}
	return err
}

// inside reports whether a path is, or is below, a directory.
func inside(path, dir string) (bool, error) {
	path, err := realPath(path)
	if err != nil {
		return false, err
	}
	if dir, err = realPath(dir); err != nil {
		return false, err
	}
	there, direrr := os.Stat(dir)
	for {
		if path == dir {
			return true, nil
		}
		if info, err := os.Stat(path); err == nil && direrr == nil && os.SameFile(info, there) {
			return true, nil
		}
		parent := filepath.Dir(path)
		if parent == path {
			return false, nil
		}
		path = parent
	}
}

// realPath resolves the links of a path as far as it is there.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	path = abs
	rest := ""
	for {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest), nil
		}
		parent := filepath.Dir(path)
		if parent == path {
			return filepath.Join(path, rest), nil
		}
		path, rest = parent, filepath.Join(filepath.Base(path), rest)
	}
}

// ownIDs tell the directories of holm's own from all others.
func (e *Engine) ownIDs() (list []source.FileID) {
	for _, o := range e.ownPlaces() {
		if real, err := filepath.EvalSymlinks(o.path); err == nil {
			if s, err := source.Lstat(real); err == nil {
				list = append(list, s.ID)
			}
		}
	}
	return list
}
