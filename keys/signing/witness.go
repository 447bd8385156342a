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
	// CheckCleartext does the same for a cleartext signed document; witnesses
	// that cannot read one return nil.
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

// CheckCleartext accepts anything: sqv before 1.2 knows detached signatures only.
func (w sqv) CheckCleartext(keys.Keyring, []byte) error { return nil }

type witnessFiles map[string][]byte

// runWitness runs a program in a folder of its own that holds the files.
func runWitness(program string, args []string, files witnessFiles) (err error) {
	dir, err := os.MkdirTemp("", "witness-")
	if err != nil {
		return fmt.Errorf("preparing %s: %w", filepath.Base(program), err)
	}
	defer os.RemoveAll(dir)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("preparing %s: %w", filepath.Base(program), err)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), witnessTime)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not accept the signature: %w: %s", filepath.Base(program), err, bytes.TrimSpace(out))
	}
	return nil
}
