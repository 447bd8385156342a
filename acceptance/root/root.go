package root

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// commandLimit ends a command that hangs.
const commandLimit = 5 * time.Minute

// A Base is an unpacked root that is never written to.
type Base struct {
	cache   *Cache
	dir     string
	overlay bool // clones are overlays, not copies
}

// A Root is one clean system: files of a Base and what was done since.
type Root struct {
	base *Base
	dir  string // holds root, upper and work
}

// Dir is where the base lies; nothing may be written below.
func (b *Base) Dir() string { return b.dir }

// probeOverlay finds out whether clones can be overlays. They cannot where
// the cache itself lies on one.
func (b *Base) probeOverlay(ctx context.Context) error {
	b.overlay = true
	r, err := b.Clone(ctx)
	if err != nil {
		return err
	}
	if res, err := r.Run(ctx, "true"); err != nil || res.Code != 0 {
		b.overlay = false
	}
	return r.Remove()
}

// Clone returns a clean root.
func (b *Base) Clone(ctx context.Context) (*Root, error) {
	dir, err := os.MkdirTemp(b.cache.run, "clone-")
	if err != nil {
		return nil, fmt.Errorf("cloning a root: %w", err)
	}
	r := &Root{base: b, dir: dir}
	for _, sub := range []string{"", "root", "upper", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("cloning a root: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cloning a root: %w", err)
	}
	if !b.overlay {
		if err := b.cache.runPrivileged(ctx, "cp", "-a", "--reflink=auto", b.dir+"/.", r.path("root")); err != nil {
			return nil, fmt.Errorf("copying a root: %w", err)
		}
	}
	return r, nil
}

func (r *Root) path(name string) string { return filepath.Join(r.dir, name) }

// Remove deletes the root and all that was done in it.
func (r *Root) Remove() error {
	return r.base.cache.remove(context.Background(), r.dir)
}

// A Result is what a command said.
type Result struct {
	Command string // the words of the command, for messages
	Code    int    // exit code
	Stdout  string
	Stderr  string
}

// Output is everything that was printed, standard output first.
func (res Result) Output() string { return res.Stdout + res.Stderr }

// String tells the command, its exit code and the end of what it printed.
func (res Result) String() string {
	return fmt.Sprintf("%s: exit code %d\n%s", res.Command, res.Code, tail(res.Output(), 6000))
}

// Run runs a command in the root. The error is for commands that could not be
// run at all; a command that failed has another exit code than 0.
func (r *Root) Run(ctx context.Context, args ...string) (Result, error) {
	return r.RunInput(ctx, nil, args...)
}

// RunInput is Run with bytes for the standard input of the command.
func (r *Root) RunInput(ctx context.Context, input []byte, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	lower := ""
	if r.base.overlay {
		lower = r.base.dir
	}
	words := []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
		"sh", "-c", enterScript, "enter.sh", r.path("root"), lower, r.path("upper"), r.path("work"),
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	cmd := r.base.cache.privileged(ctx, append(words, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	err := cmd.Run()
	res := Result{Command: strings.Join(args, " "), Stdout: stdout.String(), Stderr: stderr.String()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		res.Code, err = exit.ExitCode(), nil
	}
	if err != nil {
		return res, fmt.Errorf("running %s: %w", res, errors.Join(err, ctx.Err()))
	}
	return res, nil
}

// ReadFile returns the content of a file in the root.
func (r *Root) ReadFile(ctx context.Context, name string) ([]byte, error) {
	res, err := r.Run(ctx, "cat", name)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("reading %s in a root: %s", name, strings.TrimSpace(res.Stderr))
	}
	return []byte(res.Stdout), err
}

// WriteFile writes a file in the root, mode 0644, making its directory.
func (r *Root) WriteFile(ctx context.Context, name string, data []byte) error {
	res, err := r.RunInput(ctx, data, "sh", "-euc", `umask 022; mkdir -p "$(dirname "$1")"; cat >"$1"`, "write", name)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("writing %s in a root: %s", name, strings.TrimSpace(res.Stderr))
	}
	return err
}
