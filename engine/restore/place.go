package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"holm.example/engine/catalog"
	"holm.example/engine/seal"
	"holm.example/engine/source"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

// maxRenames bounds the suffixes that are tried for one name.
const maxRenames = 10000

// dir is a directory of the target that entries are restored into.
type dir struct {
	path string // below the target, "" for itself
	// there are the names that it had before this run, sorted: with Overwrite
	// they, and no others, may be replaced. Case and spelling count even where
	// the file system does not tell them apart: each is the wanted name of one
	// entry at most.
	there []string
}

// enter begins to restore into a directory that was there before the run.
func (r *run) enter(path string) (d dir, err error) {
	d.path = path
	if r.Overwrite {
		d.there, err = r.tree.Names(path)
	}
	return d, err
}

// had tells what had a name in a directory before the run, if this run may
// replace it or restore into it.
func (r *run) had(d dir, name string) (e source.Entry, ok bool) {
	if _, ok = slices.BinarySearch(d.there, name); !ok {
		return e, false
	}
	e, err := r.tree.Lstat(below(d.path, name))
	return e, err == nil
}

// goal is an entry, no directory, that is being restored.
type goal struct {
	entry catalog.Entry
	file  seal.ID // by fileOf, once it is to be restored
	path  string  // wanted
	at    string  // where it is made: path, another name for it, or a temporary one
	over  bool    // at is temporary: path is replaced when all is done
	made  bool    // there is something of ours at at
	whole bool    // it has its metadata already
}

// begin makes an entry with do.
func (r *run) begin(g *goal, do func(path string) error) (err error) {
	if g.over {
		g.at = g.path[:strings.LastIndexByte(g.path, '/')+1] + durable.TemporaryName()
		err = do(g.at)
	} else {
		g.at, err = r.place(g.path, do)
	}
	g.made = err == nil
	return err
}

// complete gives an entry its metadata, and then its name. Metadata that is
// refused is reported; with an error nothing is left of the entry.
func (r *run) complete(g *goal) error {
	if !g.whole {
		r.dress(g.at, g.path, g.entry)
	}
	if g.over {
		if err := r.tree.Replace(g.at, g.path); err != nil {
			return errors.Join(err, r.undo(g))
		}
		g.at = g.path
	}
	r.links.made(g)
	if g.entry.Kind == vault.KindFile {
		r.refused(g.path, r.tree.SetFlags(g.at, r.entryOf(g.entry)))
	}
	return nil
}

// undo removes what begin made.
func (r *run) undo(g *goal) error {
	if !g.made {
		return nil
	}
	g.made = false
	if err := r.tree.Remove(g.at); err != nil {
		return fmt.Errorf("removing what is incomplete: %w", err)
	}
	return nil
}

// place makes an entry with do where nothing is, under another name if the
// wanted one is taken or the target cannot hold it, and returns where. What a
// file system says of a name that it cannot hold differs from one to the next:
// so any error has the other names tried, and the first one is told if none
// can be made.
func (r *run) place(path string, do func(path string) error) (at string, err error) {
	if err = do(path); err == nil {
		return path, nil
	}
	at = path
	for _, other := range []string{possible(path), short(possible(path))} {
		if err == nil || errors.Is(err, fs.ErrExist) || other == at {
			continue
		}
		if oerr := do(other); oerr == nil || errors.Is(oerr, fs.ErrExist) {
			at, err = other, oerr
		}
	}
	base := possible(at)
	for n := 2; errors.Is(err, fs.ErrExist) && n < maxRenames; n++ {
		at = numbered(base, n)
		err = do(at)
	}
	if err == nil {
		r.problem(path, fmt.Errorf("%w: %s", ErrRenamed, at))
	}
	return at, err
}

// possible makes a path whose last name every file system takes, but for its
// length.
func possible(path string) string {
	i := strings.LastIndexByte(path, '/') + 1
	name := strings.Map(func(c rune) rune {
		if c < ' ' || strings.ContainsRune(`<>:"\|?*`, c) {
			return '_'
		}
		return c
	}, path[i:])
	if source.CheckName(name) == nil && strings.TrimRight(name, ". ") == name && !isDevice(name) {
		return path[:i] + name
	}
	return path[:i] + "_" + strings.TrimRight(name, ". ") + "_"
}

// isDevice reports whether Windows takes a name for a device, whatever stands
// behind a dot in it.
func isDevice(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	name = strings.ToUpper(strings.TrimRight(name, " "))
	for _, device := range []string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} {
		if name == device {
			return true
		}
	}
	number, ok := strings.CutPrefix(name, "COM")
	if !ok {
		number, ok = strings.CutPrefix(name, "LPT")
	}
	return ok && number != "" && strings.Contains("0123456789¹²³", number)
}

// Lengths of a name in bytes: what nearly every file system takes, and what
// those take that encrypt names.
const (
	usualName = 255
	shortName = 120
)

// short makes a path whose last name is short.
func short(path string) string { return cut(path, shortName) }

// numbered is a path with a suffix that makes it another one.
func numbered(path string, n int) string {
	suffix := fmt.Sprintf("~%d", n)
	return cut(path, usualName-len(suffix)) + suffix
}

// cut cuts the last name of a path to so many bytes, between characters.
func cut(path string, most int) string {
	i := strings.LastIndexByte(path, '/') + 1
	end := i + most
	if end >= len(path) {
		return path
	}
	for end > i && !utf8.RuneStart(path[end]) {
		end--
	}
	return strings.TrimRight(path[:end], ". ")
}

// apart gives entries that want one name, such as sources of one base name,
// names of their own: the first keeps it, the others get a suffix that no
// other wants. Without that, Overwrite would replace one by the other.
func (r *run) apart(list []catalog.Entry) []catalog.Entry {
	list = slices.Clone(list)
	wanted, taken, last := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, e := range list {
		wanted[e.Name] = true
	}
	for i := range list {
		name := list[i].Name
		if !taken[name] {
			taken[name] = true
			continue
		}
		other := name
		for n := max(2, last[name]+1); wanted[other] || taken[other]; n++ {
			other, last[name] = numbered(name, n), n
		}
		taken[other] = true
		list[i].Name = other
		r.problem(name, fmt.Errorf("%w: %s", ErrRenamed, other))
	}
	return list
}
