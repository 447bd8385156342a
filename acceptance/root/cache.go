package root

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"

	"holm.example/internal/filelock"
)

// DefaultMirror is where roots are built from unless the environment variable
// MirrorVariable names another mirror of the Debian archive.
const (
	DefaultMirror  = "http://deb.debian.org/debian"
	MirrorVariable = "HOLM_DEBIAN_MIRROR"
)

var (
	//go:embed build.sh
	buildScript string
	//go:embed enter.sh
	enterScript string
)

// A Spec says what a root holds.
type Spec struct {
	Suite    string   // suite of the Debian archive, for example "bookworm"
	Packages []string // packages on top of debootstrap's minbase
	Setup    string   // shell script, run inside when all is installed
}

// id names the root for everything that went into it, so that a changed
// recipe builds a new one.
func (s Spec) id() string {
	h := sha256.New()
	for _, part := range []string{buildScript, s.Suite, strings.Join(s.Packages, " "), s.Setup} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return s.Suite + "-" + hex.EncodeToString(h.Sum(nil)[:6])
}

// A Cache keeps the tarballs of finished roots, and what a run unpacks.
type Cache struct {
	dir    string   // holds one tarball a root, and run/ with a folder for each run that lasts
	run    string   // the folder of this run
	held   *os.File // the lock of that folder: whoever can take it may remove the folder
	mirror string   // URL of a mirror of the Debian archive
	sudo   []string // what stands before a command that needs the rights of root
}

// Open returns the cache in the user's cache directory. The error names what
// is missing where roots cannot be had on this machine at all (ErrUnavailable).
func Open(ctx context.Context) (*Cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding the cache directory: %w", err)
	}
	c := &Cache{dir: filepath.Join(base, "holm", "roots"), mirror: DefaultMirror}
	if m := os.Getenv(MirrorVariable); m != "" {
		c.mirror = m
	}
	if os.Geteuid() != 0 {
		c.sudo = []string{"sudo", "-n"}
	}
	for _, tool := range []string{"unshare", "chroot", "debootstrap", "tar", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil && !isFile("/usr/sbin/"+tool) {
			return nil, fmt.Errorf("%w: the program %s is missing", ErrUnavailable, tool)
		}
	}
	if err := c.runPrivileged(ctx, "unshare", "--mount", "--pid", "--fork", "true"); err != nil {
		return nil, fmt.Errorf("%w: no rights for namespaces, neither as root nor by sudo: %w", ErrUnavailable, err)
	}
	if err := os.MkdirAll(filepath.Join(c.dir, "run"), 0o755); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(c.dir, "lock")).Lock()
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	defer unlock()
	if err := c.sweep(ctx); err != nil {
		return nil, err
	}
	return c, c.startRun()
}

// startRun makes the folder of this run, and locks it first.
func (c *Cache) startRun() error {
	lock, err := os.CreateTemp(filepath.Join(c.dir, "run"), "*.lock")
	if err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	if err := filelock.Try(lock); err != nil {
		return errors.Join(fmt.Errorf("locking %s: %w", lock.Name(), err), lock.Close())
	}
	c.held, c.run = lock, strings.TrimSuffix(lock.Name(), ".lock")
	if err := os.Mkdir(c.run, 0o755); err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// sweep removes what runs that were killed have left behind: those whose lock
// nobody holds any more.
func (c *Cache) sweep(ctx context.Context) error {
	locks, err := filepath.Glob(filepath.Join(c.dir, "run", "*.lock"))
	if err != nil {
		return fmt.Errorf("looking for killed runs: %w", err)
	}
	for _, name := range locks {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its run has just ended by itself
		}
		if err == nil && filelock.Try(f) == nil {
			err = errors.Join(c.remove(ctx, strings.TrimSuffix(name, ".lock")), os.Remove(name))
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("removing what a killed run left: %w", err)
		}
	}
	return nil
}

// Close removes everything that this run unpacked. The tarballs stay.
func (c *Cache) Close() error {
	return errors.Join(c.remove(context.Background(), c.run), os.Remove(c.held.Name()), c.held.Close())
}

// remove deletes a directory that holds files of root's.
func (c *Cache) remove(ctx context.Context, dir string) error {
	if err := c.runPrivileged(ctx, "rm", "-rf", "--one-file-system", dir); err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}

// Base unpacks the root that the spec describes, building it first where no
// earlier run has.
func (c *Cache) Base(ctx context.Context, spec Spec) (*Base, error) {
	tarball := filepath.Join(c.dir, spec.id()+".tar.zst")
	unlock, err := lockedfile.MutexAt(tarball + ".lock").Lock()
	if err != nil {
		return nil, fmt.Errorf("waiting for root %s: %w", spec.id(), err)
	}
	defer unlock()
	if !isFile(tarball) {
		if err := c.build(ctx, spec, tarball); err != nil {
			return nil, fmt.Errorf("building root %s: %w", spec.id(), err)
		}
	}
	dir, err := os.MkdirTemp(c.run, spec.Suite+"-")
	if err != nil {
		return nil, fmt.Errorf("unpacking root %s: %w", spec.id(), err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("unpacking root %s: %w", spec.id(), err)
	}
	if err := c.runPrivileged(ctx, "tar", "-C", dir, "--numeric-owner", "--xattrs", "-xpf", tarball); err != nil {
		return nil, fmt.Errorf("unpacking root %s: %w", spec.id(), err)
	}
	b := &Base{cache: c, dir: dir}
	return b, b.probeOverlay(ctx)
}

// build makes the tarball of a root. It appears under its name when it is
// whole.
func (c *Cache) build(ctx context.Context, spec Spec, tarball string) error {
	dir, err := os.MkdirTemp(c.run, "build-")
	if err != nil {
		return err
	}
	defer c.remove(context.WithoutCancel(ctx), dir)
	tree := filepath.Join(dir, "tree")
	args := append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
		"sh", "-c", buildScript, "build.sh", spec.Suite, tree, c.mirror, spec.Setup}, spec.Packages...)
	if err := c.runPrivileged(ctx, args...); err != nil {
		return err
	}
	unfinished := filepath.Join(dir, "tar.zst")
	if err := c.runPrivileged(ctx, "tar", "-C", tree, "--numeric-owner", "--xattrs", "-I", "zstd -3 -T2", "-cf", unfinished, "."); err != nil {
		return err
	}
	return os.Rename(unfinished, tarball)
}

// runPrivileged runs a command with the rights of root; what it printed last
// stands in the error.
func (c *Cache) runPrivileged(ctx context.Context, args ...string) error {
	cmd := c.privileged(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, tail(out.String(), 2000))
	}
	return nil
}

// privileged prepares a command with the rights of root and an environment
// that holds what reaches a mirror and nothing else of the caller's.
func (c *Cache) privileged(ctx context.Context, args ...string) *exec.Cmd {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	words := append(append([]string{}, c.sudo...), "env", "-i")
	words = append(append(words, env...), args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = "/"
	terminateOnCancel(cmd)
	return cmd
}

// tail returns the last max bytes of a text.
func tail(s string, max int) string {
	s = strings.TrimSpace(s)
	if len(s) > max {
		s = "…" + s[len(s)-max:]
	}
	return s
}
