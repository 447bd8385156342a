package engine

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"holm.example/engine/seal"
	"holm.example/engine/vault"
	"holm.example/internal/durable"
)

const (
	stateMagic = "holmstat\x01"
	maxState   = 64 << 10
	// maxIntents is how many intents of one seq are remembered. More than one
	// means that as many runs ended between intent and commit.
	maxIntents = 16
)

// state is what a device must remember outside of the vault. It is stored as
// two files, each: magic, generation (8 bytes), length (4), JSON, hash (32).
// The newer of those that are intact counts.
type state struct {
	Vault       string   `json:"vault"` // storage.Location of the vault
	VaultID     string   `json:"vault_id"`
	DeviceID    string   `json:"device_id"`
	DeviceName  string   `json:"device_name"`
	SigningSeed string   `json:"signing_seed"`
	DeviceSeed  string   `json:"device_seed"`
	HeadSeq     uint64   `json:"head_seq"`
	HeadHash    string   `json:"head_hash"`
	Intents     []string `json:"intents"` // hashes of segments meant for head_seq + 1
	// Adopting is what a new device of a cloned or lost one takes over with
	// its first segment.
	Adopting *adopting `json:"adopting,omitempty"`
}

type adopting struct {
	DeviceID string `json:"device_id"`
	Seq      uint64 `json:"seq"`
	Hash     string `json:"hash"`
}

// stateFile keeps a state durable. After a write error it refuses further
// work.
type stateFile struct {
	dir        string
	generation uint64
	state      state
	err        error
}

func statePaths(dir string) [2]string {
	return [2]string{filepath.Join(dir, "state.1"), filepath.Join(dir, "state.2")}
}

// loadState reads the state of a data directory: ErrNotJoined if there is
// none, ErrState if no copy is intact. One that cannot be read does not keep
// from using the other.
func loadState(dir string) (*stateFile, error) {
	f := &stateFile{dir: dir}
	missing := 0
	var unreadable error
	for _, path := range statePaths(dir) {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			unreadable = errors.Join(unreadable, err)
			continue
		}
		s, generation, err := parseState(b)
		if err == nil && generation > f.generation {
			f.state, f.generation = s, generation
		}
	}
	if missing == 2 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotJoined)
	}
	if f.generation == 0 && unreadable != nil {
		return nil, fmt.Errorf("reading the state: %w", unreadable)
	}
	if f.generation == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrState)
	}
	return f, nil
}

func formatState(s *state, generation uint64) []byte {
	body, err := json.Marshal(s)
	if err != nil {
		panic("engine: " + err.Error()) // strings and numbers always marshal
	}
	b := binary.LittleEndian.AppendUint64([]byte(stateMagic), generation)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, body...)
	sum := seal.Sum(b)
	return append(b, sum[:]...)
}

func parseState(b []byte) (s state, generation uint64, err error) {
	const fixed = len(stateMagic) + 8 + 4
	if len(b) < fixed+seal.KeySize || len(b) > maxState || string(b[:len(stateMagic)]) != stateMagic {
		return s, 0, ErrState
	}
	body, sum := b[:len(b)-seal.KeySize], b[len(b)-seal.KeySize:]
	if seal.Sum(body) != seal.Hash(sum) {
		return s, 0, ErrState
	}
	generation = binary.LittleEndian.Uint64(body[len(stateMagic):])
	if uint64(binary.LittleEndian.Uint32(body[fixed-4:])) != uint64(len(body)-fixed) || generation == 0 {
		return s, 0, ErrState
	}
	if err := json.Unmarshal(body[fixed:], &s); err != nil {
		return s, 0, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, generation, nil
}

// save makes the state durable: both copies, one after the other, so that one
// is always whole.
func (f *stateFile) save() error {
	if f.err != nil {
		return f.err
	}
	f.generation++
	b := formatState(&f.state, f.generation)
	for _, path := range statePaths(f.dir) {
		if err := durable.WriteFile(path, b, 0o600); err != nil {
			f.err = fmt.Errorf("writing the state: %w", err)
			return f.err
		}
	}
	return nil
}

// hexTo fills dst from hexadecimal digits of exactly that length.
func hexTo(dst []byte, s string) error {
	if len(s) != 2*len(dst) {
		return ErrState
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// Head implements backup.Journal.
func (f *stateFile) Head() vault.Head {
	h := vault.Head{Seq: f.state.HeadSeq}
	// What was parsed once at Open is well formed.
	_ = hexTo(h.Device[:], f.state.DeviceID)
	_ = hexTo(h.Hash[:], f.state.HeadHash)
	return h
}

// Intend implements backup.Journal.
func (f *stateFile) Intend(h vault.Head) error {
	f.state.Intents = append(f.state.Intents, hex.EncodeToString(h.Hash[:]))
	if n := len(f.state.Intents); n > maxIntents {
		f.state.Intents = f.state.Intents[n-maxIntents:]
	}
	return f.save()
}

// Commit implements backup.Journal.
func (f *stateFile) Commit(h vault.Head) error {
	f.state.HeadSeq, f.state.HeadHash = h.Seq, hex.EncodeToString(h.Hash[:])
	f.state.Intents, f.state.Adopting = nil, nil
	return f.save()
}

// intended reports whether a segment of the next seq is one of ours.
func (f *stateFile) intended(hash seal.Hash) bool {
	return slices.Contains(f.state.Intents, hex.EncodeToString(hash[:]))
}
