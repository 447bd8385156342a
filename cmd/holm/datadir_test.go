package main

import (
	"path/filepath"
	"runtime"
	"testing"
)

func appWith(env map[string]string) *app {
	return &app{env: func(name string) string { return env[name] }}
}

func TestDataDirectoryIsTheFirstThatIsSaid(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the defaults below are those of Linux")
	}
	for _, c := range []struct {
		name string
		flag string
		env  map[string]string
		want string
	}{
		{"flag", "/flag", map[string]string{"HOLM_DATA_DIR": "/env", "STATE_DIRECTORY": "/var/lib/holm"}, "/flag"},
		{"variable", "", map[string]string{"HOLM_DATA_DIR": "/env", "STATE_DIRECTORY": "/var/lib/holm"}, "/env"},
		{"system unit", "", map[string]string{"STATE_DIRECTORY": "/var/lib/holm", "HOME": "/root"}, "/var/lib/holm"},
		{"system unit with two directories", "", map[string]string{"STATE_DIRECTORY": "/var/lib/holm:/var/lib/x"}, "/var/lib/holm"},
		{"XDG", "", map[string]string{"XDG_STATE_HOME": "/xdg", "HOME": "/home/a"}, "/xdg/holm"},
		{"XDG that is not absolute", "", map[string]string{"XDG_STATE_HOME": "xdg", "HOME": "/home/a"}, "/home/a/.local/state/holm"},
		{"home", "", map[string]string{"HOME": "/home/a"}, "/home/a/.local/state/holm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := appWith(c.env)
			a.dataDirFlag = c.flag
			if got, err := a.dataDir(); got != c.want || err != nil {
				t.Errorf("got %q, %v, expected %q", got, err, c.want)
			}
		})
	}
	if got, err := appWith(nil).dataDir(); err == nil {
		t.Errorf("without a home directory the data directory is %q", got)
	} else if code, hint := verdict(err); code != exitUsage || hint == "" {
		t.Errorf("without a home directory: exit code %d, hint %q", code, hint)
	}
}

func TestVaultIsTheFirstThatIsSaid(t *testing.T) {
	env := map[string]string{"HOLM_VAULT": "env"}
	abs := func(name string) string { p, _ := filepath.Abs(name); return p }
	a := appWith(env)
	if got, err := a.vaultToOpen([]string{"argument"}); got != abs("argument") || err != nil {
		t.Errorf("with an argument: %q, %v", got, err)
	}
	if got, err := a.vaultToOpen(nil); got != abs("env") || err != nil {
		t.Errorf("with the variable alone: %q, %v", got, err)
	}
	a.vaultFlag = "flag"
	if got, err := a.vault(); got != abs("flag") || err != nil {
		t.Errorf("with flag and variable: %q, %v", got, err)
	}
	if got, err := a.vaultToOpen([]string{"argument"}); err == nil {
		t.Errorf("an argument and another flag gave %q", got)
	}
	if got, err := appWith(nil).vault(); got != "" || err != nil {
		t.Errorf("with nothing said: %q, %v", got, err)
	}
	if _, err := appWith(nil).vaultToOpen(nil); err == nil {
		t.Error("no vault was needed")
	}
}

func TestPathOfASnapshotMayBeOfAnotherSystem(t *testing.T) {
	here, err := filepath.Abs("here")
	if err != nil {
		t.Fatal(err)
	}
	unix, windows := "/home/a/../b", `C:\Users\a`
	want := map[string]string{"here": here, unix: unix, windows: windows, "D:/x": "D:/x"}
	if filepath.IsAbs(unix) {
		want[unix] = "/home/b"
	}
	for path, want := range want {
		if got, err := snapshotPath(path); err != nil || got != want {
			t.Errorf("snapshotPath(%q) = %q, %v, expected %q", path, got, err, want)
		}
	}
}
