package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Attributes are those of an entry of the directory that is no file: what a
// file has, its Reader tells. With an error come those that could be read.
func (d *Dir) Attributes(name string) ([]Attribute, error) {
	h, err := openAt(windows.Handle(d.f.Fd()), name, windows.FILE_READ_ATTRIBUTES|windows.READ_CONTROL, windows.FILE_OPEN, 0)
	if err != nil {
		return nil, failed("open", join(d.path, name), err)
	}
	list, err := handleAttributes(h, join(d.path, name))
	return list, errors.Join(err, windows.CloseHandle(h))
}

// OwnAttributes are those of the directory itself.
func (d *Dir) OwnAttributes() ([]Attribute, error) {
	return handleAttributes(windows.Handle(d.f.Fd()), d.path)
}

// Attributes are those of the file. With an error come those that could be
// read.
func (r *Reader) Attributes() ([]Attribute, error) {
	return handleAttributes(windows.Handle(r.f.Fd()), r.f.Name())
}

// securityParts are the parts of a security descriptor that are kept. The
// rules of auditing take a right that not even administrators use.
const securityParts = windows.OWNER_SECURITY_INFORMATION | windows.GROUP_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION

// handleAttributes are the attributes of an open file, directory or link.
func handleAttributes(h windows.Handle, path string) (list []Attribute, err error) {
	var problems []error
	if tag, err := tagOf(h); err == nil && tag == windows.IO_REPARSE_TAG_MOUNT_POINT {
		list = append(list, Attribute{Name: AttributeJunction})
	}
	switch sd, err := windows.GetSecurityInfo(h, windows.SE_FILE_OBJECT, securityParts); {
	case err == nil:
		list = append(list, Attribute{AttributeSecurity, sd.String()})
	case !unsupported(err):
		problems = append(problems, failed("reading the security descriptor", path, err))
	}
	names, err := streamsOf(h)
	if err != nil {
		problems = append(problems, failed("listing the streams", path, err))
	}
	list, err = appendStreams(list, path, names, func(name string) ([]byte, error) { return readStream(h, name) })
	return list, errors.Join(append(problems, err)...)
}

// appendStreams puts streams to the other attributes of a file, which share the
// bound of their bytes.
func appendStreams(list []Attribute, path string, names []string, read func(name string) ([]byte, error)) ([]Attribute, error) {
	for i := range names {
		names[i] = AttributeStream + names[i]
	}
	return appendAttributes(list, "reading", path, slices.Values(names), func(string) bool { return true },
		func(name string) ([]byte, error) { return read(strings.TrimPrefix(name, AttributeStream)) },
		func(err error) error { return err })
}

// unsupported reports whether a file system has no such thing at all.
func unsupported(err error) bool {
	return errors.Is(err, windows.ERROR_NOT_SUPPORTED) || errors.Is(err, windows.ERROR_INVALID_FUNCTION) ||
		errors.Is(err, windows.ERROR_INVALID_PARAMETER) || errors.Is(err, windows.ERROR_CALL_NOT_IMPLEMENTED)
}

// streamsOf are the names of the alternate data streams of an open file.
func streamsOf(h windows.Handle) ([]string, error) {
	for size := 4 << 10; ; size *= 4 {
		buf := make([]uint64, size/8) // aligned
		b := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), size)
		err := windows.GetFileInformationByHandleEx(h, windows.FileStreamInfo, &b[0], uint32(size))
		switch {
		case err == nil:
			return parseStreams(b)
		case errors.Is(err, windows.ERROR_MORE_DATA) && size < 1<<20:
		case errors.Is(err, windows.ERROR_HANDLE_EOF) || unsupported(err):
			return nil, nil // a directory without one, or a file system
		default:
			return nil, err
		}
	}
}

// errStreams says that the system lists streams in a form that we do not know.
var errStreams = errors.New("malformed list of streams")

// parseStreams reads a list of FILE_STREAM_INFO: the offset of the next one (4,
// 0 in the last), length of the name in bytes (4), size (8), allocated size
// (8), name as ":name:type" in UTF-16.
func parseStreams(b []byte) (names []string, err error) {
	const head = 24
	for {
		if len(b) < head {
			return names, errStreams
		}
		next, length := le32(b), le32(b[4:])
		if length > uint32(len(b)-head) || length%2 != 0 {
			return names, errStreams
		}
		u := make([]uint16, length/2)
		for i := range u {
			u[i] = uint16(b[head+2*i]) | uint16(b[head+2*i+1])<<8
		}
		full, typ, _ := strings.Cut(strings.TrimPrefix(windows.UTF16ToString(u), ":"), ":")
		if full != "" && typ == "$DATA" {
			names = append(names, full)
		}
		if next == 0 {
			return names, nil
		}
		if next < head || next > uint32(len(b)) {
			return names, errStreams
		}
		b = b[next:]
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// maxStream is the largest content of a stream that is kept.
const maxStream = 64 << 10

// readStream reads a stream of an open file.
func readStream(h windows.Handle, name string) ([]byte, error) {
	s, err := openAt(h, ":"+name+":$DATA", windows.FILE_GENERIC_READ, windows.FILE_OPEN, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(s), name)
	b, err := io.ReadAll(io.LimitReader(f, maxStream+1))
	if err == nil && len(b) > maxStream {
		err = fmt.Errorf("more than %d bytes, which are not kept", maxStream)
	}
	return b, errors.Join(err, f.Close())
}

// writeStream makes a stream of an open file.
func writeStream(h windows.Handle, name, content string) error {
	if name == "" || len(utf16.Encode([]rune(name))) > 255 || strings.ContainsAny(name, ":/\\\x00") {
		return ErrName
	}
	s, err := openAt(h, ":"+name+":$DATA", windows.FILE_GENERIC_WRITE, windows.FILE_OVERWRITE_IF, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(s), name)
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// setAttributes gives an open entry its streams and its security descriptor.
func (p *place) setAttributes(h windows.Handle, name string, e *Entry) error {
	var problems []error
	for _, a := range e.Attributes {
		if stream, ok := strings.CutPrefix(a.Name, AttributeStream); ok {
			problems = append(problems, failed("writing the stream "+stream, name, writeStream(h, stream, a.Value)))
		}
	}
	if sddl, ok := e.attribute(AttributeSecurity); ok {
		problems = append(problems, failed("setting the security descriptor", name, setSecurity(h, sddl)))
	}
	return errors.Join(problems...)
}

// setSecurity sets owner, group and DACL, or the DACL alone: who may not give
// files away has them as an owner. The descriptor is parsed by the system, and
// nothing is inherited anew: it is what it was.
func setSecurity(h windows.Handle, sddl string) error {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return err
	}
	if err = windows.SetKernelObjectSecurity(h, securityParts, sd); err == nil {
		return nil
	}
	if derr := windows.SetKernelObjectSecurity(h, windows.DACL_SECURITY_INFORMATION, sd); derr != nil {
		return derr
	}
	if errors.Is(err, windows.ERROR_INVALID_OWNER) || errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD) || errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return ErrOwner
	}
	return err
}

// SetFlags sets nothing: SetMetadata has set the file attributes.
func (t *Tree) SetFlags(string, Entry) error { return nil }

// Unbarred runs do: there are no flags here that forbid anything.
func (t *Tree) Unbarred(_ string, do func() error) error { return do() }

// Hole finds no holes.
func (r *Reader) Hole(int64) int64 { return 0 }

// failed makes the error of a system call on a name.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}
