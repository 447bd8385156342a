package packaging

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A changelog is what one version tells users.
type changelog struct {
	product    string
	version    string
	maintainer string
	date       time.Time
	changes    []string // one paragraph each
}

// newsOf returns the points of the newest section of a NEWS.md that speaks of
// the version: "## 1.2.3", or else "## 1.2".
func newsOf(news, version string) []string {
	minor := version[:strings.LastIndex(version, ".")]
	for _, heading := range []string{version, minor} {
		if points := newsPoints(news, heading); len(points) > 0 {
			return points
		}
	}
	return nil
}

// newsPoints returns the points of one section, each joined to one line.
func newsPoints(news, heading string) []string {
	var points []string
	inside := false
	for line := range strings.Lines(news) {
		line = strings.TrimRight(line, "\r\n\t ")
		switch {
		case strings.HasPrefix(line, "## "):
			inside = strings.Fields(line)[1] == heading
		case !inside || strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "- "):
			points = append(points, strings.TrimSpace(line[2:]))
		case len(points) > 0:
			points[len(points)-1] += " " + strings.TrimSpace(line)
		}
	}
	return points
}

// debian returns the changelog in the form of Debian Policy 4.4.
func (c changelog) debian() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%s) stable; urgency=medium\n\n", c.product, c.version)
	for _, change := range c.changes {
		out.WriteString(wrap(change, "  * ", "    ", 80))
	}
	fmt.Fprintf(&out, "\n -- %s  %s\n", c.maintainer, c.date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return out.String()
}

// nfpm returns the changelog as the package builder reads it for RPM.
func (c changelog) nfpm() ([]byte, error) {
	type change struct {
		Note string `yaml:"note"`
	}
	type entry struct {
		Semver   string    `yaml:"semver"`
		Date     time.Time `yaml:"date"`
		Packager string    `yaml:"packager"`
		Changes  []change  `yaml:"changes"`
	}
	e := entry{Semver: c.version + "-" + rpmRelease, Date: c.date.UTC(), Packager: c.maintainer}
	for _, text := range c.changes {
		e.Changes = append(e.Changes, change{text})
	}
	return yaml.Marshal([]entry{e})
}

// wrap breaks a paragraph into lines of at most width columns.
func wrap(text, first, rest string, width int) string {
	var out strings.Builder
	line := first
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && len(line)+1+len(word) > width {
			out.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	out.WriteString(line + "\n")
	return out.String()
}
