package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/rpm"

	"holm.example/keys"
	"holm.example/keys/signing"
	"holm.example/packaging"
)

func TestRPMAcceptsOurPackagesAndNoOthers(t *testing.T) {
	if _, err := exec.LookPath("rpmkeys"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
	b := toyBench(t)
	b.quickKeys("")
	b.run(exitDone, "", "build", "--quiet", "--targets", "linux/amd64")
	b.run(exitDone, "", "package", "--quiet")
	good := filepath.Join(packaging.Folder(filepath.Join(b.dir, "dist"), "0.3.1"), "toy-0.3.1-1.x86_64.rpm")
	store, err := signing.OpenStore(filepath.Join(b.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	ring := func(role signing.Role) keys.Keyring {
		found, err := store.Keyring("stable", role)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if err := signing.CheckPackages(ring(signing.Package), good); err != nil {
		t.Error(err)
	}
	var unsigned bytes.Buffer
	info := nfpm.WithDefaults(&nfpm.Info{Name: "toy", Arch: "amd64", Version: "0.3.1", Description: "toy", Maintainer: "t <t@toy.example>"})
	if err := rpm.DefaultRPM.Package(info, &unsigned); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-100] ^= 0x10
	bad := filepath.Join(b.dir, "bad.rpm")
	for name, c := range map[string]struct {
		data []byte
		role signing.Role
	}{
		"an unsigned package":   {unsigned.Bytes(), signing.Package},
		"a flipped bit":         {data, signing.Package},
		"a truncated package":   {data[:len(data)/2], signing.Package},
		"a key it does not own": {mustRead(t, good), signing.Archive},
	} {
		if err := os.WriteFile(bad, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := signing.CheckPackages(ring(c.role), good, bad); !errors.Is(err, signing.ErrSelfCheck) {
			t.Errorf("%s: %v, want ErrSelfCheck", name, err)
		}
	}

	// Whatever rpm says decides, also about packages that were made before.
	doubtful := filepath.Join(b.dir, "bin")
	if err := os.Mkdir(doubtful, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(doubtful, "rpmkeys"), []byte("#!/bin/sh\necho NOT OK\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", doubtful+string(os.PathListSeparator)+os.Getenv("PATH"))
	b.run(exitVerify, "rpmkeys does not accept it", "package", "--quiet")
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
