package source

import (
	"errors"
	"io/fs"
)

// Reading.
var (
	// ErrNotRegular says that a name is no regular file, or none any more.
	ErrNotRegular = errors.New("not a regular file")
	// ErrAttributes says that an entry has more extended attributes than
	// MaxAttributeBytes: the rest of them were not read.
	ErrAttributes = errors.New("more than 1 MiB of extended attributes")
	// SkipDir, returned by Visitor.Enter, leaves a directory's contents out.
	SkipDir = fs.SkipDir
)

// Writing back.
var (
	// ErrName says that a name cannot be an entry of a directory here.
	ErrName = errors.New("not a valid file name")
	// ErrInTheWay says that a path leads through something that is no
	// directory, a symbolic link for example.
	ErrInTheWay = errors.New("something that is not a directory is in the way")
	// ErrOwner says that the owner of a file could not be set, for want of a
	// right, and everything else was.
	ErrOwner = errors.New("the owner takes the right to restore files (SeRestorePrivilege), the rest of the security descriptor is set")
	// ErrGiven says that an owner or group was refused to who may give files
	// away, by a file system that has none, for example; everything else was set.
	ErrGiven = errors.New("owner and group cannot be set here")
	// ErrSetID says that a file was not given its SetUID or SetGID bit, because
	// its owner or group is not the one that the bit is for.
	ErrSetID = errors.New("it has another owner or group here, and so not the setuid or setgid bit")
	// ErrTime says that the file system took another modification time than
	// it was given, the nearest that it can hold.
	ErrTime = errors.New("the file system cannot hold the modification time")
)
