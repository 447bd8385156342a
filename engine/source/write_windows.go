package source

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// settable are the file attributes that a restore sets.
const settable = windows.FILE_ATTRIBUTE_READONLY | windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM |
	windows.FILE_ATTRIBUTE_ARCHIVE | windows.FILE_ATTRIBUTE_NOT_CONTENT_INDEXED

// setMetadata sets what SetMetadata promises, through one handle of the entry
// itself: what its DACL or attributes forbid afterwards does not matter.
func (p *place) setMetadata(name string, e Entry, _ *owning) error {
	h, err := p.openToDress(name)
	if err != nil {
		return &os.PathError{Op: "setting the metadata", Path: name, Err: err}
	}
	problems := []error{p.dress(h, name, e), windows.CloseHandle(h)}
	if e.ModTime.rare() {
		there, err := p.lstat(name)
		if err == nil {
			err = checkModTime(there, e)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// openToDress opens an entry with as many of the rights as there are: who may
// not change the owner can still set the times.
func (p *place) openToDress(name string) (h windows.Handle, err error) {
	const least = windows.FILE_READ_ATTRIBUTES | windows.FILE_WRITE_ATTRIBUTES
	for _, more := range []uint32{windows.READ_CONTROL | windows.WRITE_DAC | windows.WRITE_OWNER, windows.READ_CONTROL | windows.WRITE_DAC, 0} {
		h, err = openAt(windows.Handle(p.file.Fd()), name, least|more, windows.FILE_OPEN, 0)
		if err == nil || !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			return h, err
		}
	}
	return h, err
}

// dress gives an open entry what SetMetadata promises.
func (p *place) dress(h windows.Handle, name string, e Entry) error {
	there, err := examine(h, name)
	if err == nil && there.Kind != e.Kind {
		err = ErrInTheWay
	}
	if err != nil {
		return &os.PathError{Op: "setting the metadata", Path: name, Err: err}
	}
	problems := []error{p.setAttributes(h, name, &e)}
	info := basicInfo{attributes: e.WinAttrs & settable}
	if e.WinAttrs == 0 && e.Mode&0o222 == 0 && e.Kind != Symlink {
		info.attributes = windows.FILE_ATTRIBUTE_READONLY
	}
	if info.attributes == 0 {
		info.attributes = windows.FILE_ATTRIBUTE_NORMAL // 0 would leave them
	}
	t, ok := filetimeOf(e.ModTime)
	if !ok {
		problems = append(problems, &os.PathError{Op: "setting the time", Path: name, Err: ErrTime})
	} else {
		info.write, info.access = t, t
	}
	return errors.Join(append(problems, failed("setting times and attributes", name, setBasicInfo(h, info)))...)
}

// setBasicInfo sets what is not 0 of the times and attributes of an open file.
func setBasicInfo(h windows.Handle, info basicInfo) error {
	return windows.SetFileInformationByHandle(h, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
}
