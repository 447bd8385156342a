package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holm.example/keys"
	"holm.example/keys/signing"
)

// A bench is a folder in which command lines of the first half of the road
// run: keys, build, package.
type bench struct {
	t      *testing.T
	dir    string
	config string
}

// run wants an exit code, and words on stderr; it returns stdout.
func (b bench) run(wantCode int, wantErr string, args ...string) string {
	b.t.Helper()
	var out, errs bytes.Buffer
	all := append(args, "--keys", filepath.Join(b.dir, "keys"), "--dist", filepath.Join(b.dir, "dist"), "--config", b.config)
	code := run(context.Background(), all, &out, &errs)
	if code != wantCode || !strings.Contains(errs.String(), wantErr) || wantErr == "" && errs.Len() > 0 {
		b.t.Errorf("%v: exit %d, want %d; stderr %q, want %q", args, code, wantCode, errs.String(), wantErr)
	}
	return out.String()
}

func TestKeysAreMadeListedExportedAndRotated(t *testing.T) {
	b := bench{t, t.TempDir(), filepath.Join("..", "..", "packaging", "release.yaml")}
	b.run(exitFailed, "hint: holm-publish key new", "key", "list")
	secret := filepath.Join(b.dir, "passphrase")
	if err := os.WriteFile(secret, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(exitDone, "made keys of channel stable", "key", "new", "--passphrase-file", secret)
	b.run(exitDone, "", "key", "new", "--if-missing", "--quiet")
	b.run(exitFailed, "hint: holm-publish key list", "key", "new", "--quiet")

	lines := strings.Split(strings.TrimSpace(b.run(exitDone, "", "key", "show", "--json")), "\n")
	if len(lines) != 8 {
		t.Fatalf("%d keys: %q", len(lines), lines)
	}
	var first keyAnswer
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.Algorithm != "rsa4096" || first.UserID != "holm stable archive key 1 <keys@holm.example>" {
		t.Errorf("first key %+v, %v", first, err)
	}
	if info, err := os.Stat(filepath.Join(b.dir, "keys")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the key folder has mode %v, %v", info.Mode(), err)
	}

	for args, want := range map[string]int{"--format apt": 3, "--format rpm": 6, "--role release": 2, "--role package --format binary": 3} {
		out := b.run(exitDone, "", append([]string{"key", "export"}, strings.Fields(args)...)...)
		ring, err := keys.ParseKeyring([]byte(out))
		if err != nil || len(ring) != want {
			t.Errorf("export %s: %d keys, want %d (%v)", args, len(ring), want, err)
		}
	}
	b.run(exitUsage, "unknown format", "key", "export", "--format", "pem")
	b.run(exitUsage, "--role is", "key", "export")
	b.run(exitUsage, "--role is", "key", "rotate", "--role", "release")
	b.run(exitUsage, "unknown flag", "key", "list", "--nonsense")
	b.run(exitUsage, "unknown command", "key", "list", "extra")

	b.run(exitDone, "", "key", "rotate", "--role", "archive")
	list := b.run(exitDone, "", "key", "list")
	if n := strings.Count(list, "retired"); n != 1 || !strings.Contains(list, "archive  2  active") {
		t.Errorf("after the rotation:\n%s", list)
	}
	b.run(exitFailed, "hint: holm-publish key standby takes", "key", "rotate", "--role", "archive")
	b.run(exitWrongKey, "hint: --passphrase-file", "key", "standby", "--role", "archive", "--number", "3")
	b.run(exitDone, "", "key", "standby", "--role", "archive", "--number", "3", "--passphrase-file", secret)
	b.run(exitDone, "", "key", "rotate", "--role", "archive")
	b.run(exitFailed, "is the only active one", "key", "revoke", "--role", "archive", "--number", "3")
	if out := b.run(exitDone, "", "key", "revoke", "--role", "archive", "--number", "1"); !strings.Contains(out, "archive  1  revoked") {
		t.Errorf("revoked:\n%s", out)
	}
	for format, want := range map[string]int{"apt": 2, "rpm": 5} {
		ring, err := keys.ParseKeyring([]byte(b.run(exitDone, "", "key", "export", "--format", format)))
		if err != nil || len(ring) != want {
			t.Errorf("after the revocation %s gets %d keys, want %d (%v)", format, len(ring), want, err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "keys", "stable-release-3.key"), []byte("of a lost list"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(exitDone, "stable-release-3.key.unlisted-1", "key", "new", "--role", "release", "--quiet", "--passphrase-file", secret)
	b.run(exitDone, "", "key", "revoke", "--role", "release", "--number", "1")

	if err := os.Remove(filepath.Join(b.dir, "keys", "keys.json")); err != nil {
		t.Fatal(err)
	}
	b.run(exitFailed, "hint: restore the key folder", "key", "new", "--if-missing")
	b.run(exitFailed, "keys.json is lost", "key", "list")
}

func TestKeyCommandsThatMakeNoSenseChangeNothing(t *testing.T) {
	b := bench{t, t.TempDir(), filepath.Join("..", "..", "packaging", "release.yaml")}
	for _, channel := range []string{"X Y", "", "../x"} {
		b.run(exitUsage, "--channel is 1 to 32", "key", "new", "--channel", channel)
	}
	b.run(exitUsage, "--role is", "key", "new", "--role", "root")
	b.run(exitUsage, "does not go with it", "key", "new", "--role", "archive", "--if-missing")
	b.run(exitFailed, "hint: holm-publish key new", "key", "new", "--role", "archive")
	b.run(exitUsage, "--role is", "key", "revoke", "--number", "1")
	b.run(exitUsage, "--number says which", "key", "standby", "--role", "archive")
	if _, err := os.Lstat(filepath.Join(b.dir, "keys")); err == nil {
		t.Error("a key folder was made")
	}
}

func TestASecretKeyThatIsAwayIsNamed(t *testing.T) {
	b := toyBench(t)
	b.quickKeys("")
	b.run(exitDone, "", "build", "--quiet", "--targets", "linux/amd64")
	if err := os.Remove(filepath.Join(b.dir, "keys", "stable-package-1.key")); err != nil {
		t.Fatal(err)
	}
	b.run(exitFailed, "stable-package-1.key\nholm-publish: hint: bring that file back", "package", "--quiet")
}

// toyBench is a bench at which a small product stands, committed.
func toyBench(t *testing.T) bench {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	root := os.DirFS(filepath.Join("..", "..", "packaging", "testdata", "toy"))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		target := filepath.Join(source, filepath.FromSlash(strings.TrimSuffix(name, ".txt")))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=Toy", "-c", "user.email=toy@toy.example", "commit", "-q", "-m", "The toy"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return bench{t, dir, filepath.Join(source, "packaging", "release.yaml")}
}

// quickKeys fills the key folder with keys that are made in no time.
func (b bench) quickKeys(passphrase string) {
	b.t.Helper()
	store, err := signing.CreateStore(filepath.Join(b.dir, "keys"))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, role := range []signing.Role{signing.Archive, signing.Package} {
		key, err := signing.Generate(signing.Ed25519, signing.Spec{UserID: "toy <toy@toy.example>", Created: time.Unix(1_700_000_000, 0)})
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := store.Add(role, "stable", signing.Active, key, []byte(passphrase)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestAProductIsBuiltAndPackagedOnce(t *testing.T) {
	b := toyBench(t)
	b.run(exitFailed, "hint: holm-publish key new", "build", "--quiet")
	b.quickKeys("")
	b.run(exitUsage, "hint: --targets takes", "build", "--targets", "linux/mips")
	b.run(exitUsage, "hint: --version takes", "build", "--version", "1.2")
	b.run(exitUsage, "is no base URL", "build", "--url", "gopher://x.example")
	b.run(exitFailed, "hint: holm-publish build makes it", "package")
	out := b.run(exitDone, "building linux/amd64 (1 of 1)", "build", "--targets", "linux/amd64")
	if !strings.HasSuffix(out, "  bin/linux_amd64/toy\n") {
		t.Errorf("build says %q", out)
	}
	b.run(exitDone, "is built already", "build", "--targets", "linux/amd64")
	out = b.run(exitDone, "packaged toy_0.3.1_amd64.deb", "package")
	for _, want := range []string{"toy-0.3.1-1.x86_64.rpm", "toy_0.3.1_linux_amd64.tar.gz", "keys/RPM-GPG-KEY-toy"} {
		if !strings.Contains(out, want) {
			t.Errorf("package says nothing of %s:\n%s", want, out)
		}
	}
	b.run(exitDone, "is packaged already", "package")
	b.run(exitDone, "", "build", "--targets", "linux/amd64", "--quiet")

	if err := os.WriteFile(filepath.Join(b.dir, "source", "README.md"), []byte("changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(exitFailed, "hint: commit the changes", "package")
	b.run(exitFailed, "hint: holm-publish build makes it", "package", "--allow-dirty")
}

func TestALockedKeySignsOnlyWithItsPassphrase(t *testing.T) {
	b := toyBench(t)
	right, wrong := filepath.Join(b.dir, "right"), filepath.Join(b.dir, "wrong")
	for name, text := range map[string]string{right: "right\n", wrong: "wrong\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.quickKeys("right")
	b.run(exitDone, "", "build", "--quiet", "--targets", "linux/amd64")
	b.run(exitWrongKey, "hint: --passphrase-file", "package", "--quiet")
	b.run(exitWrongKey, "wrong or missing passphrase", "package", "--quiet", "--passphrase-file", wrong)
	b.run(exitFailed, "reading the passphrase", "package", "--quiet", "--passphrase-file", filepath.Join(b.dir, "none"))
	b.run(exitDone, "", "package", "--quiet", "--passphrase-file", right)
}

func TestEveryCommandShowsExamples(t *testing.T) {
	var walk func(path []string)
	walk = func(path []string) {
		var out, errs bytes.Buffer
		if code := run(context.Background(), append(path, "--help"), &out, &errs); code != exitDone || !strings.Contains(out.String(), "Examples:") {
			t.Errorf("%v --help: exit %d\n%s", path, code, out.String())
		}
		root := newRoot(&app{ui: newUI(&out, &errs)})
		cmd, _, err := root.Find(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				walk(append(append([]string(nil), path...), sub.Name()))
			}
		}
	}
	walk(nil)
}
