package vault

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
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
	for _, build := range []struct{ name, arch, tags, debug string }{
		{"386", "386", "", ""},
		{"without assembly", runtime.GOARCH, "purego,noasm", ""},
		{"FIPS 140", runtime.GOARCH, "", "fips140=on"},
	} {
		t.Run(build.name, func(t *testing.T) {
			if build.arch != runtime.GOARCH && (build.arch != "386" || runtime.GOARCH != "amd64") {
				t.Skipf("%s does not execute %s", runtime.GOARCH, build.arch)
			}
			cmd := exec.Command(tool, "test", "-count=1", "-tags", build.tags, "-run", "Vectors|Golden|Specification|BLAKE3",
				"../seal", "../chunk", ".")
			cmd.Env = append(os.Environ(), "GOARCH="+build.arch, "CGO_ENABLED=0", "GODEBUG="+build.debug)
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
