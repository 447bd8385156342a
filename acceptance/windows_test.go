package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"holm.example/acceptance/root"
)

// wineSpec is a Debian with a wine of 10 or newer, which Go needs.
var wineSpec = root.Spec{Suite: "trixie", Packages: []string{"wine64"}}

// windowsTests are the packages whose tests say something of Windows, which of
// their tests to run, and some that must have passed, not been skipped.
var windowsTests = []struct {
	pkg, run string
	must     []string
}{
	{"holm.example/engine/source", "", []string{"FuzzParseReparse", "FuzzParseStreams"}},
	{"holm.example/engine", "Windows|TestBackupRestores|TestUnchanged|TestFileT|OneBaseName", nil},
}

// TestWindowsTestsPassUnderWine runs what was built for Windows by the wine of
// a root. What wine has not, such as links and streams, tests skip by name.
func TestWindowsTestsPassUnderWine(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("wine runs here what is built for amd64")
	}
	base, err := openRoots(t).Base(t.Context(), wineSpec)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range windowsTests {
		t.Run(c.pkg, func(t *testing.T) {
			exe := filepath.Join(t.TempDir(), "test.exe")
			build := exec.Command("go", "test", "-c", "-o", exe, c.pkg)
			build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("building: %v\n%s", err, out)
			}
			program, err := os.ReadFile(exe)
			if err != nil {
				t.Fatal(err)
			}
			r, err := base.Clone(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := r.Remove(); err != nil {
					t.Error(err)
				}
			})
			if err := r.WriteFile(t.Context(), "/work/test.exe", program); err != nil {
				t.Fatal(err)
			}
			res, err := r.Run(t.Context(), "sh", "-euc",
				`cd /work; exec env WINEDEBUG=-all "$(command -v wine64 || echo /usr/lib/wine/wine64)" test.exe -test.v -test.run="$1"`, "sh", c.run)
			if err != nil {
				t.Fatal(err)
			}
			passed := regexp.MustCompile(`--- PASS: \w+`).FindAllString(res.Output(), -1)
			t.Logf("%d passed, %q", len(passed), regexp.MustCompile(`--- SKIP: \w+`).FindAllString(res.Output(), -1))
			if res.Code != 0 || len(passed) < 5 {
				t.Errorf("%s", res)
			}
			for _, name := range c.must {
				if !strings.Contains(res.Output(), "--- PASS: "+name+" ") {
					t.Errorf("%s has not passed", name)
				}
			}
		})
	}
}
