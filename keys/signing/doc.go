// Package signing makes and uses OpenPGP secret keys: the half of package
// keys that only the publisher links.
//
// It promises that the same key, the same message and the same time give the
// same bytes, whatever holds the key: certificates and signatures are written
// here, from nothing but the public key and the crypto.Signer interface, so an
// *rsa.PrivateKey, a key file and a token behind a process encode alike. There
// is no random notation in a signature.
//
// Keys are v4, RSA-4096 or Ed25519 as EdDSA, without subkeys, self-signed with
// SHA-512: the common denominator of gpg, sq, apt and every rpm from 4.14 on.
// No subpacket is critical, since old rpm versions refuse those.
//
// Every signature is verified right after it is made, by another OpenPGP
// implementation (package keys, on ProtonMail's library) and by the witnesses
// that the machine has (gpgv, sqv). One that does not verify is never returned.
// rpm reads whole packages only: CheckPackages has it verify finished ones.
//
// Secret key files are OpenPGP transferable secret keys that gpg and sq read
// as well; a passphrase protects them with iterated S2K and AES-256. Store is
// the folder that holds the keys of a site: it never replaces a secret key, and
// one process at a time changes it.
package signing
