// Package root gives acceptance tests whole Debian systems to work in: roots
// of any suite with the package clients that a test wants, clean for every
// test.
//
// What it promises:
//
//   - A root is built once by debootstrap and kept in the user's cache as one
//     compressed tarball, named for its suite and for a hash of everything
//     that went into it; the next run only unpacks it. Runs at the same time
//     wait for one another, and a build that is killed leaves no tarball.
//   - Every Clone starts from the same files and sees nothing of the others:
//     an overlay over the unpacked base or, where the kernel has no overlay
//     for the file system at hand, a full copy.
//   - Every command runs in mount and process namespaces of its own. What it
//     mounts and what it leaves running (dnf leaves gpg-agents behind) ends
//     with it, also when it fails or is killed. The network is the host's, so
//     that a root reaches a site on loopback.
//
// Entering a root needs the rights of root. Where the tests run as another
// user, each such command goes through "sudo -n"; nothing else does.
package root
