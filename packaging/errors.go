package packaging

import "errors"

// Describing the product.
var (
	// ErrConfig: release.yaml is not what this package understands.
	ErrConfig = errors.New("bad description of the product")

	// ErrTarget: an operating system or architecture that nothing is built for.
	ErrTarget = errors.New("unknown target")

	// ErrVersion: a version that is not three numbers.
	ErrVersion = errors.New("a version is three numbers, such as 1.2.3")
)

// Reading the source.
var (
	// ErrNoGit: the program git is missing, or the folder is no work tree.
	ErrNoGit = errors.New("the version comes from git, which does not know this folder")

	// ErrShallow: the clone lacks history, so that commits cannot be counted.
	ErrShallow = errors.New("the clone is shallow, so its commits cannot be counted")

	// ErrDirty: the work tree holds changes that no commit has.
	ErrDirty = errors.New("the work tree has changes that are not committed")
)

// Building and packaging.
var (
	// ErrBuild: the Go command refused the program.
	ErrBuild = errors.New("the build broke")

	// ErrUnsigned: there is no key to sign RPM packages with, or its
	// signature is missing.
	ErrUnsigned = errors.New("RPM packages must be signed")

	// ErrNotBuilt: the version has no binaries yet, or others than asked for.
	ErrNotBuilt = errors.New("this version is not built")

	// ErrChanged: a file of a release is missing or differs from release.json.
	ErrChanged = errors.New("a file of the release is not what release.json says")
)
