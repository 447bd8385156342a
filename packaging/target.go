package packaging

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Target is an operating system and architecture, in Go's words.
type Target struct {
	OS, Arch string
}

// A platform is what the different worlds call one target, and how Go builds
// for it.
type platform struct {
	target Target
	deb    string   // Debian's architecture; empty: no DEB
	rpm    string   // rpm's architecture; empty: no RPM
	env    []string // the oldest processors that are served
}

// platforms lists everything that can be built. 32-bit x86 is i686 to rpm,
// since Go needs SSE2; arm is v7 with floating point, Debian's armhf.
func platforms() []platform {
	return []platform{
		{Target{"linux", "amd64"}, "amd64", "x86_64", []string{"GOAMD64=v1"}},
		{Target{"linux", "386"}, "i386", "i686", []string{"GO386=sse2"}},
		{Target{"linux", "arm64"}, "arm64", "aarch64", []string{"GOARM64=v8.0"}},
		{Target{"linux", "arm"}, "armhf", "armv7hl", []string{"GOARM=7"}},
		{Target{"windows", "amd64"}, "", "", []string{"GOAMD64=v1"}},
		{Target{"windows", "arm64"}, "", "", []string{"GOARM64=v8.0"}},
		{Target{"windows", "386"}, "", "", []string{"GO386=sse2"}},
		{Target{"darwin", "amd64"}, "", "", []string{"GOAMD64=v1"}},
		{Target{"darwin", "arm64"}, "", "", []string{"GOARM64=v8.0"}},
	}
}

// platform returns what is known about the target; the target is one that
// ParseTarget returned.
func (t Target) platform() platform {
	for _, p := range platforms() {
		if p.target == t {
			return p
		}
	}
	return platform{target: t}
}

// ParseTarget reads "linux/amd64". The error is ErrTarget.
func ParseTarget(text string) (Target, error) {
	os, arch, _ := strings.Cut(text, "/")
	t := Target{os, arch}
	for _, p := range platforms() {
		if p.target == t {
			return t, nil
		}
	}
	return Target{}, fmt.Errorf("%w: %q", ErrTarget, text)
}

// ParseTargets reads what --targets says: "all" for everything that the
// product is released for, "host" for this machine, or a list separated by
// commas. The error is ErrTarget.
func (c *Config) ParseTargets(text string) ([]Target, error) {
	switch text {
	case "all":
		return slices.Clone(c.Targets), nil
	case "host":
		text = runtime.GOOS + "/" + runtime.GOARCH
	}
	var targets []Target
	for _, part := range strings.Split(text, ",") {
		t, err := ParseTarget(part)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(c.Targets, t) {
			return nil, fmt.Errorf("%w: %s is not released for %s", ErrTarget, c.Name, t)
		}
		if !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	return targets, nil
}

// String returns "linux/amd64".
func (t Target) String() string { return t.OS + "/" + t.Arch }

// folder returns "linux_amd64".
func (t Target) folder() string { return t.OS + "_" + t.Arch }

// binary returns the file name of a program on the target.
func (t Target) binary(program string) string {
	if t.OS == "windows" {
		return program + ".exe"
	}
	return program
}

// UnmarshalYAML reads a target of release.yaml.
func (t *Target) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := ParseTarget(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*t = parsed
	return nil
}
