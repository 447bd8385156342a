package vault

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"holm.example/engine/seal"
)

// Format is the number of the vault format that this package reads and writes.
const Format = 1

// Config is vault.json: what never changes in a vault.
type Config struct {
	Nonce    seal.ID
	Signer   [32]byte // Ed25519 public key of the vault
	Chunker  ChunkSizes
	Features Features
}

// ChunkSizes are the parameters of the cutter, in bytes; docs/vault-format.md,
// section 3.
type ChunkSizes struct {
	Minimum, Average, Maximum int
}

// Features are the words that a reader must know; docs/vault-format.md,
// section 3.
type Features struct {
	Read    []string `json:"read"`
	Write   []string `json:"write"`
	Collect []string `json:"collect"`
}

// DefaultChunker are the chunk sizes of a new vault.
func DefaultChunker() ChunkSizes {
	return ChunkSizes{Minimum: 256 << 10, Average: 1 << 20, Maximum: 4 << 20}
}

type configJSON struct {
	Format  int    `json:"format"`
	Nonce   string `json:"nonce"`
	Signer  string `json:"signer"`
	Cipher  string `json:"cipher"`
	Chunker struct {
		Kind    string `json:"kind"`
		Minimum int    `json:"minimum"`
		Average int    `json:"average"`
		Maximum int    `json:"maximum"`
	} `json:"chunker"`
	Features Features `json:"features"`
}

const (
	cipherName  = "aes-256-gcm"
	chunkerName = "fastcdc"
)

// FormatConfig gives the bytes of vault.json.
func FormatConfig(c Config) []byte {
	var j configJSON
	j.Format, j.Cipher, j.Chunker.Kind = Format, cipherName, chunkerName
	j.Nonce, j.Signer = hex.EncodeToString(c.Nonce[:]), hex.EncodeToString(c.Signer[:])
	j.Chunker.Minimum, j.Chunker.Average, j.Chunker.Maximum = c.Chunker.Minimum, c.Chunker.Average, c.Chunker.Maximum
	some := func(s []string) []string { return append([]string{}, s...) }
	j.Features = Features{some(c.Features.Read), some(c.Features.Write), some(c.Features.Collect)}
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		panic("vault: " + err.Error()) // strings and numbers always marshal
	}
	return append(b, '\n')
}

// ParseConfig reads vault.json. It returns ErrNewer for another format, and
// ErrMalformed for anything that FormatConfig would not write. It does not
// look at the features: see Config.CheckRead and CheckWrite.
func ParseConfig(b []byte) (Config, error) {
	var c Config
	if len(b) > MaxConfig {
		return c, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	var version struct {
		Format int64 `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return c, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if version.Format > Format {
		return c, fmt.Errorf("vault format %d: %w", version.Format, ErrNewer)
	}
	var j configJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return c, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return c, ErrMalformed
	}
	nonce, err1 := ParseID(j.Nonce)
	signer, err2 := hex.DecodeString(j.Signer)
	if err1 != nil || err2 != nil || len(signer) != len(c.Signer) {
		return c, ErrMalformed
	}
	c.Nonce, c.Signer = nonce, [32]byte(signer)
	c.Chunker = ChunkSizes{Minimum: j.Chunker.Minimum, Average: j.Chunker.Average, Maximum: j.Chunker.Maximum}
	c.Features = j.Features
	if err := c.check(); err != nil {
		return c, err
	}
	if !bytes.Equal(FormatConfig(c), b) {
		return c, fmt.Errorf("not in the one form: %w", ErrMalformed)
	}
	return c, nil
}

func (c Config) check() error {
	s := c.Chunker
	if s.Minimum < 64 || s.Average < s.Minimum || s.Maximum < s.Average || s.Maximum > MaxChunk ||
		s.Average < 256 || s.Average > 8<<20 || s.Average&(s.Average-1) != 0 {
		return fmt.Errorf("chunk sizes %d, %d, %d: %w", s.Minimum, s.Average, s.Maximum, ErrMalformed)
	}
	for _, words := range [][]string{c.Features.Read, c.Features.Write, c.Features.Collect} {
		for i, w := range words {
			if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || i > 0 && w <= words[i-1] {
				return fmt.Errorf("features %.200q: %w", words, ErrMalformed)
			}
		}
	}
	return nil
}

// ID is the vault id of that vault.json.
func (c Config) ID() seal.Hash { return seal.Sum(FormatConfig(c)) }

// CheckRead returns ErrNewer, naming the features, if this version of holm
// must not read the vault.
func (c Config) CheckRead() error {
	return unknown("read", slices.DeleteFunc(slices.Clone(c.Features.Read), func(w string) bool { return w == featureParity }))
}

// CheckWrite returns ErrNewer, naming the features, if this version of holm
// must not commit to the vault.
func (c Config) CheckWrite() error { return unknown("write to", c.Features.Write) }

// featureParity says that a parity tail follows the objects; docs/vault-format.md, section 10.
const featureParity = "parity"

// Parity reports whether the vault's objects have parity tails.
func (c Config) Parity() bool { return slices.Contains(c.Features.Read, featureParity) }

// WithParity is the configuration of a vault whose objects have parity tails.
func (c Config) WithParity() Config {
	c.Features.Read = []string{featureParity}
	return c
}

// unknown refuses words that this version does not know.
func unknown(verb string, words []string) error {
	if len(words) == 0 {
		return nil
	}
	return fmt.Errorf("to %s this vault means to know %.200q: %w", verb, strings.Join(words, ", "), ErrNewer)
}
