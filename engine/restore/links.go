package restore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/internal/durable"
)

// maxLinks is how many names wait for their file, unless they reach maxHeld
// before.
const maxLinks = 4096

// links makes hard links of the entries of one link group that are the same
// file in all else, too. Which files were restored, the file system remembers,
// not we: the first entry of a file gets another name in a directory that is removed at the end, and each further
// name is made from that one. So memory does not grow with the number of
// links. What a killed run left, the next one into the target removes.
type links struct {
	run     *run
	dir     string               // of the other names; empty: not made yet
	planned map[seal.ID]struct{} // files, by fileOf, whose first entry is in the plan
	waiting []goal               // names of those
	held    int                  // bytes of waiting
}

// fileOf tells apart the files that entries of link groups are names of; it is
// zero for any other entry. The group alone does not: the number of a device
// can be that of another one after a reboot, and an inode is used again, so
// entries from several scans, or of one, can have a group and no file in common.
func fileOf(e *catalog.Entry) (id seal.ID) {
	m := &e.Meta
	if m.LinkGroup == (seal.ID{}) {
		return id
	}
	b := fmt.Appendf(nil, "%x %d %o %d %d %d.%09d %q %d ", m.LinkGroup, e.SizeBytes, m.Mode, m.UID, m.GID,
		m.ModTime.Seconds, m.ModTime.Nanoseconds, m.Attributes, e.Chunks.Level)
	for _, chunk := range e.Chunks.IDs {
		b = append(b, chunk[:]...)
	}
	sum := seal.Sum(b)
	copy(id[:], sum[:])
	return id
}

func (l *links) full() bool {
	return len(l.planned)+len(l.waiting) >= maxLinks || l.held >= maxHeld
}

// name is the other name of a file.
func (l *links) name(g *goal) string { return l.dir + "/" + hex.EncodeToString(g.file[:]) }

// file restores a file, as a link if it was restored by another name, or plans
// to.
func (r *run) file(g goal) error {
	g.file = fileOf(&g.entry)
	if g.file == (seal.ID{}) {
		return r.plan.add(g)
	}
	l := &r.links
	if _, ok := l.planned[g.file]; ok {
		l.waiting = append(l.waiting, g)
		l.held += held(&g.entry, g.path)
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
	l.planned[g.file] = struct{}{}
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
	err = l.unbarred(l.name(g), func() error {
		err := r.begin(g, func(path string) error { return r.tree.Link(l.name(g), path) })
		if done = err == nil; done && g.over {
			if err = r.tree.Replace(g.at, g.path); err != nil {
				err = errors.Join(err, r.undo(g))
			}
		}
		return err
	})
	switch {
	case err == nil:
		r.wrote(g.path, 0, true)
	case done:
		err = r.failed(g.path, err)
	default:
		r.problem(g.path, fmt.Errorf("restored as a file of its own: %w", err))
		err = nil
	}
	return done, err
}

// unbarred does something with such a file that its flags can forbid: the
// first name that is complete has them already.
func (l *links) unbarred(name string, do func() error) error {
	err := do()
	if errors.Is(err, fs.ErrPermission) {
		err = l.run.tree.Unbarred(name, do)
	}
	return err
}

// made notes a file that is complete, if it may have other names.
func (l *links) made(g *goal) {
	if g.file == (seal.ID{}) {
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
	l.planned, l.waiting, l.held = nil, nil, 0
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
	return l.remove(l.dir)
}

// errAgain ends the reading of a directory that some names are gone from.
var errAgain = errors.New("read again")

// remove removes such a directory. It may have as many names as there are files
// with several: some are removed at a time, and the rest is read again.
func (l *links) remove(dir string) error {
	err := errAgain
	for err == errAgain {
		err = l.run.tree.SomeNames(dir, func(names []string) error {
			for _, name := range names {
				path := dir + "/" + name
				if err := l.unbarred(path, func() error { return l.run.tree.Remove(path) }); err != nil {
					return err
				}
			}
			return errAgain
		})
	}
	return errors.Join(err, l.run.tree.Remove(dir))
}

// clear removes such directories that a killed run left. Only names go whose
// files have others: should a run be at work that one of them belongs to, its
// further links become files of their own, and nothing is lost.
func (l *links) clear() error {
	tops, err := l.run.tree.Names("")
	for _, dir := range tops {
		if durable.IsTemporary(dir) {
			if l.leftBehind(dir) {
				err = errors.Join(err, l.remove(dir))
			}
		}
	}
	return err
}

// leftBehind reports whether a directory is one of a killed run: there is
// nothing else in it.
func (l *links) leftBehind(dir string) bool {
	if e, err := l.run.tree.Lstat(dir); err != nil || e.Kind != source.Directory {
		return false
	}
	err := l.run.tree.SomeNames(dir, func(names []string) error {
		for _, name := range names {
			id, herr := hex.DecodeString(name)
			e, err := l.run.tree.Lstat(dir + "/" + name)
			if herr != nil || err != nil || len(id) != len(seal.ID{}) || e.Kind != source.File || e.Links < 2 {
				return errors.Join(fs.ErrInvalid, herr, err)
			}
		}
		return nil
	})
	return err == nil
}
