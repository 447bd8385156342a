// Package product holds what the program knows about itself as a product:
// its names, its URLs, the version it was built as and the OpenPGP keys that
// speak for it.
//
// product.go is generated from packaging/release.yaml. The committed file
// describes a development build: version MAJOR.MINOR.0, no commit, no keys. A
// release build replaces it, by an overlay of the Go command, with one that
// carries the version, the commit, the base URL of the site and the full
// fingerprints of the public keys of that release; nothing in the work tree
// is changed for it.
package product

//go:generate go run holm.example/packaging/genproduct

// A Key names one OpenPGP certificate that speaks for the product.
type Key struct {
	Role        string `json:"role"`        // "archive", "package" or "release"
	Channel     string `json:"channel"`     // channel that the key signs for, for example "stable"
	Number      int    `json:"number"`      // position in the rotation of its role, from 1
	Fingerprint string `json:"fingerprint"` // full fingerprint: 40 upper case hexadecimal digits (v4)
}
