package engine

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// modTime asks the tool of the system, not package source.
func modTime(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("stat", "-c", "%.9Y", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestTimesBeforeAndLongAfterOursAreRestored(t *testing.T) {
	s := newScene(t)
	want := map[string]string{}
	for _, when := range []string{"1938-04-24T22:13:20.000000001Z", "1969-12-31T23:59:59.999999999Z", "2100-01-01T00:00:00Z",
		"2262-04-12T00:00:00Z", "2378-01-01T00:00:00.5Z"} {
		name := "of " + when[:4]
		s.write(name, []byte("x"))
		if out, err := exec.Command("touch", "-d", when, filepath.Join(s.src, name)).CombinedOutput(); err != nil {
			t.Fatalf("touch: %v\n%s", err, out)
		}
		want[name] = modTime(t, filepath.Join(s.src, name))
	}
	s.backup(s.data)
	to := s.restore(s.data, "")
	for name, when := range want {
		if got := modTime(t, filepath.Join(to, name)); got != when {
			t.Errorf("%q: restored with the time %s, want %s", name, got, when)
		}
	}
}
