package yum

import (
	"fmt"
	"strconv"
	"strings"
)

// A file is one entry of a package's file list.
type file struct {
	path string
	kind string // "", "dir" or "ghost"
}

const (
	modeMask  = 0o170000
	modeDir   = 0o040000
	flagGhost = 1 << 6
)

// files puts the file list together: a base name and an index into the
// directories each.
func (h *header) files() ([]file, error) {
	bases, err := h.strings(tagBaseNames)
	if err != nil || len(bases) == 0 {
		return nil, err
	}
	dirs, err := h.strings(tagDirNames)
	if err != nil {
		return nil, err
	}
	var columns [3][]uint64
	for i, tag := range []uint32{tagDirIndexes, tagFileModes, tagFileFlags} {
		if columns[i], err = h.numbers(tag); err != nil {
			return nil, err
		}
		if len(columns[i]) != len(bases) {
			return nil, fmt.Errorf("%w: %d files, but %d values of tag %d", ErrFormat, len(bases), len(columns[i]), tag)
		}
	}
	files := make([]file, len(bases))
	for i, base := range bases {
		dir, mode, flags := columns[0][i], columns[1][i], columns[2][i]
		if dir >= uint64(len(dirs)) {
			return nil, fmt.Errorf("%w: file %q in directory %d of %d", ErrFormat, base, dir, len(dirs))
		}
		files[i].path = dirs[dir] + base
		if !strings.HasPrefix(files[i].path, "/") {
			return nil, fmt.Errorf("%w: file %q is not an absolute path", ErrFormat, files[i].path)
		}
		switch {
		case mode&modeMask == modeDir:
			files[i].kind = "dir"
		case flags&flagGhost != 0:
			files[i].kind = "ghost"
		}
	}
	return files, nil
}

// primary reports whether a path is one that dependencies usually name, so
// that it stands in primary.xml (createrepo_c's misc.h).
func primary(path string) bool {
	return strings.HasPrefix(path, "/etc/") || path == "/usr/lib/sendmail" || strings.Contains(path, "bin/")
}

// A dependency is one entry of provides, requires and so on.
type dependency struct {
	name            string
	flags           string // "", EQ, LT, GT, LE or GE
	evr             string // as in the header
	epoch, ver, rel string
	pre             bool
}

// A tagSet holds the three tags of one kind of dependency.
type tagSet struct{ name, version, flags uint32 }

// Tags of the dependencies.
func provideTags() tagSet    { return tagSet{1047, 1113, 1112} }
func requireTags() tagSet    { return tagSet{1049, 1050, 1048} }
func conflictTags() tagSet   { return tagSet{1054, 1055, 1053} }
func obsoleteTags() tagSet   { return tagSet{1090, 1115, 1114} }
func recommendTags() tagSet  { return tagSet{5046, 5047, 5048} }
func suggestTags() tagSet    { return tagSet{5049, 5050, 5051} }
func supplementTags() tagSet { return tagSet{5052, 5053, 5054} }
func enhanceTags() tagSet    { return tagSet{5055, 5056, 5057} }

// Bits of rpm's rpmsenseFlags.
const (
	sensePostTrans = 1 << 5
	sensePreReq    = 1 << 6
	sensePreTrans  = 1 << 7
	sensePre       = 1 << 9
	sensePost      = 1 << 10
	sensePreAny    = sensePreReq | sensePre | sensePost | sensePreTrans | sensePostTrans
)

// dependencies reads one kind. An entry whose epoch is no number is left
// out, as createrepo_c does.
func (h *header) dependencies(tags tagSet) ([]dependency, error) {
	names, err := h.strings(tags.name)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	versions, err := h.strings(tags.version)
	if err != nil {
		return nil, err
	}
	flags, err := h.numbers(tags.flags)
	if err != nil {
		return nil, err
	}
	if len(versions) != len(names) || len(flags) != len(names) {
		return nil, fmt.Errorf("%w: tag %d has %d values, but %d versions and %d flags", ErrFormat, tags.name, len(names), len(versions), len(flags))
	}
	var all []dependency
	for i, name := range names {
		d := dependency{name: name, evr: versions[i], flags: comparison(flags[i]), pre: flags[i]&sensePreAny != 0}
		if d.split() {
			all = append(all, d)
		}
	}
	return all, nil
}

func comparison(flags uint64) string {
	switch flags >> 1 & 7 {
	case 1:
		return "LT"
	case 2:
		return "GT"
	case 4:
		return "EQ"
	case 5:
		return "LE"
	case 6:
		return "GE"
	}
	return ""
}

// split cuts [epoch:]version[-release] apart and reports whether that was
// possible.
func (d *dependency) split() bool {
	if d.evr == "" {
		return true
	}
	d.epoch, d.ver = "0", d.evr
	if epoch, rest, ok := strings.Cut(d.evr, ":"); ok {
		if epoch != "" {
			if _, err := strconv.ParseUint(epoch, 10, 32); err != nil {
				return false
			}
			d.epoch = epoch
		}
		d.ver = rest
	}
	if ver, rel, ok := strings.Cut(d.ver, "-"); ok {
		d.ver, d.rel = ver, rel
	}
	return true
}

// requires returns the requirements that stand in primary.xml: without those
// on rpm itself, on the package's own files and provides, and without repetitions;
// of the versions of libc only the newest, which implies the others.
func (p *Package) requires() ([]dependency, error) {
	all, err := p.main.dependencies(requireTags())
	if err != nil {
		return nil, err
	}
	own := make(map[string]bool)
	for _, f := range p.files {
		if primary(f.path) {
			own[f.path] = true
		}
	}
	for _, d := range p.provides {
		own[d.name+"\x00"+d.flags+"\x00"+d.evr] = true
	}
	var kept []dependency
	seen := make(map[dependency]bool)
	newestLibc := -1
	for _, d := range all {
		if strings.HasPrefix(d.name, "rpmlib(") || own[d.name] || own[d.name+"\x00"+d.flags+"\x00"+d.evr] || seen[d] {
			continue
		}
		seen[d] = true
		if strings.HasPrefix(d.name, "libc.so.6") {
			if newestLibc >= 0 {
				if compare(d.name, kept[newestLibc].name) > 0 {
					kept[newestLibc] = d
				}
				continue
			}
			newestLibc = len(kept)
		}
		kept = append(kept, d)
	}
	return kept, nil
}

// A change is one entry of the change log.
type change struct {
	author, text string
	when         uint64 // Unix seconds
}

// maxChanges is how many entries of the change log are listed, as
// createrepo_c does.
const maxChanges = 10

// changes returns the newest entries of the change log, oldest first.
func (h *header) changes() ([]change, error) {
	when, err := h.numbers(tagChangelogTime)
	if err != nil || len(when) == 0 {
		return nil, err
	}
	authors, err := h.strings(tagChangelogName)
	if err != nil {
		return nil, err
	}
	texts, err := h.strings(tagChangelogText)
	if err != nil {
		return nil, err
	}
	if len(authors) != len(when) || len(texts) != len(when) {
		return nil, fmt.Errorf("%w: change log of %d times, %d names and %d texts", ErrFormat, len(when), len(authors), len(texts))
	}
	n := min(len(when), maxChanges)
	all := make([]change, n)
	for i := range n {
		at := n - 1 - i
		all[at] = change{authors[i], texts[i], when[i]}
		// Of entries of one second the newer ones move on by a second each,
		// so that their order survives sorting by time, as createrepo_c has it.
		for j := at + 1; j < n && all[j].when == all[j-1].when; j++ {
			all[j].when++
		}
	}
	return all, nil
}
