package holm_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// broughtBy names the package of Debian and Ubuntu for each program that tests
// run; "" is for those that a fresh system with Go, git and make has.
var broughtBy = map[string]string{
	"cd": "", "chroot": "", "cp": "", "diff": "", "dpkg": "", "dpkg-deb": "", "git": "", "go": "", "gzip": "", "mount": "", "umount": "", "sh": "", "stat": "", "sudo": "", "touch": "",
	"holm":             "", // made by the test
	"chattr":           "", // of e2fsprogs, which every Debian has
	"wineserver":       "", // of wine64, which deps.sh adds where it is new enough
	"mount.exfat-fuse": "exfat-fuse",
	"unshare":          "util-linux", "tar": "tar", "zstd": "zstd", "debootstrap": "debootstrap",
	"cpio": "cpio", "createrepo_c": "createrepo-c", "gpg": "gnupg", "gpgconf": "gnupg", "gpgv": "gpgv", "lintian": "lintian", "man": "man-db",
	"rpm": "rpm", "rpm2cpio": "rpm2cpio", "rpmbuild": "rpm", "rpmkeys": "rpm", "rpmlint": "rpmlint", "sq": "sq", "sqv": "sqv",
	"strace": "strace", "gcc": "gcc", "ssh-keygen": "openssh-client",
	"peak":        "", // made by the test
	"moto_server": "", // no Debian has it: its one test is skipped without it
}

// noProgram are packages without a program that a test runs by name; those of
// qemu-user stand in tables, those of OpenSSH are run by their path, and mount
// and mkfs find theirs.
var noProgram = []string{"debian-archive-keyring", "ca-certificates", "libc6-dev", "qemu-user", "xfsprogs", "btrfs-progs", "dosfstools", "exfatprogs", "ntfs-3g",
	"openssh-server", "openssh-sftp-server"}

// runners are the functions that take the name of a program, and as which
// of their arguments.
var runners = map[string]int{
	"LookPath": 0, "Command": 0, "CommandContext": 1, "need": 1, "client": 1, "output": 1, "accepted": 1, "lint": 2, "command": 2, "host": 2,
}

func TestEveryProgramThatTestsRunIsInstalledByThem(t *testing.T) {
	script, err := os.ReadFile("acceptance/deps.sh")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^packages='(.*)'$`).FindSubmatch(script)
	if list == nil {
		t.Fatal("acceptance/deps.sh names no packages")
	}
	installed := strings.Fields(string(list[1]))
	used := slices.Clone(noProgram)
	programs := programsOfTests(t)
	for _, program := range slices.Sorted(maps.Keys(programs)) {
		brings, known := broughtBy[program]
		if !known {
			t.Errorf("%s runs %s: say in broughtBy what brings it", programs[program], program)
		} else if brings != "" && !slices.Contains(installed, brings) {
			t.Errorf("%s runs %s, but acceptance/deps.sh does not install %s", programs[program], program, brings)
		}
		used = append(used, brings)
	}
	for _, name := range installed {
		if !slices.Contains(used, name) {
			t.Errorf("acceptance/deps.sh installs %s, but no test runs a program of it", name)
		}
	}
}

// programsOfTests returns which programs our tests run by name, and where.
func programsOfTests(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	fset := token.NewFileSet()
	for _, name := range ourFiles(t) {
		if !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "acceptance/root/") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			for _, program := range programsOf(n) {
				found[program] = fset.Position(n.Pos()).String()
			}
			return true
		})
	}
	if len(found) < 20 {
		t.Errorf("only %d programs were found: %v", len(found), found)
	}
	return found
}

// inScript finds the commands of a line of shell.
var inScript = regexp.MustCompile(`(?:^|[|;&] )\s*([a-z][a-z0-9_-]*)\b`)

// programsOf returns the programs that an expression names: a call of a
// runner, a list of tools, or a line of shell.
func programsOf(n ast.Node) []string {
	var programs []string
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch fun := n.Fun.(type) {
		case *ast.Ident:
			name = fun.Name
		case *ast.SelectorExpr:
			name = fun.Sel.Name
		}
		at, ok := runners[name]
		if !ok || at >= len(n.Args) || literal(n.Args[at]) == "" {
			return nil
		}
		programs = append(programs, literal(n.Args[at]))
		if programs[0] == "sh" && len(n.Args) > at+2 {
			for _, m := range inScript.FindAllStringSubmatch(literal(n.Args[at+2]), -1) {
				programs = append(programs, m[1])
			}
		}
	case *ast.RangeStmt: // for _, tool := range []string{…}
		if id, ok := n.Value.(*ast.Ident); !ok || id.Name != "tool" {
			return nil
		}
		if list, ok := n.X.(*ast.CompositeLit); ok {
			for _, e := range list.Elts {
				programs = append(programs, literal(e))
			}
		}
	}
	return programs
}

// literal returns the text of a string, with what is computed left out.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return ""
}
