package packaging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	maxVersionFile = 64 // bytes of the file VERSION
	dirtySuffix    = "-dirty"
)

// A Source is a work tree that a release is made from.
type Source struct {
	Dir     string // the root of the module
	Version string // MAJOR.MINOR.BUILD
	Commit  string // full hash, with "-dirty" if the work tree has other changes
	Epoch   time.Time
	Dirty   bool
}

// SourceOptions change how ReadSource looks at a work tree.
type SourceOptions struct {
	Version    string // instead of the counted one
	AllowDirty bool   // take changes that no commit has, and say so in the version output
}

// versionPattern is three numbers without leading zeros, each below a
// million, so that they stay numbers everywhere.
var versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)

// CheckVersion returns ErrVersion unless the text is MAJOR.MINOR.BUILD.
func CheckVersion(text string) error {
	if !versionPattern.MatchString(text) {
		return fmt.Errorf("%w: %q", ErrVersion, text)
	}
	return nil
}

// ReadSource asks git what the work tree in dir is. MAJOR.MINOR come from the
// file VERSION, BUILD is the number of commits. The errors are ErrNoGit,
// ErrShallow, ErrDirty and ErrVersion.
func ReadSource(ctx context.Context, dir string, o SourceOptions) (*Source, error) {
	if _, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree"); err != nil {
		return nil, err
	}
	commit, err := git(ctx, dir, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return nil, err
	}
	s := &Source{Dir: dir, Version: o.Version, Commit: commit}
	changes, err := git(ctx, dir, "status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return nil, err
	}
	if s.Dirty = changes != ""; s.Dirty {
		if !o.AllowDirty {
			first, _, _ := strings.Cut(changes, "\n")
			return nil, fmt.Errorf("%w: %s", ErrDirty, first)
		}
		s.Commit += dirtySuffix
	}
	seconds, err := git(ctx, dir, "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	epoch, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: commit time %q", ErrNoGit, seconds)
	}
	s.Epoch = time.Unix(epoch, 0).UTC()
	if s.Version == "" {
		if s.Version, err = countVersion(ctx, dir); err != nil {
			return nil, err
		}
	}
	return s, CheckVersion(s.Version)
}

// countVersion joins VERSION and the number of commits.
func countVersion(ctx context.Context, dir string) (string, error) {
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return "", err
	}
	if shallow == "true" {
		return "", ErrShallow
	}
	count, err := git(ctx, dir, "rev-list", "--count", "HEAD")
	if err != nil {
		return "", err
	}
	base, err := os.ReadFile(filepath.Join(dir, "VERSION"))
	if err != nil {
		return "", fmt.Errorf("reading the version: %w", err)
	}
	if len(base) > maxVersionFile {
		return "", fmt.Errorf("%w: the file VERSION has %d bytes", ErrVersion, len(base))
	}
	return strings.TrimSpace(string(base)) + "." + count, nil
}

// git runs one git command in dir and returns its output without the final
// newline. The error is ErrNoGit with git's own words.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%w: git %s: %s", ErrNoGit, args[0], bytes.TrimSpace(stderr.Bytes()))
		}
		return "", fmt.Errorf("%w: %w", ErrNoGit, err)
	}
	return strings.TrimRight(stdout.String(), "\n"), nil
}
