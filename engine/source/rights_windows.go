package source

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// isUnreachable reports whether an error is about a server or share that does
// not answer. Package os takes that for "does not exist".
func isUnreachable(err error) bool { return errors.Is(err, windows.ERROR_BAD_NETPATH) }

// takeRights turns on the rights of the process that backups and restores are
// for, if it has them: to read and to write whatever a DACL says, and to make
// links. Without them what is refused is told where that happens.
func takeRights() {
	var token windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_ADJUST_PRIVILEGES|windows.TOKEN_QUERY, &token); err != nil {
		return
	}
	defer token.Close()
	for _, name := range []string{"SeBackupPrivilege", "SeRestorePrivilege", "SeCreateSymbolicLinkPrivilege"} {
		p := windows.Tokenprivileges{PrivilegeCount: 1}
		p.Privileges[0].Attributes = windows.SE_PRIVILEGE_ENABLED
		u, err := windows.UTF16PtrFromString(name)
		if err == nil && windows.LookupPrivilegeValue(nil, u, &p.Privileges[0].Luid) == nil {
			_ = windows.AdjustTokenPrivileges(token, false, &p, uint32(unsafe.Sizeof(p)), nil, nil)
		}
	}
}
