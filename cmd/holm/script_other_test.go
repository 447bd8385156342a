//go:build !linux

package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// asNobody needs no other user where nobody is root: the scripts that use it
// are for Linux.
func asNobody(ts *testscript.TestScript, neg bool, args []string) { status(ts, neg, args) }

// nasty makes a directory of what is hard to bring back and exists on every
// system: nasty DIR.
func nasty(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(dir, "empty", "deeper"), 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "one code point \u00e9"), []byte("x"), 0o600))
}

// socket is for Linux.
func socket(ts *testscript.TestScript, neg bool, args []string) { ts.Fatalf("no socket is made here") }

// condition knows the condition mounts, which is for Linux.
func condition(cond string) (bool, error) { return false, nil }

// disk is for Linux.
func disk(ts *testscript.TestScript, neg bool, args []string) { ts.Fatalf("no disk can be made here") }

// morePrograms are those of this system's tests.
func morePrograms() map[string]func() { return nil }
