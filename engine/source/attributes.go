package source

import (
	"cmp"
	"errors"
	"iter"
	"os/user"
	"slices"
	"strconv"
)

// An Attribute is an extended attribute of an entry.
type Attribute struct{ Name, Value string }

// Attributes that no system has: what else is known of a file is kept under
// these names; docs/vault-format.md, section 8.
const (
	// AttributeFlags has a letter for each flag, rising: a append-only, d not
	// dumped, h hidden, i immutable, t access time not kept; A and I, append-only
	// and immutable, those of macOS that are root's.
	AttributeFlags = "holm.flags"
	// AttributeSparse says that the file had holes.
	AttributeSparse = "holm.sparse"
	// AttributeJunction says that a link is a junction of Windows.
	AttributeJunction = "holm.windows.junction"
	// AttributeSecurity is owner, group and DACL on Windows, as SDDL.
	AttributeSecurity = "holm.windows.security"
	// AttributeStream and a name are an alternate data stream of Windows.
	AttributeStream = "holm.windows.stream."
)

// MaxAttributeBytes bounds what is kept of the extended attributes of an
// entry, names and values together; docs/vault-format.md, section 8.
const MaxAttributeBytes = 1 << 20

func sortAttributes(list []Attribute) {
	slices.SortFunc(list, func(a, b Attribute) int { return cmp.Compare(a.Name, b.Name) })
}

// appendAttributes reads attributes of an entry that have these names and are
// kept, and puts them, sorted, to those of list; all of them together are
// MaxAttributeBytes at most. What is not there, by none, is no error. With an
// error come those that could be read; op is what was done to one.
func appendAttributes(list []Attribute, op, path string, names iter.Seq[string], kept func(name string) bool,
	read func(name string) ([]byte, error), none func(error) error) ([]Attribute, error) {
	var problems []error
	size := 0
	for _, a := range list {
		size += len(a.Name) + len(a.Value)
	}
	for name := range names {
		if !kept(name) {
			continue
		}
		value, err := read(name)
		if none(err) != nil {
			problems = append(problems, failed(op+" "+name, path, err))
		}
		if err != nil {
			continue
		}
		if size += len(name) + len(value); size > MaxAttributeBytes {
			problems = append(problems, failed(op, path, ErrAttributes))
			break
		}
		list = append(list, Attribute{name, string(value)})
	}
	sortAttributes(list)
	return list, errors.Join(problems...)
}

// attribute returns the value of an attribute of the entry.
func (e *Entry) attribute(name string) (value string, ok bool) {
	for _, a := range e.Attributes {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// has reports whether the entry has an attribute.
func (e *Entry) has(name string) bool {
	_, ok := e.attribute(name)
	return ok
}

// WasSparse reports whether the file had holes.
func (e *Entry) WasSparse() bool {
	_, ok := e.attribute(AttributeSparse)
	return ok
}

// maxOwners bounds how many names Owners remembers.
const maxOwners = 4096

// Owners looks up the names of users and groups, each once. It is for one
// goroutine.
type Owners struct {
	users, groups     map[uint32]string
	userIDs, groupIDs map[string]uint32
}

// remember looks up with f what the map does not have.
func remember[K comparable, V any](m *map[K]V, k K, f func(K) V) V {
	v, ok := (*m)[k]
	if !ok {
		if *m == nil || len(*m) >= maxOwners {
			*m = map[K]V{}
		}
		v = f(k)
		(*m)[k] = v
	}
	return v
}

// Names are the names of a user and a group, empty where there is none.
func (o *Owners) Names(uid, gid uint32) (owner, group string) {
	owner = remember(&o.users, uid, func(id uint32) string {
		u, err := user.LookupId(strconv.FormatUint(uint64(id), 10))
		if err != nil {
			return ""
		}
		return u.Username
	})
	group = remember(&o.groups, gid, func(id uint32) string {
		g, err := user.LookupGroupId(strconv.FormatUint(uint64(id), 10))
		if err != nil {
			return ""
		}
		return g.Name
	})
	return owner, group
}

// IDs are the numbers that the names of a user and a group have here: uid and
// gid where they have none.
func (o *Owners) IDs(owner, group string, uid, gid uint32) (uint32, uint32) {
	if owner != "" {
		uid = idOr(uid, remember(&o.userIDs, owner, func(name string) uint32 {
			u, err := user.Lookup(name)
			if err != nil {
				return noID
			}
			return parseID(u.Uid)
		}))
	}
	if group != "" {
		gid = idOr(gid, remember(&o.groupIDs, group, func(name string) uint32 {
			g, err := user.LookupGroup(name)
			if err != nil {
				return noID
			}
			return parseID(g.Gid)
		}))
	}
	return uid, gid
}

// noID is no number of a user or group; the system means "as it is" by it.
const noID = ^uint32(0)

func idOr(other, id uint32) uint32 {
	if id == noID {
		return other
	}
	return id
}

func parseID(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return noID
	}
	return uint32(n)
}
