package signing

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"holm.example/keys"
)

// A Witness is another OpenPGP implementation that must accept what we sign.
type Witness interface {
	// CheckDetached returns an error unless every signature of the armored
	// block is a good one over message of a certificate of the ring.
	CheckDetached(ring keys.Keyring, message, signature []byte) error
	// CheckCleartext does the same for a cleartext signed document.
	CheckCleartext(ring keys.Keyring, document []byte) error
}

// witnessTime bounds one run of a witness.
const witnessTime = 30 * time.Second

// FindWitnesses returns the programs of this machine that can check
// signatures: gpgv, which apt uses up to Debian 12, and sqv, from 13 on.
func FindWitnesses() []Witness {
	var found []Witness
	if path, err := exec.LookPath("gpgv"); err == nil {
		found = append(found, gpgv{path})
	}
	if path, err := exec.LookPath("sqv"); err == nil {
		found = append(found, sqv{path})
	}
	return found
}

type gpgv struct{ path string }

func (w gpgv) CheckDetached(ring keys.Keyring, message, signature []byte) error {
	return runWitness(w.path, []string{"--homedir", ".", "--keyring", "./ring.pgp", "signature", "message"},
		witnessFiles{"ring.pgp": ring.Binary(), "message": message, "signature": signature})
}

func (w gpgv) CheckCleartext(ring keys.Keyring, document []byte) error {
	return runWitness(w.path, []string{"--homedir", ".", "--keyring", "./ring.pgp", "document"},
		witnessFiles{"ring.pgp": ring.Binary(), "document": document})
}

type sqv struct{ path string }

// CheckDetached asks for as many good signatures as the ring has certificates.
func (w sqv) CheckDetached(ring keys.Keyring, message, signature []byte) error {
	return runWitness(w.path, []string{"--signatures", fmt.Sprint(len(ring)), "--keyring", "ring.pgp", "signature", "message"},
		witnessFiles{"ring.pgp": ring.Binary(), "message": message, "signature": signature})
}

// CheckCleartext takes the document apart, as apt does for sqv, which knows
// detached signatures only.
func (w sqv) CheckCleartext(ring keys.Keyring, document []byte) error {
	head, signature, _ := bytes.Cut(document, []byte("\n-----BEGIN PGP SIGNATURE-----\n"))
	_, body, ok := bytes.Cut(head, []byte("\n\n"))
	if !ok {
		return fmt.Errorf("%w: no cleartext signed document", keys.ErrMalformed)
	}
	body = bytes.TrimPrefix(body, []byte("- "))
	message := bytes.ReplaceAll(body, []byte("\n- "), []byte("\n"))
	return w.CheckDetached(ring, message, append([]byte("-----BEGIN PGP SIGNATURE-----\n"), signature...))
}

// CheckPackages has rpm verify finished RPM packages: each must have a
// signature of a certificate of the ring, and all its digests must be right.
// A machine without rpm checks nothing: the error is nil then, and else
// ErrSelfCheck or one of the file system.
func CheckPackages(ring keys.Keyring, names ...string) error {
	program, err := exec.LookPath("rpmkeys")
	if err != nil || len(names) == 0 {
		return nil
	}
	dir, err := witnessFiles{"ring.asc": ring.Armor()}.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db := filepath.Join(dir, "db")
	args := []string{"--dbpath", db, "--define", "_pkgverify_level all", "--checksig", "--verbose"}
	for _, name := range names {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return fmt.Errorf("checking packages: %w", err)
		}
		args = append(args, absolute)
	}
	if err := runIn(dir, program, "--dbpath", db, "--import", "ring.asc"); err != nil {
		return fmt.Errorf("%w: %w", ErrSelfCheck, err)
	}
	if err := runIn(dir, program, args...); err != nil {
		return fmt.Errorf("%w: %w", ErrSelfCheck, err)
	}
	return nil
}

type witnessFiles map[string][]byte

// folder returns a new folder that holds the files.
func (files witnessFiles) folder() (string, error) {
	dir, err := os.MkdirTemp("", "witness-")
	if err != nil {
		return "", fmt.Errorf("preparing a witness: %w", err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			os.RemoveAll(dir)
			return "", fmt.Errorf("preparing a witness: %w", err)
		}
	}
	return dir, nil
}

// runWitness runs a program in a folder of its own that holds the files.
func runWitness(program string, args []string, files witnessFiles) error {
	dir, err := files.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return runIn(dir, program, args...)
}

// runIn runs a program in a folder.
func runIn(dir, program string, args ...string) error {
	ctx, stop := context.WithTimeout(context.Background(), witnessTime)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not accept it: %w: %s", filepath.Base(program), err, bytes.TrimSpace(out))
	}
	return nil
}
