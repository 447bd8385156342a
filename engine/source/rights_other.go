//go:build !windows

package source

// takeRights has nothing to do: elsewhere a process uses the rights it has.
func takeRights() {}

// isUnreachable is false: no error of these systems means that and "does not
// exist" at once.
func isUnreachable(error) bool { return false }
