package source

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// Where a time has 32 bits by nature, other code hands it to the kernel: the
// tests of that boundary, run as such builds.
func TestTimesOfBuildsOf32BitsAreKeptAndCheckedToo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the tests for other builds")
	}
	for arch, emulator := range map[string]string{"386": "", "arm": "qemu-arm"} { // of the package qemu-user
		t.Run(arch, func(t *testing.T) {
			if runtime.GOARCH == arch || arch == "386" && runtime.GOARCH != "amd64" {
				t.Skipf("%s runs it by itself, or not at all", runtime.GOARCH)
			}
			for _, program := range []string{"go", emulator} {
				if _, err := exec.LookPath(program); program != "" && err != nil {
					if os.Getenv("CI") == "true" {
						t.Fatal(err)
					}
					t.Skip(err)
				}
			}
			args := []string{"test", "-count=1", "-v", "-run", "^(TestTimesWithHostileNamesAndNumbersChangeNothing|TestTimeFarAwayComesBackOrIsReported)$"}
			if emulator != "" {
				args = append(args, "-exec", emulator)
			}
			cmd := exec.Command("go", append(args, ".")...)
			cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
			out, err := cmd.CombinedOutput()
			if bytes.Contains(out, []byte("exec format error")) {
				t.Skip("this kernel does not execute 32-bit programs")
			}
			if passed := bytes.Count(out, []byte("--- PASS: ")); err != nil || passed != 2 {
				t.Errorf("%d of 2 tests passed: %v\n%s", passed, err, out)
			}
		})
	}
}
