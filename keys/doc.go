// Package keys holds the public side of OpenPGP: certificates, keyrings and
// the verification of signatures. It contains no secret-key code.
//
// It promises a policy stricter than that of any OpenPGP library, and the same
// for every caller:
//
//   - A certificate is a v4 primary key, RSA of at least 3072 bits or Ed25519
//     as EdDSA (algorithm 22 of RFC 4880bis, "Ed25519Legacy" in RFC 9580),
//     with one or more user IDs whose newest self-signatures are of SHA-2 and
//     give it the right to sign. Subkeys, foreign certifications and unknown
//     packets are refused: rpm before 6 never learns of a later subkey, so
//     none of ours has one. A revocation for any reason, soft ones included,
//     ends a certificate for ever.
//   - A signature counts when it is a v4 signature of SHA-256, SHA-384 or
//     SHA-512, binary (type 0x00; in the cleartext framework text, 0x01), made
//     by the primary key of a certificate that the caller named by its full
//     fingerprint, not before that key existed, not in the future, and the
//     certificate is valid now. Several signatures of one certificate are one.
//   - One bad signature of a named certificate spoils the whole: such a file
//     is damaged or forged, whatever else it carries. Signatures of unknown
//     keys and of other versions are passed over.
//   - Verification returns the verified thing, never a bool. Nothing is
//     returned with an error.
//
// Every size is bounded by a named limit before anything is parsed. Formats
// are those of RFC 9580 (RFC 4880 for what old clients need): armor is always
// written with its CRC and a final newline, since GnuPG 2.2 refuses some
// lengths without it.
package keys
