package acceptance

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// read returns a file of a published tree.
func read(t *testing.T, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// findOne returns the path in the tree of the one file that matches.
func findOne(t *testing.T, tree, pattern string) string {
	t.Helper()
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	var found []string
	err := filepath.WalkDir(tree, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(tree, name)
		if err == nil && d.Type().IsRegular() && re.MatchString(rel) {
			found = append(found, rel)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s holds %d files that match %s (%v), want 1", tree, len(found), pattern, err)
	}
	return found[0]
}

// flipped returns the bytes with one bit turned at a place.
func flipped(data []byte, at int) []byte {
	forged := bytes.Clone(data)
	forged[at] ^= 1
	return forged
}

// flipFile forges one file of a tree in its middle.
func flipFile(t *testing.T, tree, name string) map[string][]byte {
	t.Helper()
	data := read(t, tree, name)
	return map[string][]byte{name: flipped(data, len(data)/2)}
}

// gunzip unpacks an index.
func gunzip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// gzipped packs an index.
func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// strangerKey makes a key that no client has ever seen.
func strangerKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	key, err := openpgp.NewEntity("Stranger", "", "stranger@holm.test", &packet.Config{RSABits: 3072, Algorithm: packet.PubKeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// activeArchiveKey reads the secret archive key that signs now from the key
// folder of the site: what a forger has who stole it.
func activeArchiveKey(t *testing.T, keyDir string) *openpgp.Entity {
	t.Helper()
	var list struct {
		Keys []struct{ Role, State, File string }
	}
	if err := json.Unmarshal(read(t, keyDir, "keys.json"), &list); err != nil {
		t.Fatal(err)
	}
	for _, k := range list.Keys {
		if k.Role == "archive" && k.State == "active" {
			ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(read(t, keyDir, k.File)))
			if err != nil {
				t.Fatal(err)
			}
			return ring[0]
		}
	}
	t.Fatal("the key folder has no active archive key")
	return nil
}

// clearSigned signs a Release file as InRelease.
func clearSigned(t *testing.T, release []byte, key *openpgp.Entity) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := clearsign.Encode(&out, key.PrivateKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(release); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// detachSigned signs a repomd.xml as repomd.xml.asc.
func detachSigned(t *testing.T, message []byte, key *openpgp.Entity) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&out, key, bytes.NewReader(message), nil); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// signerOf tells which key made a clear text signature.
func signerOf(t *testing.T, inRelease []byte) string {
	t.Helper()
	block, rest := clearsign.Decode(inRelease)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatal("InRelease is not one signed text")
	}
	p, err := packet.NewReader(block.ArmoredSignature.Body).Next()
	if err != nil {
		t.Fatal(err)
	}
	sig, ok := p.(*packet.Signature)
	if !ok || sig.IssuerFingerprint == nil {
		t.Fatalf("InRelease is signed by a %T without issuer", p)
	}
	return strings.ToUpper(hex.EncodeToString(sig.IssuerFingerprint))
}

const inReleasePath = "apt/stable/dists/stable/InRelease"

// flippedPackages forges the index of the packages under all its names.
func flippedPackages(t *testing.T, tree string) map[string][]byte {
	t.Helper()
	const dir = "apt/stable/dists/stable/main/binary-amd64/"
	data := read(t, tree, dir+"Packages.gz")
	forged := flipped(data, len(data)/2)
	return map[string][]byte{dir + "Packages.gz": forged, dir + "by-hash/SHA256/" + sha256Hex(data): forged}
}

// flippedInRelease forges one digit of a digest in the signed text.
func flippedInRelease(t *testing.T, tree string) map[string][]byte {
	t.Helper()
	data := read(t, tree, inReleasePath)
	at := bytes.Index(data, []byte("\nSHA256:\n")) + len("\nSHA256:\n ")
	return map[string][]byte{inReleasePath: flipped(data, at)}
}

// resignedRelease signs what edit makes of the Release file.
func resignedRelease(t *testing.T, tree string, key *openpgp.Entity, edit func([]byte) []byte) map[string][]byte {
	t.Helper()
	release := read(t, tree, "apt/stable/dists/stable/Release")
	return map[string][]byte{inReleasePath: clearSigned(t, edit(release), key)}
}

// endsNow sets the end of a Release file's life to its beginning.
func endsNow(release []byte) []byte {
	date := regexp.MustCompile(`(?m)^Date: (.*)$`).FindSubmatch(release)
	return regexp.MustCompile(`(?m)^Valid-Until: .*$`).ReplaceAll(release, append([]byte("Valid-Until: "), date[1]...))
}

// revision is the directory, in the tree, that the mirrorlist names.
func revision(t *testing.T, tree string) string {
	t.Helper()
	const dir = "yum/stable/x86_64/"
	_, after, ok := strings.Cut(strings.TrimSpace(string(read(t, tree, dir+"mirrorlist"))), "/"+dir)
	if !ok {
		t.Fatalf("the mirrorlist of %s does not name a directory below %s", tree, dir)
	}
	return dir + strings.Trim(after, "/") + "/"
}

// flippedPrimary forges primary.xml.
func flippedPrimary(t *testing.T, tree string) map[string][]byte {
	t.Helper()
	return flipFile(t, tree, findOne(t, tree, revision(t, tree)+`repodata/[0-9a-f]{64}-primary\.xml\.gz`))
}

// flippedRepomd forges one digit of the revision in repomd.xml.
func flippedRepomd(t *testing.T, tree string) map[string][]byte {
	t.Helper()
	name := revision(t, tree) + "repodata/repomd.xml"
	data := read(t, tree, name)
	return map[string][]byte{name: flipped(data, bytes.Index(data, []byte("<revision>"))+len("<revision>"))}
}

// resignedRepomd signs repomd.xml with another key.
func resignedRepomd(t *testing.T, tree string, key *openpgp.Entity) map[string][]byte {
	t.Helper()
	name := revision(t, tree) + "repodata/repomd.xml"
	return map[string][]byte{name + ".asc": detachSigned(t, read(t, tree, name), key)}
}

// replacedPackage puts another file in the place of a package, with metadata
// that say so and are signed by the real key: what only somebody can do who
// stole that key, and what the package's own signature is for.
func replacedPackage(t *testing.T, tree, name string, file []byte, key *openpgp.Entity) map[string][]byte {
	t.Helper()
	repodata := revision(t, tree) + "repodata/"
	primaryName := findOne(t, tree, regexp.QuoteMeta(repodata)+`[0-9a-f]{64}-primary\.xml\.gz`)
	old, packed := read(t, tree, name), read(t, tree, primaryName)
	plain := gunzip(t, packed)
	edited := editWithin(t, plain, "<package ", sha256Hex(old), "</package>", func(entry []byte) []byte {
		entry = replaceOnce(t, entry, sha256Hex(old), sha256Hex(file))
		return replaceOnce(t, entry, fmt.Sprintf(`package="%d"`, len(old)), fmt.Sprintf(`package="%d"`, len(file)))
	})
	repacked := gzipped(t, edited)

	repomd := read(t, tree, repodata+"repomd.xml")
	repomd = editWithin(t, repomd, "<data ", sha256Hex(plain), "</data>", func(entry []byte) []byte {
		entry = replaceAll(t, entry, sha256Hex(packed), sha256Hex(repacked))
		entry = replaceOnce(t, entry, sha256Hex(plain), sha256Hex(edited))
		entry = replaceOnce(t, entry, fmt.Sprintf("<size>%d</size>", len(packed)), fmt.Sprintf("<size>%d</size>", len(repacked)))
		return replaceOnce(t, entry, fmt.Sprintf("<open-size>%d</open-size>", len(plain)), fmt.Sprintf("<open-size>%d</open-size>", len(edited)))
	})
	return map[string][]byte{
		name: file,
		repodata + sha256Hex(repacked) + "-primary.xml.gz": repacked,
		repodata + "repomd.xml":                            repomd,
		repodata + "repomd.xml.asc":                        detachSigned(t, repomd, key),
	}
}

// editWithin edits the one element of an index that holds a mark.
func editWithin(t *testing.T, index []byte, start, mark, end string, edit func([]byte) []byte) []byte {
	t.Helper()
	at := bytes.Index(index, []byte(mark))
	if at < 0 {
		t.Fatalf("%q does not stand in the metadata", mark)
	}
	from := bytes.LastIndex(index[:at], []byte(start))
	to := bytes.Index(index[at:], []byte(end))
	if from < 0 || to < 0 {
		t.Fatalf("%q does not stand within %s", mark, start)
	}
	return slices.Concat(index[:from], edit(index[from:at+to]), index[at+to:])
}

// replaceOnce replaces a text that must stand exactly once.
func replaceOnce(t *testing.T, data []byte, old, new string) []byte {
	t.Helper()
	if n := bytes.Count(data, []byte(old)); n != 1 {
		t.Fatalf("%q stands %d times in the metadata, want once", old, n)
	}
	return bytes.Replace(data, []byte(old), []byte(new), 1)
}

// replaceAll replaces a text that must stand there.
func replaceAll(t *testing.T, data []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%q does not stand in the metadata", old)
	}
	return bytes.ReplaceAll(data, []byte(old), []byte(new))
}
