package keys

import (
	"bytes"
	"fmt"
)

const (
	// MaxKeyringSize bounds a file of certificates, in bytes.
	MaxKeyringSize = 1 << 20

	maxCertificates = 64
)

// A Keyring is a set of certificates in a fixed order, no two of which have
// the same fingerprint.
type Keyring []*Certificate

// ParseKeyring reads certificates: binary packets as in a .pgp file, or one or
// more armor blocks of one or more certificates. There is at least one. The
// errors are ErrMalformed, ErrTooLarge and ErrWeak.
func ParseKeyring(data []byte) (Keyring, error) {
	if len(data) > MaxKeyringSize {
		return nil, fmt.Errorf("%w: keyring of %d bytes", ErrTooLarge, len(data))
	}
	var ring Keyring
	for isArmored(data) {
		block, rest, err := cutArmor(ArmorPublicKey, data)
		if err != nil {
			return nil, err
		}
		if ring, err = ring.appendPackets(block); err != nil {
			return nil, err
		}
		if data = bytes.TrimLeft(rest, " \t\r\n"); len(data) == 0 {
			return ring, nil
		}
	}
	if len(ring) > 0 {
		return nil, fmt.Errorf("%w: binary data after armor", ErrMalformed)
	}
	return ring.appendPackets(data)
}

// appendPackets adds the certificates of a run of binary packets.
func (r Keyring) appendPackets(data []byte) (Keyring, error) {
	packets, err := splitPackets(data, maxCertificates*maxCertificatePackets)
	if err != nil {
		return nil, err
	}
	if len(packets) == 0 {
		return nil, fmt.Errorf("%w: no certificate", ErrMalformed)
	}
	for len(packets) > 0 {
		n := 1
		for n < len(packets) && packets[n].tag != tagPublicKey {
			n++
		}
		if n > maxCertificatePackets || len(r) == maxCertificates {
			return nil, fmt.Errorf("%w: more than %d certificates or %d packets in one", ErrTooLarge, maxCertificates, maxCertificatePackets)
		}
		c, err := newCertificate(packets[:n])
		if err != nil {
			return nil, err
		}
		if r.Find(c.fingerprint) != nil {
			return nil, fmt.Errorf("%w: certificate %s stands twice", ErrMalformed, c.fingerprint)
		}
		r = append(r, c)
		packets = packets[n:]
	}
	return r, nil
}

// Find returns the certificate with that fingerprint, or nil.
func (r Keyring) Find(f Fingerprint) *Certificate {
	for _, c := range r {
		if c.fingerprint == f {
			return c
		}
	}
	return nil
}

// Fingerprints returns the names of all certificates, in the order of the
// keyring.
func (r Keyring) Fingerprints() []Fingerprint {
	var all []Fingerprint
	for _, c := range r {
		all = append(all, c.fingerprint)
	}
	return all
}

// Binary returns the certificates as one run of packets: what apt's Signed-By,
// gpgv and sqv read from a .pgp file.
func (r Keyring) Binary() []byte {
	var out []byte
	for _, c := range r {
		out = append(out, c.raw...)
	}
	return out
}

// Armor returns one armor block per certificate, one after the other. That is
// the form that rpm --import and dnf's gpgkey= take every certificate from.
func (r Keyring) Armor() []byte {
	var out []byte
	for _, c := range r {
		out = append(out, c.Armor()...)
	}
	return out
}
