package restore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"holm.example/engine/seal"
	"holm.example/internal/durable"
)

// maxLinks is how many names wait for their file.
const maxLinks = 4096

// links makes hard links of the entries of one link group. Which groups were
// restored, the file system remembers, not we: the first file of a group gets
// another name in a directory that is removed at the end, and each further
// name is made from that one. So memory does not grow with the number of
// links.
type links struct {
	run     *run
	dir     string               // of the other names; empty: not made yet
	planned map[seal.ID]struct{} // groups whose first file is in the plan
	waiting []goal               // names of those
}

func (l *links) full() bool { return len(l.planned)+len(l.waiting) >= maxLinks }

// name is the other name of a group's file.
func (l *links) name(g *goal) string {
	return l.dir + "/" + hex.EncodeToString(g.entry.Meta.LinkGroup[:])
}

// file restores a file, as a link if its group was restored, or plans to.
func (r *run) file(g goal) error {
	group := g.entry.Meta.LinkGroup
	if group == (seal.ID{}) {
		return r.plan.add(g)
	}
	l := &r.links
	if _, ok := l.planned[group]; ok {
		l.waiting = append(l.waiting, g)
		if l.full() {
			return r.plan.flush()
		}
		return nil
	}
	done, err := l.link(&g)
	if done || err != nil {
		return err
	}
	if l.planned == nil {
		l.planned = map[seal.ID]struct{}{}
	}
	l.planned[group] = struct{}{}
	return r.plan.add(g)
}

// link makes a name of a file that was restored. It reports whether there was
// one; the error is one that ends the run.
func (l *links) link(g *goal) (done bool, err error) {
	if l.dir == "" {
		return false, nil
	}
	if _, err := l.run.tree.Lstat(l.name(g)); err != nil {
		return false, nil
	}
	r := l.run
	if err := r.begin(g, func(path string) error { return r.tree.Link(l.name(g), path) }); err != nil {
		r.problem(g.path, fmt.Errorf("restored as a file of its own: %w", err))
		return false, nil
	}
	if g.over {
		if err := r.tree.Replace(g.at, g.path); err != nil {
			return true, r.failed(g.path, errors.Join(err, r.undo(g)))
		}
	}
	r.wrote(g.path, 0, true)
	return true, nil
}

// made notes a file that is complete, if it may have other names.
func (l *links) made(g *goal) {
	if g.entry.Meta.LinkGroup == (seal.ID{}) {
		return
	}
	tree := l.run.tree
	if l.dir == "" {
		dir := durable.TemporaryName()
		if err := tree.Mkdir(dir); err != nil {
			l.run.problem(g.path, fmt.Errorf("its hard links become files of their own: %w", err))
			return
		}
		l.dir = dir
	}
	if err := tree.Link(g.at, l.name(g)); err != nil && !errors.Is(err, fs.ErrExist) {
		l.run.problem(g.path, fmt.Errorf("its hard links become files of their own: %w", err))
	}
}

// flush makes the names whose files are complete now, and reports whether
// there were any. A name without a file, which was damaged, say, is tried as a
// file.
func (l *links) flush() (more bool, err error) {
	waiting := l.waiting
	l.planned, l.waiting = nil, nil
	for i := range waiting {
		if err := l.run.file(waiting[i]); err != nil {
			return true, err
		}
	}
	return len(waiting) > 0, nil
}

// end removes the directory of the other names.
func (l *links) end() error {
	if l.dir == "" {
		return nil
	}
	names, err := l.run.tree.Names(l.dir)
	for _, name := range names {
		err = errors.Join(err, l.run.tree.Remove(l.dir+"/"+name))
	}
	return errors.Join(err, l.run.tree.Remove(l.dir))
}
