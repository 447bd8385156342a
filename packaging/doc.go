// Package packaging makes what users download: binaries for every target,
// archives, and DEB and RPM packages that bring their own repository entry.
//
// What is released stands in one file, release.yaml, which can describe any Go
// program. From it come the constants of internal/product, the package texts
// and the repository entries.
//
// The promises:
//
//   - The same commit, version, base URL and keys give the same bytes,
//     signatures included, whatever the folder, host, user, time zone or
//     umask. Binaries are built without cgo, without paths and without the
//     state of the work tree, by exactly the Go version that go.mod names;
//     every time in every file is that of the commit.
//   - No package contains a script, needs a shared library, or installs into
//     a folder that it does not own. So each installs into an empty root.
//   - An RPM without a signature is never written.
//   - release.json names every file of a release with its size and SHA-256.
//     It is written last: without it there is no release, only an attempt.
package packaging
