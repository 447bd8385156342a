package acceptance

import (
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// A refusal is an attack, and what the client says about it.
type refusal struct {
	name  string
	forge func(t *testing.T, a attacker) map[string][]byte
	says  string // regular expression
	entry string // lines that the repository entry has while it lasts
}

// An attacker has a published tree to forge, and two keys.
type attacker struct {
	tree     string
	pkg      string          // path in the tree of the client's package of holm
	unsigned []byte          // that package without its signature
	archive  *openpgp.Entity // the real archive key, stolen
	stranger *openpgp.Entity // a key of no meaning
}

func forgePackage(t *testing.T, a attacker) map[string][]byte { return flipFile(t, a.tree, a.pkg) }

func forgePackages(t *testing.T, a attacker) map[string][]byte { return flippedPackages(t, a.tree) }

func forgeInRelease(t *testing.T, a attacker) map[string][]byte { return flippedInRelease(t, a.tree) }

func forgeForeignInRelease(t *testing.T, a attacker) map[string][]byte {
	return resignedRelease(t, a.tree, a.stranger, func(release []byte) []byte { return release })
}

func forgeExpiredRelease(t *testing.T, a attacker) map[string][]byte {
	return resignedRelease(t, a.tree, a.archive, endsNow)
}

func forgePrimary(t *testing.T, a attacker) map[string][]byte { return flippedPrimary(t, a.tree) }

func forgeRepomd(t *testing.T, a attacker) map[string][]byte { return flippedRepomd(t, a.tree) }

func forgeForeignRepomd(t *testing.T, a attacker) map[string][]byte {
	return resignedRepomd(t, a.tree, a.stranger)
}

func forgeUnsigned(t *testing.T, a attacker) map[string][]byte {
	return replacedPackage(t, a.tree, a.pkg, a.unsigned, a.archive)
}
