package source

import (
	"context"
	"errors"
	"path/filepath"
)

// A Visitor is told what a walk comes by. Paths are relative to the start of
// the walk, with slashes, raw bytes; the start itself is "". An error of a
// method ends the walk, and Walk returns it.
type Visitor interface {
	// Enter announces a directory before anything in it. SkipDir leaves
	// out what is in it, and its Leave. dir is the open directory itself.
	Enter(dir *Dir, path string, e Entry) error
	// Visit shows an entry that is no directory; dir is the open directory
	// that has it and is valid during the call.
	Visit(dir *Dir, path string, e Entry) error
	// Leave follows when all of a directory was seen. whole is false when
	// entries may be missing from what was shown: then nothing can be said
	// to be deleted.
	Leave(path string, e Entry, whole bool) error
	// Problem reports what cannot be examined or opened; the walk goes on.
	Problem(path string, err error) error
}

// Walk shows everything at and below a path of the system, each directory in
// the order of the bytes of its names, depth first. Symbolic links are shown
// and not followed, the start included. One directory handle and one list of
// names is held for each level. Cancelling ctx ends the walk between entries.
func Walk(ctx context.Context, start string, v Visitor) error {
	e, err := Lstat(start)
	if err != nil {
		return v.Problem("", err)
	}
	if e.Kind != Directory {
		return visitOne(start, e, v)
	}
	w := walker{ctx: ctx, v: v}
	return w.directory("", e, func() (*Dir, error) { return OpenDir(start) })
}

// visitOne shows a start that is no directory.
func visitOne(start string, e Entry, v Visitor) error {
	d, err := OpenDir(filepath.Dir(start))
	if err != nil {
		return v.Problem("", err)
	}
	defer d.Close()
	return v.Visit(d, "", e)
}

type walker struct {
	ctx context.Context
	v   Visitor
}

// directory walks one directory, which open opens.
func (w *walker) directory(path string, e Entry, open func() (*Dir, error)) error {
	d, err := open()
	if err != nil {
		return w.v.Problem(path, err)
	}
	defer d.Close()
	if err := w.v.Enter(d, path, e); errors.Is(err, SkipDir) {
		return nil
	} else if err != nil {
		return err
	}
	whole := true
	for child, err := range d.All() {
		if cerr := w.ctx.Err(); cerr != nil {
			return cerr
		}
		childPath := child.Name
		if path != "" && child.Name != "" {
			childPath = path + "/" + child.Name
		} else if child.Name == "" {
			childPath = path
		}
		switch {
		case err != nil:
			whole = false
			err = w.v.Problem(childPath, err)
		case child.Kind == Directory:
			err = w.directory(childPath, child, func() (*Dir, error) { return d.OpenDir(child.Name) })
		default:
			err = w.v.Visit(d, childPath, child)
		}
		if err != nil {
			return err
		}
	}
	return w.v.Leave(path, e, whole)
}
