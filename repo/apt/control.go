package apt

import (
	"bytes"
	"fmt"
	"strings"
)

// Limits of control data.
const (
	maxFields     = 200
	maxStanza     = maxControlFile + 64<<10
	maxNameLength = 200
)

// A Field is one field of control data. Value keeps the line breaks and the
// leading blanks of its continuation lines.
type Field struct {
	Name, Value string
}

// Control is one paragraph of control data in its original order
// (deb-control(5)).
type Control []Field

// Get returns the value of a field, "" if it is missing. Names do not
// depend on case.
func (c Control) Get(name string) string {
	for _, f := range c {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Has reports whether there is a field of that name.
func (c Control) Has(name string) bool {
	for _, f := range c {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Format writes the paragraph, each line ended by LF.
func (c Control) Format() []byte {
	var b bytes.Buffer
	for _, f := range c {
		b.WriteString(f.Name)
		b.WriteByte(':')
		if f.Value != "" && f.Value[0] != '\n' {
			b.WriteByte(' ')
		}
		b.WriteString(f.Value)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ParseControl reads exactly one paragraph. Blank lines at its end are
// ignored, as dpkg does. The errors are ErrFormat and ErrTooLarge.
func ParseControl(data []byte) (Control, error) {
	if len(data) > maxStanza {
		return nil, fmt.Errorf("%w: paragraph of %d bytes", ErrTooLarge, len(data))
	}
	for _, b := range data {
		if b < 0x20 && b != '\n' && b != '\t' || b == 0x7f {
			return nil, fmt.Errorf("%w: control character %#x in a paragraph", ErrFormat, b)
		}
	}
	text := strings.TrimRight(string(data), "\n")
	if text == "" {
		return nil, fmt.Errorf("%w: empty paragraph", ErrFormat)
	}
	var c Control
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "" {
			return nil, fmt.Errorf("%w: blank line within a paragraph", ErrFormat)
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(c) == 0 {
				return nil, fmt.Errorf("%w: paragraph begins with a continuation line", ErrFormat)
			}
			c[len(c)-1].Value += "\n" + strings.TrimRight(line, " \t")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !validFieldName(name) {
			return nil, fmt.Errorf("%w: line %.40q is no field", ErrFormat, line)
		}
		if c.Has(name) {
			return nil, fmt.Errorf("%w: field %s twice", ErrFormat, name)
		}
		if len(c) == maxFields {
			return nil, fmt.Errorf("%w: more than %d fields", ErrTooLarge, maxFields)
		}
		c = append(c, Field{name, strings.Trim(value, " \t")})
	}
	return c, nil
}

func validFieldName(s string) bool {
	return s != "" && len(s) <= maxNameLength && s[0] != '-' && s[0] != '#' &&
		only(s, func(b byte) bool { return b > 0x20 && b < 0x7f && b != ':' })
}

// validName is Debian policy 5.6.1, upper case excluded.
func validName(s string) bool {
	return len(s) >= 2 && len(s) <= maxNameLength && alphanumeric(s[0]) &&
		only(s, func(b byte) bool { return alphanumeric(b) || b == '+' || b == '-' || b == '.' || b == '_' })
}

func validArchitecture(s string) bool {
	return s != "" && len(s) <= maxNameLength && alphanumeric(s[0]) &&
		only(s, func(b byte) bool { return alphanumeric(b) || b == '-' })
}

// validVersion is deb-version(7): an optional numeric epoch, then a digit,
// then what may stand in a file name.
func validVersion(s string) bool {
	if epoch, rest, ok := strings.Cut(s, ":"); ok {
		if epoch == "" || len(epoch) > 9 || !only(epoch, digit) {
			return false
		}
		s = rest
	}
	return s != "" && len(s) <= maxNameLength && digit(s[0]) && only(s, func(b byte) bool {
		return alphanumeric(b) || 'A' <= b && b <= 'Z' || b == '.' || b == '+' || b == '-' || b == '~'
	})
}

func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func digit(b byte) bool        { return '0' <= b && b <= '9' }
func alphanumeric(b byte) bool { return digit(b) || 'a' <= b && b <= 'z' }
