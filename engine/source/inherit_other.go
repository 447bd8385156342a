//go:build !linux && !windows

package source

// accessACL is the name of nothing here: ACLs are not kept.
const accessACL = "system.posix_acl_access"

// bequeath is nothing: ACLs are not kept here.
type bequeath struct{}

// bequeaths is false: ACLs are not kept here.
func (p *place) bequeaths() bool { return false }

// disinherit has nothing to do: ACLs are not kept here.
func (p *place) disinherit(string, *Entry) error { return nil }
