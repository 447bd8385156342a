//go:build linux

// Command bench measures holm beside restic and borg: the same trees, in one
// run, one program after the other.
//
//	go run ./acceptance/bench trees=a,b,c runs=3
//
// It promises that every figure comes from a whole process that ended well,
// and that no restore counts whose tree is another than the source. Wall time
// is from start to end, without the entering of a root or cgroup; CPU is that
// of the process; peak RSS is the high-water mark of its address space (the
// kernel's ru_maxrss begins with the memory of whoever started the process);
// anonymous memory is read every 5 ms. The page cache is warm: every tree is
// read once before, and what the program before has written is on disk. The
// programs take turns within a run, and of several runs the median counts.
//
// Words of the command line are name=value:
//
//	trees=a,b,c        which trees; a: Go and the modules of modules.txt,
//	                   b: 300,000 small files, c: 4 GiB in a few large files
//	tools=holm,parity,restic,borg,baseline,floor
//	                   parity is holm with parity, its first backup alone;
//	                   baseline is holm of the first road; floor is find where
//	                   others look for changes and tar where they restore
//	phases=first,…     which phases; first is always done
//	runs=3             how often
//	holm=bin/holm      the program to measure
//	limit=64           holm alone, without and within a cgroup of so many MiB,
//	                   both with nothing in the page cache at the start of each
//	                   phase, so that what a program reads counts as its own
//	scale=files,links,entries,sparse
//	                   in place of trees: the memory of holm as a source grows
//	size=1             part of the generated trees, for a quick look; less than
//	                   1 leaves the modules out of tree a
//	work=DIR           where trees and vaults lie; default the user's cache directory
//	out=docs           where benchmarks.md, benchmarks.json and the plots are;
//	                   the page and its directory are made if they are missing
//	render=1           only make tables and plots of benchmarks.json again
//
// Results are kept in benchmarks.json after each run of a tree: a measurement
// that ends early keeps the runs that are complete, and what other tools and
// trees had before stays.
//
// restic and borg are those of a root of Debian sid, which needs root, as
// limit does.
package main
