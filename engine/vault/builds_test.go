package vault

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
)

// The tests of the fixed bytes of a vault, run again as other builds of holm:
// what one build writes, every other one must read and write the same.
func TestEveryBuildMakesTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the tests for other builds")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not there to compile with: ", err)
	}
	emulated := runtime.GOOS == "linux"
	for _, build := range []struct {
		name, arch, emulator string // of the package qemu-user
		args                 []string
		env                  string
	}{
		{"386", "386", "", nil, ""},
		{"arm64", "arm64", "qemu-aarch64", nil, ""},
		{"s390x, big-endian", "s390x", "qemu-s390x", nil, ""},
		{"without assembly", runtime.GOARCH, "", []string{"-tags", "purego,noasm"}, ""},
		{"FIPS 140", runtime.GOARCH, "", nil, "GODEBUG=fips140=on"},
		{"race detector", runtime.GOARCH, "", []string{"-race"}, "CGO_ENABLED=1"},
	} {
		t.Run(build.name, func(t *testing.T) {
			args := append([]string{"test", "-count=1", "-run", "Vectors|Golden|Specification|BLAKE3"}, build.args...)
			switch {
			case build.emulator != "" && !emulated:
				t.Skip("programs of other processors are run on linux only")
			case build.emulator != "" && build.arch != runtime.GOARCH:
				args = append(args, "-exec", need(t, build.emulator))
			case build.arch == "386" && runtime.GOARCH != "amd64":
				t.Skipf("%s does not execute 386", runtime.GOARCH)
			case slices.Contains(build.args, "-race"):
				need(t, "gcc")
			}
			cmd := exec.Command(tool, append(args, "../seal", "../chunk", ".")...)
			cmd.Env = append(os.Environ(), "GOARCH="+build.arch, "CGO_ENABLED=0", build.env)
			out, err := cmd.CombinedOutput()
			if bytes.Contains(out, []byte("exec format error")) {
				t.Skip("this kernel does not execute 32-bit programs")
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if bytes.Contains(out, []byte("no tests to run")) {
				t.Errorf("a package ran none of its tests:\n%s", out)
			}
		})
	}
}

// need returns the path of a program. Without it the test is skipped, or fails
// where all must be there.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return path
}
