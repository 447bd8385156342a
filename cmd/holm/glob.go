package main

import (
	"path"
	"strings"
)

// A glob is a pattern of names: without a slash it must fit the last name of a
// path, with slashes the names at its end, and with a slash at the beginning
// all of them. In a name * stands for any characters, ? for one, [a-z] for one
// of those; ** is any number of directories.
type glob struct {
	parts []string
	fold  bool // case does not count
}

// newGlob parses a pattern; the error is path.ErrBadPattern.
func newGlob(pattern string, fold bool) (*glob, error) {
	g := &glob{fold: fold}
	pattern = strings.TrimSuffix(pattern, "/")
	if fold {
		pattern = strings.ToLower(pattern)
	}
	rest, anchored := strings.CutPrefix(pattern, "/")
	if !anchored {
		g.parts = []string{"**"}
	}
	g.parts = append(g.parts, strings.Split(rest, "/")...)
	for _, part := range g.parts {
		if _, err := path.Match(part, ""); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// fits reports whether a path, with slashes, fits.
func (g *glob) fits(p string) bool {
	if g.fold {
		p = strings.ToLower(p)
	}
	p = strings.TrimPrefix(p, "/")
	if len(g.parts) == 2 && g.parts[0] == "**" && g.parts[1] != "**" { // most patterns
		ok, _ := path.Match(g.parts[1], p[strings.LastIndexByte(p, '/')+1:])
		return ok
	}
	return fitNames(g.parts, strings.Split(p, "/"))
}

// fitNames reports whether names fit the parts of a pattern. It goes back to
// the last ** only, so that no pattern takes long.
func fitNames(parts, names []string) bool {
	i, star, from := 0, -1, 0
	for n := 0; n < len(names); {
		if i < len(parts) && parts[i] == "**" {
			star, from = i, n
			i++
			continue
		}
		if i < len(parts) {
			if ok, _ := path.Match(parts[i], names[n]); ok {
				i, n = i+1, n+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		i, n = star+1, from
	}
	for i < len(parts) && parts[i] == "**" {
		i++
	}
	return i == len(parts)
}
