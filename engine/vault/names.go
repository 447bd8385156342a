package vault

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"holm.example/engine/seal"
)

// Names of the objects of a vault; docs/vault-format.md, section 2.
const (
	ConfigName     = "vault.json"
	ConfigCopyName = "vault-copy.json"
	KeysPrefix     = "keys/"
	KeysCopyPrefix = "keys-copy/"
	DevicesPrefix  = "devices/"
	PacksPrefix    = "packs/"
)

// PackID is the name of a pack: whose it is, for which transaction it was
// meant, and a random part that makes it unique for ever.
type PackID struct {
	Device seal.ID
	Seq    uint64
	Random seal.ID
}

// Name is the full object name of the pack.
func (p PackID) Name() string {
	return PacksOfSeq(p.Device, p.Seq) + hex.EncodeToString(p.Random[:])
}

// PacksOf is the prefix of the names of all packs of a device.
func PacksOf(device seal.ID) string { return PacksPrefix + hex.EncodeToString(device[:]) + "/" }

// PacksOfSeq is the prefix of the names of all packs of one transaction.
func PacksOfSeq(device seal.ID, seq uint64) string { return PacksOf(device) + shard(seq) + "-" }

// ParsePackName is the inverse of PackID.Name.
func ParsePackName(name string) (PackID, error) {
	rest, ok := strings.CutPrefix(name, PacksPrefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 || len(parts[1]) != 12 || len(parts[2]) != 4+1+32 || parts[2][4] != '-' {
		return PackID{}, fmt.Errorf("pack name %.80q: %w", name, ErrMalformed)
	}
	device, err1 := ParseID(parts[0])
	random, err2 := ParseID(parts[2][5:])
	seq, err3 := parseShard(parts[1], parts[2][:4])
	if err1 != nil || err2 != nil || err3 != nil {
		return PackID{}, fmt.Errorf("pack name %.80q: %w", name, ErrMalformed)
	}
	return PackID{device, seq, random}, nil
}

// SegmentName is the object name of a slot in a device's journal.
func SegmentName(device seal.ID, seq uint64) string {
	return JournalPrefix(device) + shard(seq)
}

// JournalPrefix is the prefix of the names of a device's segments.
func JournalPrefix(device seal.ID) string {
	return DevicesPrefix + hex.EncodeToString(device[:]) + "/journal/"
}

// ParseSegmentName is the inverse of SegmentName.
func ParseSegmentName(name string) (device seal.ID, seq uint64, err error) {
	parts := strings.Split(name, "/")
	bad := fmt.Errorf("segment name %.80q: %w", name, ErrMalformed)
	if len(parts) != 5 || parts[0] != "devices" || parts[2] != "journal" || len(parts[3]) != 12 || len(parts[4]) != 4 {
		return device, 0, bad
	}
	device, err = ParseID(parts[1])
	if err != nil {
		return device, 0, bad
	}
	if seq, err = parseShard(parts[3], parts[4]); err != nil {
		return device, 0, bad
	}
	return device, seq, nil
}

// CardName is the object name of a device's card.
func CardName(device seal.ID) string {
	return DevicesPrefix + hex.EncodeToString(device[:]) + "/card"
}

// ParseCardName is the inverse of CardName.
func ParseCardName(name string) (device seal.ID, err error) {
	parts := strings.Split(name, "/")
	if len(parts) == 3 && parts[0] == "devices" && parts[2] == "card" {
		if device, err = ParseID(parts[1]); err == nil {
			return device, nil
		}
	}
	return device, fmt.Errorf("card name %.80q: %w", name, ErrMalformed)
}

// DeviceKeyPrefix is the prefix of the names of all keyrings wrapped for a
// device.
func DeviceKeyPrefix(device seal.ID) string {
	return KeysPrefix + hex.EncodeToString(device[:]) + "-"
}

// DeviceKeyName is the object name of the keyring wrapped for a device.
func DeviceKeyName(device seal.ID, epoch uint32) string {
	return DeviceKeyPrefix(device) + strconv.FormatUint(uint64(epoch), 10)
}

// KeyName is the object name of a keyring wrapped for a passphrase.
func KeyName(id seal.ID) string { return KeysPrefix + hex.EncodeToString(id[:]) }

// KeyCopyName is the object name of the second copy of a wrapped key.
func KeyCopyName(key string) string { return KeysCopyPrefix + strings.TrimPrefix(key, KeysPrefix) }

// ParseID reads 32 hexadecimal digits, lower case.
func ParseID(s string) (id seal.ID, err error) {
	if len(s) != 2*len(id) || strings.Trim(s, "0123456789abcdef") != "" {
		return id, fmt.Errorf("id %.40q: %w", s, ErrMalformed)
	}
	_, err = hex.Decode(id[:], []byte(s))
	return id, err
}

func shard(seq uint64) string {
	d := fmt.Sprintf("%016d", seq)
	return d[:12] + "/" + d[12:]
}

func parseShard(high, low string) (uint64, error) {
	if strings.Trim(high+low, "0123456789") != "" {
		return 0, ErrMalformed
	}
	seq, err := strconv.ParseUint(high+low, 10, 64)
	if err != nil || seq == 0 || seq > maxSeq {
		return 0, ErrMalformed
	}
	return seq, nil
}
