package acceptance

import (
	"slices"
	"strings"

	"holm.example/acceptance/root"
)

// A client is a package manager of one system and the words it is used with.
type client struct {
	name    string // as in the names of the tests
	format  string // "deb" or "rpm"
	keyring string // the package with keys and repository entry
	entry   string // path of the repository entry
	keyFile string // path of the keys
	served  string // the same keys on the site

	prepare  string   // shell script in the clean root, before anything else
	trust    string   // shell script after the keys were copied to /tmp/keys; empty: the client asks for none
	addFile  []string // installs the package file that follows
	refresh  []string // fetches the metadata anew
	install  []string // installs the packages that follow
	upgrade  []string // upgrades everything
	remove   []string // removes the packages that follow
	purge    []string // and what remove leaves; empty: remove leaves nothing
	query    []string // prints the installed version of the package that follows
	owner    []string // prints which package owns the file that follows
	log      string   // where the client also says what it refuses
	refusals []refusal
}

// A system is a root and the clients in it.
type system struct {
	spec    root.Spec
	clients []client
}

// Date checks are forced on, since images of systems like to switch them off.
func apt(words ...string) []string {
	return append([]string{"apt-get", "-y", "-o", "Acquire::Check-Date=true", "-o", "Acquire::Check-Valid-Until=true"}, words...)
}

// aptClient is apt; the message about a signature is that of its verifier.
func aptClient(badSignature, unknownKey string) client {
	return client{
		name: "apt", format: "deb", keyring: "holm-archive-keyring",
		entry:   "/etc/apt/sources.list.d/holm.sources",
		keyFile: "/etc/apt/keyrings/holm-archive-keyring.pgp",
		served:  "keys/holm-archive-keyring.pgp",
		addFile: apt("install"), refresh: apt("update"), install: apt("install"), upgrade: apt("dist-upgrade"),
		remove: apt("remove"), purge: apt("purge"),
		query: []string{"dpkg-query", "--showformat=${db:Status-Status} ${Version}", "--show"},
		owner: []string{"dpkg", "-S"},
		refusals: []refusal{
			{name: "a flipped byte in Packages", forge: forgePackages, says: `Hash Sum mismatch`},
			{name: "a flipped byte in InRelease", forge: forgeInRelease, says: badSignature},
			{name: "an InRelease signed by another key", forge: forgeForeignInRelease, says: unknownKey},
			{name: "a Release past its Valid-Until", forge: forgeExpiredRelease, says: `Release file for .* is (expired|not valid)`},
			{name: "a flipped byte in the package", forge: forgePackage, says: `Hash Sum mismatch`},
		},
	}
}

// rpmClient holds what dnf and zypper have in common.
func rpmClient(name string) client {
	return client{
		name: name, format: "rpm", keyring: "holm-archive-keyring",
		entry:   "/etc/yum.repos.d/holm.repo",
		keyFile: "/etc/pki/rpm-gpg/RPM-GPG-KEY-holm",
		served:  "keys/RPM-GPG-KEY-holm",
		prepare: `mkdir -p /etc/yum.repos.d; cat >/etc/yum.repos.d/distribution.repo`,
		query:   []string{"rpm", "-q", "--queryformat", "installed %{VERSION}"},
		owner:   []string{"rpm", "-qf"},
	}
}

// dnf is dnf 4 or dnf 5, which share words but no code.
func dnf(name, program string, says [5]string) client {
	dnf := func(words ...string) []string {
		return append([]string{program, "-y"}, words...)
	}
	c := rpmClient(name)
	c.addFile, c.install, c.remove = dnf("install"), dnf("install"), dnf("remove")
	c.refresh, c.upgrade = dnf("makecache", "--refresh"), dnf("upgrade", "--refresh")
	c.log = "/var/log/" + program + ".log"
	c.refusals = rpmRefusals(says)
	return c
}

// zypper keeps its entries in a folder of its own, and its keys are trusted
// by hand, as the landing page says.
func zypper(rpm []string, says [5]string) client {
	zypper := func(words ...string) []string {
		return append([]string{"zypper", "--non-interactive"}, words...)
	}
	c := rpmClient("zypper")
	c.keyring, c.entry = "holm-archive-keyring-zypp", "/etc/zypp/repos.d/holm.repo"
	c.prepare = `mkdir -p /etc/zypp/repos.d; cat >/etc/zypp/repos.d/distribution.repo`
	c.trust = strings.Join(rpm, " ") + " --import /tmp/keys"
	c.addFile, c.install, c.remove = zypper("install"), zypper("install"), zypper("remove")
	c.refresh, c.upgrade = zypper("refresh"), zypper("update")
	c.query = append(append([]string{}, rpm...), c.query[1:]...)
	c.owner = append(append([]string{}, rpm...), c.owner[1:]...)
	c.refusals = rpmRefusals(says)
	for i := range c.refusals {
		if c.refusals[i].name == "an unsigned package" {
			c.refusals[i].entry = "pkg_gpgcheck=1\n"
		}
	}
	return c
}

// rpmRefusals are the attacks on a yum repository, with the client's words
// for each.
func rpmRefusals(says [5]string) []refusal {
	return []refusal{
		{name: "a flipped byte in primary.xml", forge: forgePrimary, says: says[0]},
		{name: "a flipped byte in repomd.xml", forge: forgeRepomd, says: says[1]},
		{name: "a repomd.xml signed by another key", forge: forgeForeignRepomd, says: says[2]},
		{name: "an unsigned package", forge: forgeUnsigned, says: says[3]},
		{name: "a flipped byte in the package", forge: forgePackage, says: says[4]},
	}
}

// systems is the matrix. What is odd about a system stands in its setup.
func systems() []system {
	const (
		gpgvBad, gpgvUnknown = `invalid: BADSIG [0-9A-F]{16} `, `public key is not available: NO_PUBKEY [0-9A-F]{16}`
		sqvBad, sqvUnknown   = `Message has been manipulated`, `Missing key [0-9A-F]{40}, which is needed to verify signature`
		checksum             = `Downloading successful, but checksum doesn't match`
		badSignature         = `repomd.xml GPG signature verification error: Bad GPG signature`
	)
	zypperSays := [5]string{
		`Digest verification failed for file '[0-9a-f]{64}-primary\.xml\.gz'`,
		`Signature verification failed for file 'repomd\.xml' from repository 'holm'`,
		`'repomd\.xml' from repository 'holm' is signed with an unknown key '[0-9A-F]{16}'`,
		`holm-[0-9.]+-1\.x86_64 \(holm\): Signature verification failed \[6-File is unsigned\]`,
		`Digest verification failed for file 'holm-[0-9.]+-1\.x86_64\.rpm'`,
	}
	dnf4 := dnf("dnf4", "dnf", [5]string{checksum, badSignature, badSignature, `Package holm-[0-9.]+-1\.x86_64\.rpm is not signed`, checksum})
	return []system{
		{root.Spec{Suite: "bullseye"}, []client{aptClient(gpgvBad, gpgvUnknown)}},
		{root.Spec{Suite: "bookworm", Packages: []string{"dnf", "zypper", "rpm", "libzypp-config"}, Setup: setupBookworm}, []client{
			aptClient(gpgvBad, gpgvUnknown), dnf4,
			zypper([]string{"rpm", "--dbpath", "/var/lib/rpm"}, zypperSays),
		}},
		{root.Spec{Suite: "trixie", Packages: []string{"dnf", "rpm"}}, []client{aptClient(sqvBad, sqvUnknown), dnf4}},
		{root.Spec{Suite: "sid", Packages: []string{"dnf5", "rpm", "zypper", "libzypp-config"}, Setup: setupSid}, []client{
			aptClient(sqvBad, sqvUnknown),
			dnf("dnf5", "dnf5", [5]string{checksum, `repomd.xml GPG signature verification error: Bad PGP signature`,
				`repomd.xml GPG signature verification error: Signing key not found`, `The package is not signed`, checksum}),
			zypperOnSid(zypperSays),
		}},
	}
}

// zypperOnSid differs twice: libzypp misreads what rpm 6.1 says about a good
// signature as none at all ("Signature" against "signature"), so that it
// refuses every package file, and every package if told to check them. There
// the file is checked and installed by rpm itself, and zypper checks
// metadata and digests, which cover the packages.
func zypperOnSid(says [5]string) client {
	c := zypper([]string{"rpm"}, says)
	c.addFile = []string{"rpm", "--define", "_pkgverify_level all", "-U"}
	c.refusals = slices.DeleteFunc(c.refusals, func(r refusal) bool { return r.name == "an unsigned package" })
	return c
}

// setupBookworm and setupSid make zypper and dnf5 usable on Debian at all:
// zypper wants an RPM of glibc, which Debian has not, and a plugin of dnf5
// would make a repository of its own out of every package.
const (
	setupBookworm = `
sed -i 's/^requires:glibc/#&/' /etc/zypp/systemCheck
`
	setupSid = `
sed -i 's/^requires:glibc/#&/' /etc/zypp/systemCheck
sed -i 's/^enabled.*/enabled = 0/' /etc/dnf/libdnf5-plugins/local.conf
`
)
