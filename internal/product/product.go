// Code generated from packaging/release.yaml by packaging/genproduct. DO NOT EDIT.

package product

// What the product is, and what this build of it is.
const (
	Name     = "holm"
	Title    = "holm"
	Vendor   = "The holm authors"
	Homepage = "https://holm.example/"
	Issues   = "https://holm.example/issues"
	URL      = "https://packages.holm.example"
	Version  = "0.2.0"
	Commit   = ""
)

// Keys returns the keys that speak for this build; a development build has none.
func Keys() []Key { return nil }
