package source

import (
	"os"
	"slices"
	"sync/atomic"
)

// owning is whom a Tree gives entries to, and how many it could not give.
type owning struct {
	anybody bool     // the process may give files away
	groups  []uint32 // that the process is a member of, and may so give its files to
	kept    atomic.Int64
}

// newOwning asks which groups the process has.
func newOwning(anybody bool) *owning {
	o := &owning{anybody: anybody}
	if anybody {
		return o
	}
	if gid := os.Getegid(); gid >= 0 {
		o.groups = append(o.groups, uint32(gid))
	}
	list, _ := os.Getgroups() // without it, the group of the process is left
	for _, gid := range list {
		o.groups = append(o.groups, uint32(gid))
	}
	return o
}

// tries tells which numbers are to be set of what has an owner and a group and
// is to have those of e, each -1 for "as it is".
func (o *owning) tries(uid, gid uint32, e *Entry) (newUID, newGID int) {
	newUID, newGID = -1, -1
	if uid != e.UID && o.anybody {
		newUID = int(e.UID)
	}
	if gid != e.GID && (o.anybody || slices.Contains(o.groups, e.GID)) {
		newGID = int(e.GID)
	}
	return newUID, newGID
}

// Kept is how many entries were not given the owner or the group that they
// had, because the process may not, and which are no error for that.
func (t *Tree) Kept() int64 { return t.owning.kept.Load() }
