//go:build !windows

package durable

func renameOrRefuse(old, new string) error { return renameCreateOnly(old, new) }
