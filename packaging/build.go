package packaging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"holm.example/internal/durable"
	"holm.example/internal/product"
)

const (
	binaryFolder   = "bin"
	documentFolder = "documents"
	maxCommandText = 8 << 10 // bytes of a command's words that an error repeats
)

// A Progress prints one line about what happens now.
type Progress func(format string, args ...any)

// BuildOptions say what Build makes.
type BuildOptions struct {
	Config   *Config
	Source   *Source
	Keys     []product.Key // compiled into the programs
	Targets  []Target
	Dist     string   // folder of built releases
	Progress Progress // nil: silent
}

// Build compiles the programs for every target, and for this machine the
// documents, into the folder of the version, and writes its release.json. If
// the folder holds the same build already, nothing is done; a build of a
// dirty work tree is always done again. The errors are ErrBuild and those of
// reading and writing.
func Build(ctx context.Context, o BuildOptions) (*Release, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	b, err := newBuilder(ctx, o)
	if err != nil {
		return nil, err
	}
	if r := b.existing(); r != nil {
		o.Progress("%s %s is built already", o.Config.Name, o.Source.Version)
		return r, nil
	}
	overlay, cleanup, err := b.overlay()
	if err != nil {
		return nil, err
	}
	defer cleanup()
	if err := b.begin(); err != nil {
		return nil, err
	}
	r := b.release()
	for i, t := range o.Targets {
		o.Progress("building %s (%d of %d)", t, i+1, len(o.Targets))
		for _, p := range o.Config.Programs {
			name := filepath.ToSlash(filepath.Join(binaryFolder, t.folder(), t.binary(p.Name)))
			out := filepath.Join(b.folder, filepath.FromSlash(name))
			if err := b.run(ctx, t, "build", overlay, "-o", out, p.Package); err != nil {
				return nil, fmt.Errorf("%w for %s", err, t)
			}
			if err := r.add(b.folder, File{Name: name, Kind: KindProgram, OS: t.OS, Arch: t.Arch}); err != nil {
				return nil, err
			}
		}
	}
	if err := b.documents(ctx, overlay, r); err != nil {
		return nil, err
	}
	return r, r.write(b.folder)
}

// A builder is one run of Build.
type builder struct {
	BuildOptions
	folder    string
	toolchain string
	goEnv     []string // the environment of the Go command, without the target
	product   []byte   // source of the product's constants
}

func newBuilder(ctx context.Context, o BuildOptions) (*builder, error) {
	dist, err := filepath.Abs(o.Dist)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", o.Dist, err)
	}
	b := &builder{BuildOptions: o, folder: Folder(dist, o.Source.Version)}
	if b.toolchain, err = toolchain(o.Source.Dir); err != nil {
		return nil, err
	}
	if b.goEnv, err = goEnvironment(ctx, b.toolchain, o.Source); err != nil {
		return nil, err
	}
	b.product, err = FormatProduct(o.Config, Identity{o.Source.Version, o.Source.Commit, o.Config.URL, o.Keys})
	return b, err
}

// toolchainLine finds the exact Go version of a go.mod; go without a patch
// number is a language version, which names no toolchain.
var toolchainLine = regexp.MustCompile(`(?m)^toolchain[ \t]+(go[0-9]+\.[0-9]+(\.[0-9]+)?)[ \t\r]*$`)

// toolchain returns the Go version that go.mod pins.
func toolchain(dir string) (string, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBuild, err)
	}
	m := toolchainLine.FindSubmatch(mod)
	if m == nil {
		return "", fmt.Errorf("%w: go.mod has no toolchain line, and without it nobody can build the same bytes", ErrBuild)
	}
	return string(m[1]), nil
}

// goEnvironment returns an environment in which nothing but the source
// decides on the bytes: of the settings of this machine only those are kept
// that say where modules, caches and temporary files are.
func goEnvironment(ctx context.Context, toolchain string, s *Source) ([]string, error) {
	kept := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE", "GOAUTH", "GOVCS", "GOTMPDIR"}
	cmd := exec.CommandContext(ctx, "go", append([]string{"env", "-json"}, kept...)...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain)
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return nil, fmt.Errorf("%w: go env: %w", ErrBuild, err)
	}
	env := []string{
		"GOENV=off", "GOTOOLCHAIN=" + toolchain, "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0", "GO111MODULE=on",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(s.Epoch.Unix(), 10), "LC_ALL=C", "TZ=UTC",
	}
	for _, key := range kept {
		if settings[key] != "" {
			env = append(env, key+"="+settings[key])
		}
	}
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "TMP", "TEMP", "SystemRoot", "USERPROFILE", "LOCALAPPDATA", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "GOMAXPROCS", "GOMEMLIMIT", "NETRC"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env, nil
}

// inputs is the digest of all that decides on the bytes of a build.
func (b *builder) inputs() string {
	parts := []string{"build 1", b.Source.Commit, strconv.FormatInt(b.Source.Epoch.Unix(), 10), b.toolchain, string(b.product)}
	for _, t := range b.Targets {
		parts = append(parts, t.String())
	}
	return digestOf(parts...)
}

// existing returns the release that the folder holds if it is this one,
// complete and unchanged, else nil.
func (b *builder) existing() *Release {
	if b.Source.Dirty {
		return nil
	}
	r, err := ReadRelease(b.folder)
	if err != nil || r.Built != b.inputs() || r.Verify(b.folder) != nil {
		return nil
	}
	return r
}

// begin empties the folder of the version as far as Build fills it.
func (b *builder) begin() error {
	if err := invalidate(b.folder); err != nil {
		return err
	}
	for _, sub := range []string{binaryFolder, documentFolder} {
		if err := os.RemoveAll(filepath.Join(b.folder, sub)); err != nil {
			return fmt.Errorf("beginning a release: %w", err)
		}
	}
	if err := durable.MkdirAll(b.folder, 0o755); err != nil {
		return fmt.Errorf("beginning a release: %w", err)
	}
	return nil
}

// release returns a release without files.
func (b *builder) release() *Release {
	r := &Release{
		Format: releaseFormat, Product: b.Config.Name, Version: b.Source.Version, Commit: b.Source.Commit, Epoch: b.Source.Epoch.Unix(),
		URL: b.Config.URL, Channel: b.Config.Channel, Toolchain: b.toolchain, Keys: b.Keys, Built: b.inputs(),
	}
	for _, t := range b.Targets {
		r.Targets = append(r.Targets, t.String())
	}
	return r
}

// overlay writes the product's constants where the Go command takes them from
// instead of the committed file, and returns the flag that says so.
func (b *builder) overlay() (flag string, cleanup func(), err error) {
	dir, err := os.MkdirTemp("", b.Config.Name+"-overlay-")
	if err != nil {
		return "", nil, fmt.Errorf("preparing the build: %w", err)
	}
	cleanup = func() { os.RemoveAll(dir) }
	root, err := filepath.Abs(b.Source.Dir)
	if err != nil {
		cleanup()
		return "", nil, fmt.Errorf("preparing the build: %w", err)
	}
	constants, list := filepath.Join(dir, "product.go"), filepath.Join(dir, "overlay.json")
	replace := map[string]map[string]string{"Replace": {filepath.Join(root, filepath.FromSlash(b.Config.Product)): constants}}
	data, err := json.Marshal(replace)
	if err == nil {
		err = errors.Join(os.WriteFile(constants, b.product, 0o600), os.WriteFile(list, data, 0o600))
	}
	if err != nil {
		cleanup()
		return "", nil, fmt.Errorf("preparing the build: %w", err)
	}
	return "-overlay=" + list, cleanup, nil
}

// run runs the Go command with the flags that leave nothing of this machine
// in what it makes.
func (b *builder) run(ctx context.Context, t Target, verb, overlay string, args ...string) error {
	all := append([]string{verb, overlay, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}, args...)
	cmd := exec.CommandContext(ctx, "go", all...)
	cmd.Dir = b.Source.Dir
	cmd.Env = append(slices.Clone(b.goEnv), "GOOS="+t.OS, "GOARCH="+t.Arch)
	cmd.Env = append(cmd.Env, t.platform().env...)
	_, err := output(cmd)
	return err
}

// documents makes the man pages and completions, on this machine, and lists
// them.
func (b *builder) documents(ctx context.Context, overlay string, r *Release) error {
	d := b.Config.Documents
	if d == (Documents{}) {
		return nil
	}
	b.Progress("making man pages and completions")
	folder := filepath.Join(b.folder, documentFolder)
	host := Target{runtime.GOOS, runtime.GOARCH}
	if err := b.run(ctx, host, "run", overlay, "-tags="+d.Tag, d.Package, d.Verb, folder); err != nil {
		return fmt.Errorf("making documents: %w", err)
	}
	return filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(b.folder, name)
		if err != nil {
			return err
		}
		return r.add(b.folder, File{Name: filepath.ToSlash(rel), Kind: KindDocument})
	})
}

// output runs a command and returns what it wrote to stdout. The error is
// ErrBuild with the last of its own words.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text := stderr.Bytes()
		if len(text) > maxCommandText {
			text = text[len(text)-maxCommandText:]
		}
		return nil, fmt.Errorf("%w: %s: %w\n%s", ErrBuild, strings.Join(cmd.Args[:2], " "), err, bytes.TrimSpace(text))
	}
	return stdout.Bytes(), nil
}
