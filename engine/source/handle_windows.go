package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// openAt opens a name of an open directory, or that itself (".") or a stream
// of an open file (":name:$DATA"): relative to the handle, so that no path
// leads elsewhere and none is too long, and without following a link.
func openAt(dir windows.Handle, name string, access, disposition, options uint32) (windows.Handle, error) {
	return createAt(dir, name, access, disposition, options|windows.FILE_OPEN_REPARSE_POINT)
}

// createAt is openAt for content that a reparse point leads to, too.
func createAt(dir windows.Handle, name string, access, disposition, options uint32) (windows.Handle, error) {
	if name == "." {
		name = ""
	}
	object, err := windows.NewNTUnicodeString(name)
	if err != nil {
		return windows.InvalidHandle, err
	}
	attributes := windows.OBJECT_ATTRIBUTES{RootDirectory: dir, ObjectName: object}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	options |= windows.FILE_SYNCHRONOUS_IO_NONALERT | windows.FILE_OPEN_FOR_BACKUP_INTENT
	var h windows.Handle
	var status windows.IO_STATUS_BLOCK
	err = windows.NtCreateFile(&h, access|windows.SYNCHRONIZE, &attributes, &status, nil, windows.FILE_ATTRIBUTE_NORMAL,
		shareAll, disposition, options, 0, 0)
	if nt, ok := err.(windows.NTStatus); ok {
		err = nt.Errno()
	}
	return h, err
}

// openPath opens a path of the system, links not followed, with the right to
// read attributes alone.
func openPath(path string) (windows.Handle, error) {
	p, err := windows.UTF16PtrFromString(extended(path))
	if err != nil {
		return windows.InvalidHandle, err
	}
	const flags = windows.FILE_FLAG_BACKUP_SEMANTICS | windows.FILE_FLAG_OPEN_REPARSE_POINT
	return windows.CreateFile(p, windows.FILE_READ_ATTRIBUTES, shareAll, nil, windows.OPEN_EXISTING, flags, 0)
}

// maxPath is the length of a path in UTF-16 that every call takes; a directory
// has less room than a file.
const maxPath = 248

// extended is a path in the form that has no limit, if it needs that.
func extended(path string) string {
	if len(path) < maxPath || strings.HasPrefix(path, `\\?\`) || strings.HasPrefix(path, `\\.\`) || !filepath.IsAbs(path) {
		return path
	}
	path = filepath.Clean(path)
	if rest, ok := strings.CutPrefix(path, `\\`); ok {
		return `\\?\UNC\` + rest
	}
	return `\\?\` + path
}

// basicInfo is FILE_BASIC_INFO.
type basicInfo struct {
	creation, access, write, change windows.Filetime
	attributes                      uint32
	_                               uint32
}

// tagInfo is FILE_ATTRIBUTE_TAG_INFO.
type tagInfo struct{ _, tag uint32 }

// about asks for information on an open file, of the type of info.
func about[T basicInfo | tagInfo](h windows.Handle, class uint32, info *T) error {
	return windows.GetFileInformationByHandleEx(h, class, (*byte)(unsafe.Pointer(info)), uint32(unsafe.Sizeof(*info)))
}

// keptAttributes are the file attributes that say something of the file, and
// not of the disk or the cloud that it is on.
const keptAttributes = windows.FILE_ATTRIBUTE_READONLY | windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM |
	windows.FILE_ATTRIBUTE_DIRECTORY | windows.FILE_ATTRIBUTE_ARCHIVE | windows.FILE_ATTRIBUTE_SPARSE_FILE |
	windows.FILE_ATTRIBUTE_REPARSE_POINT | windows.FILE_ATTRIBUTE_COMPRESSED | windows.FILE_ATTRIBUTE_NOT_CONTENT_INDEXED |
	windows.FILE_ATTRIBUTE_ENCRYPTED

// elsewhere are the attributes of a file whose content is fetched when
// somebody reads it.
const elsewhere = windows.FILE_ATTRIBUTE_RECALL_ON_OPEN | windows.FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS | windows.FILE_ATTRIBUTE_OFFLINE

// examine says what an open file, directory or link is.
func examine(h windows.Handle, name string) (Entry, error) {
	e := Entry{Name: name}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return e, err
	}
	e.ModTime = timeOfFiletime(info.LastWriteTime)
	e.ID = FileID{uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}
	e.Links = uint64(info.NumberOfLinks)
	e.WinAttrs = info.FileAttributes & keptAttributes
	var basic basicInfo
	// File systems without a change time leave it at 0.
	if err := about(h, windows.FileBasicInfo, &basic); err == nil && basic.change != (windows.Filetime{}) {
		e.ChangeTime = timeOfFiletime(basic.change)
	}
	e.Mode = 0o666
	if info.FileAttributes&windows.FILE_ATTRIBUTE_READONLY != 0 {
		e.Mode = 0o444
	}
	if err := setKind(&e, h, info.FileAttributes); err != nil {
		return e, err
	}
	switch e.Kind {
	case Directory:
		e.Mode |= 0o111
	case File:
		e.Size = int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow)
		e.Elsewhere = info.FileAttributes&elsewhere != 0
	}
	return e, nil
}

// setKind fills in the kind, and the target of a link. What has a reparse
// point that stands for no other name is a file or directory with something
// special about where its content is.
func setKind(e *Entry, h windows.Handle, attributes uint32) error {
	if attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		tag, err := tagOf(h)
		switch {
		case err != nil:
			return err
		case tag == windows.IO_REPARSE_TAG_SYMLINK || tag == windows.IO_REPARSE_TAG_MOUNT_POINT:
			e.Kind = Symlink
			e.Target, err = readLink(h)
			return err
		case tag == tagUnixSocket:
			e.Kind, e.Special = Special, Socket
			return nil
		case tag&surrogate != 0:
			e.Kind = Special
			return nil
		}
	}
	e.Kind = File
	if attributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		e.Kind = Directory
	}
	return nil
}

func tagOf(h windows.Handle) (uint32, error) {
	var info tagInfo
	err := about(h, windows.FileAttributeTagInfo, &info)
	return info.tag, err
}

// skipHere says which entries have nothing that could be read.
func (e Entry) skipHere() string {
	switch {
	case e.Kind == Special:
		return "a reparse point of a kind that stands for something else"
	case e.Elsewhere:
		return "its content is in the cloud, or on a tape, and is not fetched"
	}
	return ""
}

// openToRead opens a file or a directory of an open directory for reading.
// What is a link, or becomes one, is an error.
func openToRead(dir *os.File, name, path string, want Kind) (*os.File, error) {
	options := uint32(windows.FILE_NON_DIRECTORY_FILE)
	if want == Directory {
		options = windows.FILE_DIRECTORY_FILE
	}
	at := windows.Handle(dir.Fd())
	h, e, err := openAs(openAt, at, name, want, options)
	if err == nil && e.WinAttrs&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		// Its content is somewhere else: of this very file, it is hoped.
		err = windows.CloseHandle(h)
		var content Entry
		if err == nil {
			h, content, err = openAs(createAt, at, name, want, options)
		}
		if err == nil && content.ID != e.ID {
			err = errors.Join(ErrNotRegular, windows.CloseHandle(h))
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// openAs opens for reading what is of the wanted kind.
func openAs(open func(windows.Handle, string, uint32, uint32, uint32) (windows.Handle, error), dir windows.Handle, name string, want Kind,
	options uint32) (windows.Handle, Entry, error) {
	h, err := open(dir, name, windows.FILE_GENERIC_READ, windows.FILE_OPEN, options)
	if err != nil {
		return h, Entry{}, err
	}
	e, err := examine(h, name)
	if err == nil && e.Kind != want {
		err = ErrNotRegular
	}
	if err != nil {
		err = errors.Join(err, windows.CloseHandle(h))
	}
	return h, e, err
}
