//go:build !linux

package site

// exchange exchanges two names.
func exchange(a, b string) error { return swap(a, b) }
