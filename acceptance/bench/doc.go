//go:build linux

// Command bench measures holm beside restic and borg: the same trees, in one
// run, one program after the other.
//
//	go run ./acceptance/bench trees=a,b,c runs=3
//
// It promises that every figure comes from a whole process that ended well,
// and that no restore counts whose tree is another than the source. Wall time
// is from start to end; CPU is that of the process and its children; peak RSS
// is what the kernel says; anonymous memory is read every 5 ms. The page cache
// is warm: every tree is read once before. The programs take turns within a
// run, and of several runs the median counts.
//
// Words of the command line are name=value:
//
//	trees=a,b,c        which trees; a: Go and the modules of modules.txt,
//	                   b: 300,000 small files, c: 4 GiB in a few large files
//	tools=holm,restic,borg,baseline   baseline is holm of the first road
//	runs=3             how often
//	holm=bin/holm      the program to measure
//	limit=64           holm alone, without and within a cgroup of so many MiB
//	work=DIR           where trees and vaults lie; default the user's cache directory
//	out=docs           where benchmarks.json and the plots go
//	render=1           only make tables and plots of benchmarks.json again
//
// restic and borg are those of a root of Debian sid, which needs root.
package main
