package source

import (
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Tags of reparse points beyond those of package windows. Those with the bit
// surrogate stand for another name.
const (
	tagUnixSocket = 0x80000023
	surrogate     = 0x20000000
)

// errReparse says that a reparse point is not what its tag says.
var errReparse = errors.New("malformed reparse point")

// readLink is the target of an open symbolic link or junction.
func readLink(h windows.Handle) (string, error) {
	buf := make([]byte, windows.MAXIMUM_REPARSE_DATA_BUFFER_SIZE)
	var n uint32
	if err := windows.DeviceIoControl(h, windows.FSCTL_GET_REPARSE_POINT, nil, 0, &buf[0], uint32(len(buf)), &n, nil); err != nil {
		return "", err
	}
	target, _, err := parseReparse(buf[:n])
	return target, err
}

// A REPARSE_DATA_BUFFER is tag (4), length of what follows the head (2), 0 (2);
// then offset and length in bytes of the substitute name and of the print
// name (2 each), for a symbolic link flags (4, 1: relative), and the names in
// UTF-16, to which the offsets are relative.
const (
	reparseHead  = 8
	reparseNames = 8
)

// parseReparse returns the target of a symbolic link or junction.
func parseReparse(b []byte) (target string, junction bool, err error) {
	if len(b) < reparseHead+reparseNames || reparseHead+int(binary.LittleEndian.Uint16(b[4:])) > len(b) {
		return "", false, errReparse
	}
	names := b[reparseHead+reparseNames:]
	relative := false
	switch binary.LittleEndian.Uint32(b) {
	case windows.IO_REPARSE_TAG_MOUNT_POINT:
		junction = true
	case windows.IO_REPARSE_TAG_SYMLINK:
		if len(names) < 4 {
			return "", false, errReparse
		}
		relative = binary.LittleEndian.Uint32(names)&1 != 0
		names = names[4:]
	default:
		return "", false, errReparse
	}
	start, size := int(binary.LittleEndian.Uint16(b[reparseHead:])), int(binary.LittleEndian.Uint16(b[reparseHead+2:]))
	if start+size > len(names) || size%2 != 0 {
		return "", false, errReparse
	}
	name := make([]uint16, size/2)
	for i := range name {
		name[i] = binary.LittleEndian.Uint16(names[start+2*i:])
	}
	target = windows.UTF16ToString(name)
	if !relative {
		target = fromNT(target)
	}
	return target, junction, nil
}

// formatReparse is the reparse point of a symbolic link or junction.
func formatReparse(target string, junction bool) ([]byte, error) {
	substitute, absolute := toNT(target)
	if junction && !absolute {
		return nil, errReparse
	}
	s, err := windows.UTF16FromString(substitute)
	if err != nil {
		return nil, err
	}
	shown, err := windows.UTF16FromString(target)
	if err != nil {
		return nil, err
	}
	tag, flags := uint32(windows.IO_REPARSE_TAG_MOUNT_POINT), []byte{}
	if !junction {
		tag, flags = windows.IO_REPARSE_TAG_SYMLINK, make([]byte, 4)
		if !absolute {
			flags[0] = 1
		}
	}
	size := reparseNames + len(flags) + 2*len(s) + 2*len(shown)
	if reparseHead+size > windows.MAXIMUM_REPARSE_DATA_BUFFER_SIZE {
		return nil, windows.ERROR_FILENAME_EXCED_RANGE
	}
	b := binary.LittleEndian.AppendUint32(nil, tag)
	// Both names with a NUL behind them, which their lengths do not count.
	for _, n := range []int{size, 0, 0, 2*len(s) - 2, 2 * len(s), 2*len(shown) - 2} {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, flags...)
	for _, c := range append(s, shown...) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b, nil
}

// fromNT is an absolute path as people write it, of what the kernel calls it.
func fromNT(path string) string {
	rest, ok := strings.CutPrefix(path, `\??\`)
	if !ok {
		return path
	}
	if share, ok := strings.CutPrefix(rest, `UNC\`); ok {
		return `\\` + share
	}
	if len(rest) >= 2 && rest[1] == ':' {
		return rest
	}
	return `\\?\` + rest // of a volume without a letter, say
}

// toNT is the inverse of fromNT; a path that is not absolute stays as it is.
func toNT(path string) (nt string, absolute bool) {
	switch {
	case strings.HasPrefix(path, `\??\`):
		return path, true
	case strings.HasPrefix(path, `\\?\`):
		return `\??\` + path[4:], true
	case strings.HasPrefix(path, `\\`):
		return `\??\UNC\` + path[2:], true
	case len(path) >= 3 && path[1] == ':' && (path[2] == '\\' || path[2] == '/'):
		return `\??\` + strings.ReplaceAll(path, "/", `\`), true
	}
	return path, false
}

// makeLink makes a symbolic link or a junction as it was on Windows, to a file
// or a directory, which need not be there yet.
func makeLink(dir windows.Handle, name string, e Entry) error {
	_, junction := e.attribute(AttributeJunction)
	b, err := formatReparse(e.Target, junction)
	if err != nil {
		return err
	}
	options := uint32(windows.FILE_NON_DIRECTORY_FILE)
	if junction || e.WinAttrs&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		options = windows.FILE_DIRECTORY_FILE
	}
	h, err := openAt(dir, name, windows.FILE_WRITE_ATTRIBUTES|windows.DELETE, windows.FILE_CREATE, options)
	if err != nil {
		return err
	}
	var n uint32
	err = windows.DeviceIoControl(h, windows.FSCTL_SET_REPARSE_POINT, &b[0], uint32(len(b)), nil, 0, &n, nil)
	if err != nil { // nothing of it is to stay
		remove := byte(1)
		err = errors.Join(err, windows.SetFileInformationByHandle(h, windows.FileDispositionInfo, &remove, uint32(unsafe.Sizeof(remove))))
	}
	return errors.Join(err, windows.CloseHandle(h))
}
