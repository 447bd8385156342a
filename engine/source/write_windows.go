package source

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// setModTime sets both times of a file or a directory to its modification
// time. Links keep the time of their making: the system call would follow.
func setModTime(dir *os.File, root *os.Root, name string, e Entry) error {
	if e.Kind == Symlink {
		return nil
	}
	t := e.ModTime.Time()
	if ns := time.Unix(0, t.UnixNano()); ns.Equal(t) {
		return root.Chtimes(name, t, t)
	}
	return setFarTime(join(dir.Name(), name), e.ModTime)
}

// setFarTime sets both times to one outside of the years 1678 to 2262, which
// Chtimes cannot count.
func setFarTime(path string, t Time) error {
	f, ok := filetimeOf(t)
	if !ok {
		return &os.PathError{Op: "setting the time", Path: path, Err: ErrTime}
	}
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return &os.PathError{Op: "setting the time", Path: path, Err: err}
	}
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	const flags = windows.FILE_FLAG_BACKUP_SEMANTICS | windows.FILE_FLAG_OPEN_REPARSE_POINT
	handle, err := windows.CreateFile(p, windows.FILE_WRITE_ATTRIBUTES, share, nil, windows.OPEN_EXISTING, flags, 0)
	if err == nil {
		err = errors.Join(windows.SetFileTime(handle, nil, &f, &f), windows.CloseHandle(handle))
	}
	if err != nil {
		return &os.PathError{Op: "setting the time", Path: path, Err: err}
	}
	return nil
}
