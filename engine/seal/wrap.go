package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
)

// MaxKeyObject is the largest wrapped key, in bytes.
const MaxKeyObject = 64 << 10

// Bounds of the Argon2id parameters. A wrapped key outside them is refused
// before any work, so that a hostile store can neither weaken the derivation
// nor exhaust the memory of who joins.
const (
	MinMemoryKiB = 64 << 10
	MaxMemoryKiB = 1 << 20
	MaxPasses    = 16
	MaxLanes     = 16
)

// Derivation are the costs of Argon2id (RFC 9106).
type Derivation struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint32
}

// DefaultDerivation costs about a second: 256 MiB, 3 passes, 4 lanes.
func DefaultDerivation() Derivation {
	return Derivation{MemoryKiB: 256 << 10, Passes: 3, Lanes: 4}
}

func (d Derivation) check() error {
	if d.MemoryKiB < MinMemoryKiB || d.MemoryKiB > MaxMemoryKiB || d.Passes < 1 || d.Passes > MaxPasses ||
		d.Lanes < 1 || d.Lanes > MaxLanes {
		return fmt.Errorf("%d KiB, %d passes, %d lanes: %w", d.MemoryKiB, d.Passes, d.Lanes, ErrDerivation)
	}
	return nil
}

// Wrapping says for whom a keyring is wrapped.
type Wrapping byte

// The wrappings of format 1.
const (
	WrapPassphrase Wrapping = 1
	WrapOpenPGP    Wrapping = 2
	WrapDevice     Wrapping = 3
)

const (
	wrapHeadSize = 8 + 1 + KeySize // magic, kind, version, flags, wrapping, vault id
	saltSize     = 32
	deviceSuite  = "\x20\x00\x01\x00\x02\x00" // DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
	passSize     = 12 + saltSize + KeySize
	deviceSize   = 16 + len(deviceSuite)
)

func wrapHead(w Wrapping, vault Hash) []byte {
	b := append([]byte("holm"), byte(KindKey), 1, 0, 0, byte(w))
	return append(b, vault[:]...)
}

// finish appends the payload with its length and the checksum.
func finish(b, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, payload...)
	sum := Sum(b)
	return append(b, sum[:]...)
}

// passphraseKey derives the wrapping key of a passphrase, and its commitment.
func passphraseKey(passphrase, salt []byte, d Derivation, vault Hash) (kek, commitment Key) {
	raw := argon2.IDKey(passphrase, salt, d.Passes, d.MemoryKiB, uint8(d.Lanes), KeySize)
	commitment = derive(contextCommitment, raw, salt, vault[:])
	return derive(contextWrapping, raw), commitment
}

func wrapAAD(vault Hash, name string, before []byte) []byte {
	aad := append([]byte(nil), vault[:]...)
	aad = binary.LittleEndian.AppendUint16(aad, uint16(len(name)))
	aad = append(aad, name...)
	return append(aad, before...)
}

// WrapForPassphrase gives the object keys/<id> that a passphrase opens. It
// takes the memory and time that d says.
func WrapForPassphrase(random io.Reader, passphrase []byte, d Derivation, r *Keyring, vault Hash, name string) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	var salt [saltSize]byte
	var nonce [nonceSize]byte
	for _, p := range [][]byte{salt[:], nonce[:]} {
		if _, err := io.ReadFull(random, p); err != nil {
			return nil, fmt.Errorf("making a salt: %w", err)
		}
	}
	kek, commitment := passphraseKey(passphrase, salt[:], d, vault)
	b := wrapHead(WrapPassphrase, vault)
	b = binary.LittleEndian.AppendUint32(b, d.MemoryKiB)
	b = binary.LittleEndian.AppendUint32(b, d.Passes)
	b = binary.LittleEndian.AppendUint32(b, d.Lanes)
	b = append(b, salt[:]...)
	b = append(b, commitment[:]...)
	sealed := gcm(kek).Seal(nonce[:], nonce[:], FormatKeyring(r), wrapAAD(vault, name, b))
	return finish(b, sealed), nil
}

// wrapped is a parsed key object: intact, not yet opened.
type wrapped struct {
	wrapping Wrapping
	before   []byte // everything before the length of the payload
	payload  []byte
}

// intact returns what stands before the checksum of a key object.
func intact(b []byte) ([]byte, error) {
	if len(b) < wrapHeadSize+KeySize || len(b) > MaxKeyObject {
		return nil, ErrMalformed
	}
	body, sum := b[:len(b)-KeySize], b[len(b)-KeySize:]
	if Sum(body) != Hash(sum) {
		return nil, fmt.Errorf("checksum: %w", ErrMalformed)
	}
	if !bytes.Equal(body[:8], wrapHead(0, Hash{})[:8]) {
		return nil, ErrMalformed
	}
	return body, nil
}

// WrappedVault returns the id of the vault that an intact key object belongs
// to, whichever that is. It needs no secret.
func WrappedVault(object []byte) (Hash, error) {
	body, err := intact(object)
	if err != nil {
		return Hash{}, err
	}
	return Hash(body[9:wrapHeadSize]), nil
}

// parseWrapped checks the form of a key object of this vault.
func parseWrapped(b []byte, vault Hash) (wrapped, error) {
	body, err := intact(b)
	if err != nil {
		return wrapped{}, err
	}
	if !bytes.Equal(body[9:wrapHeadSize], vault[:]) {
		return wrapped{}, ErrOtherVault
	}
	w := Wrapping(body[8])
	fields := map[Wrapping]int{WrapPassphrase: passSize, WrapOpenPGP: 32, WrapDevice: deviceSize}
	size, ok := fields[w]
	if !ok || len(body) < wrapHeadSize+size+4 {
		return wrapped{}, fmt.Errorf("wrapping %d: %w", w, ErrMalformed)
	}
	before, rest := body[:wrapHeadSize+size], body[wrapHeadSize+size:]
	if n := binary.LittleEndian.Uint32(rest); uint64(n) != uint64(len(rest)-4) {
		return wrapped{}, ErrMalformed
	}
	return wrapped{w, before, rest[4:]}, nil
}

// CheckWrapped returns for whom an intact key object of this vault is
// wrapped. It needs no secret.
func CheckWrapped(object []byte, vault Hash) (Wrapping, error) {
	w, err := parseWrapped(object, vault)
	return w.wrapping, err
}

// WrappedFor returns the device that an intact key object of this vault says
// to be wrapped for, or the zero ID if it is not wrapped for a device.
func WrappedFor(object []byte, vault Hash) (device ID, err error) {
	w, err := parseWrapped(object, vault)
	if err == nil && w.wrapping == WrapDevice {
		copy(device[:], w.before[wrapHeadSize:])
	}
	return device, err
}

// OpenWithPassphrase opens an object that WrapForPassphrase made. It returns
// ErrPassphrase if the object is intact and the passphrase is not its own.
func OpenWithPassphrase(object, passphrase []byte, vault Hash, name string) (*Keyring, error) {
	w, err := parseWrapped(object, vault)
	if err != nil {
		return nil, err
	}
	if w.wrapping != WrapPassphrase {
		return nil, fmt.Errorf("not wrapped for a passphrase: %w", ErrPassphrase)
	}
	f := w.before[wrapHeadSize:]
	d := Derivation{binary.LittleEndian.Uint32(f), binary.LittleEndian.Uint32(f[4:]), binary.LittleEndian.Uint32(f[8:])}
	if err := d.check(); err != nil {
		return nil, err
	}
	kek, commitment := passphraseKey(passphrase, f[12:12+saltSize], d, vault)
	if subtle.ConstantTimeCompare(commitment[:], f[12+saltSize:]) != 1 {
		return nil, ErrPassphrase
	}
	if len(w.payload) < Overhead {
		return nil, ErrMalformed
	}
	plain, err := gcm(kek).Open(nil, w.payload[:nonceSize], w.payload[nonceSize:], wrapAAD(vault, name, w.before))
	if err != nil {
		return nil, ErrSealed
	}
	return ParseKeyring(plain)
}

// DeviceKey is the key pair for which others wrap keyrings (HPKE, RFC 9180).
type DeviceKey struct{ private hpke.PrivateKey }

func kem() hpke.KEM { return hpke.DHKEM(ecdh.X25519()) }

// NewDeviceKey makes the key pair of a seed of 32 random bytes.
func NewDeviceKey(seed Key) (DeviceKey, error) {
	k, err := kem().DeriveKeyPair(seed[:])
	if err != nil {
		return DeviceKey{}, fmt.Errorf("making a device key: %w", err)
	}
	return DeviceKey{k}, nil
}

// Public is the public key as it stands in a card, 32 bytes.
func (k DeviceKey) Public() []byte { return k.private.PublicKey().Bytes() }

func deviceInfo(vault Hash, name string) []byte {
	b := append([]byte(contextDeviceKey), 0)
	b = append(b, vault[:]...)
	return append(b, name...)
}

// WrapForDevice gives the object keys/<device>-<epoch> that the device with
// that public key opens.
func WrapForDevice(device ID, public []byte, r *Keyring, vault Hash, name string) ([]byte, error) {
	pk, err := kem().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("reading a device key: %w", err)
	}
	msg, err := hpke.Seal(pk, hpke.HKDFSHA256(), hpke.AES256GCM(), deviceInfo(vault, name), FormatKeyring(r))
	if err != nil {
		return nil, fmt.Errorf("wrapping for a device: %w", err)
	}
	b := append(wrapHead(WrapDevice, vault), device[:]...)
	return finish(append(b, deviceSuite...), msg), nil
}

// OpenWithDevice opens an object that WrapForDevice made for this device.
func OpenWithDevice(object []byte, device ID, key DeviceKey, vault Hash, name string) (*Keyring, error) {
	w, err := parseWrapped(object, vault)
	if err != nil {
		return nil, err
	}
	f := w.before[wrapHeadSize:]
	if w.wrapping != WrapDevice || !bytes.Equal(f[:16], device[:]) || string(f[16:]) != deviceSuite {
		return nil, fmt.Errorf("not wrapped for this device: %w", ErrMalformed)
	}
	plain, err := hpke.Open(key.private, hpke.HKDFSHA256(), hpke.AES256GCM(), deviceInfo(vault, name), w.payload)
	if err != nil {
		return nil, ErrSealed
	}
	return ParseKeyring(plain)
}
