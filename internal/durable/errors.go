package durable

import (
	"errors"
	"syscall"
)

// ErrNotCreateOnly says that the file system has neither hard links nor a
// rename that refuses to replace, so that nobody can be promised to be first.
var ErrNotCreateOnly = errors.New("the file system cannot create a name without replacing it")

// errNotDirectory is what the operating system says of a file in the place of
// a directory.
var errNotDirectory = syscall.ENOTDIR
