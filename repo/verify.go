package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"holm.example/keys"
)

// The clients that Verify plays.
const (
	ClientAPT     = "apt"
	ClientDNF     = "dnf"            // dnf 4 and 5 on librepo with GnuPG
	ClientDNFRPM  = "dnf-rpm"        // dnf on librepo with rpm's OpenPGP (Fedora, EL 10)
	ClientZypper  = "zypper"         // reads the plain base URL
	ClientPerson  = "person"         // downloads by hand
	ClientMachine = "publisher"      // the next publish
	latestSkew    = 10 * time.Second // apt's Acquire::Max-FutureTime
)

func yumClients() []string { return []string{ClientDNF, ClientDNFRPM, ClientZypper} }

// A Finding is one thing that clients would say about a site.
type Finding struct {
	Clients []string `json:"clients"`
	Refused bool     `json:"refused"` // false: a note, clients go on
	File    string   `json:"file"`
	Problem string   `json:"problem"`
}

// A Verdict is what Verify found in one channel.
type Verdict struct {
	Channel    string    `json:"channel"`
	Version    string    `json:"version"` // newest, as publish/head says
	Date       time.Time `json:"date"`
	ValidUntil time.Time `json:"valid_until"`
	Signers    []string  `json:"signers"`  // fingerprints whose signatures were good, each once
	Packages   int       `json:"packages"` // read and compared with the indexes, each once
	Unfinished bool      `json:"unfinished"`
	Findings   []Finding `json:"findings"`
}

// Refused reports whether any client would refuse something.
func (v *Verdict) Refused() bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Refused })
}

// A VerifyOptions narrows what Verify does. The zero value verifies every
// channel with the keyrings that the site itself offers, as a new user would.
type VerifyOptions struct {
	Channel string       // empty: all
	Keys    keys.Keyring // trusted instead of the site's own keyrings; nil: those
	// Retired are keys that sign no more: what they signed last is noted,
	// because the next publish signs it again.
	Retired keys.Keyring
}

// Verify reads a published site as apt, dnf, zypper and people would, and
// returns what each would refuse, channel by channel. now is the time on the clients' clocks. The
// error is ErrNotPublished or that of the site; what clients refuse is no error.
func Verify(ctx context.Context, r Reader, o VerifyOptions, now time.Time) ([]*Verdict, error) {
	h, err := readHead(ctx, r)
	if err != nil {
		return nil, err
	}
	var verdicts []*Verdict
	for name := range h.Channels {
		if o.Channel != "" && o.Channel != name {
			continue
		}
		v := &verifier{ctx: ctx, r: r, o: o, head: h, channel: name, now: now.UTC(), read: map[string][32]byte{},
			verdict: &Verdict{Channel: name}}
		if err := v.run(); err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v.verdict)
	}
	if len(verdicts) == 0 {
		return nil, fmt.Errorf("%w: no channel %s", ErrNotPublished, o.Channel)
	}
	slices.SortFunc(verdicts, func(a, b *Verdict) int { return strings.Compare(a.Channel, b.Channel) })
	return verdicts, nil
}

// A verifier reads one channel.
type verifier struct {
	ctx     context.Context
	r       Reader
	o       VerifyOptions
	head    *head
	channel string
	now     time.Time
	apt     keys.Keyring
	rpm     keys.Keyring
	release keys.Keyring
	read    map[string][32]byte // packages that were read: SHA-256 of what describes them
	broken  error               // of the site, not of what it holds
	verdict *Verdict
}

// refuse records what clients would refuse, unless the site itself has
// failed: that ends the verification.
func (v *verifier) refuse(file string, problem error, clients ...string) {
	v.record(true, file, problem, clients)
}

// note records what is wrong but stops no client.
func (v *verifier) note(file string, problem error, clients ...string) {
	v.record(false, file, problem, clients)
}

// secondary records a problem of a file that clients read only if the
// first road is closed: while a publish is unfinished it is a note.
func (v *verifier) secondary(file string, problem error, clients ...string) {
	v.record(!v.verdict.Unfinished, file, problem, clients)
}

func (v *verifier) record(refused bool, file string, problem error, clients []string) {
	if v.fatal(problem) {
		return
	}
	text := problem.Error()
	var missing *fs.PathError
	if errors.As(problem, &missing) && errors.Is(problem, fs.ErrNotExist) {
		text = "is not there"
	}
	v.verdict.Findings = append(v.verdict.Findings, Finding{clients, refused, file, text})
}

// fatal keeps an error of the site that says nothing about what it holds.
func (v *verifier) fatal(err error) bool {
	if !errors.Is(err, errTransport) {
		return false
	}
	if v.broken == nil {
		v.broken = err
	}
	return true
}

// errTransport marks errors of the site.
var errTransport = errors.New("reading the site")

// open opens a file; an error other than its absence is errTransport.
func (v *verifier) open(name string) (io.ReadCloser, error) {
	f, err := v.r.Open(v.ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errTransport, err)
	}
	return f, err
}

// Open makes the verifier a Reader, so that the index readers mark errors too.
func (v *verifier) Open(_ context.Context, name string) (io.ReadCloser, error) { return v.open(name) }

// file reads a whole small file.
func (v *verifier) file(name string, limit int64) ([]byte, error) {
	return readFile(v.ctx, v, name, limit)
}

func (v *verifier) run() error {
	var err error
	var foreign []string
	if v.verdict.Unfinished, foreign, err = v.head.unfinished(v.ctx, v.r, v.channel); err != nil {
		return err
	}
	for _, name := range foreign {
		v.refuse(name, errors.New("is of no publish that "+headName+" knows"), ClientMachine)
	}
	if v.verdict.Version, err = v.head.newest(v.ctx, v.r, v.channel); err != nil {
		return err
	}
	if v.verdict.Unfinished {
		v.note(headName, errors.New("the last publish is unfinished: publish again"), ClientMachine)
	}
	for _, part := range []func(){v.keyrings, v.verifyAPT, v.verifyYum, v.verifyDownloads, v.verifyPage} {
		part()
		if v.broken != nil {
			return v.broken
		}
		if err := v.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// keyrings reads the keys that clients trust.
func (v *verifier) keyrings() {
	v.apt = v.keyring("keys/"+KeyringName(v.head.Product), checkBinaryKeyring, ClientAPT)
	v.rpm = v.keyring("keys/"+RPMKeyName(v.head.Product), checkArmoredKeyring, yumClients()...)
	for number, missing := 1, 0; number <= maxKeyNumber && missing < maxKeyGap; number++ {
		name := "keys/" + certificateName(v.channel, Release, number)
		data, err := v.file(name, keys.MaxKeyringSize)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		missing = 0
		var cert *keys.Certificate
		if err == nil {
			cert, err = keys.ParseCertificate(data)
		}
		if err != nil {
			v.refuse(name, err, ClientPerson)
			continue
		}
		v.release = append(v.release, cert)
	}
	if v.o.Keys != nil {
		v.apt, v.rpm, v.release = v.o.Keys, v.o.Keys, v.o.Keys
	}
}

// Bounds of the search for certificates of a role: the greatest number, and
// how many in a row may be missing because they were revoked.
const (
	maxKeyNumber = 100
	maxKeyGap    = 5
)

// keyring reads one keyring file.
func (v *verifier) keyring(name string, check func([]byte) error, clients ...string) keys.Keyring {
	data, err := v.file(name, keys.MaxKeyringSize)
	if err == nil {
		err = check(data)
	}
	var ring keys.Keyring
	if err == nil {
		ring, err = keys.ParseKeyring(data)
	}
	if err != nil {
		v.refuse(name, err, clients...)
	}
	return ring
}

// checkBinaryKeyring asks for what apt asks of a .pgp or .gpg file: a public
// key packet in the first byte.
func checkBinaryKeyring(data []byte) error {
	if len(data) == 0 || !slices.Contains([]byte{0x98, 0x99, 0xc6}, data[0]) {
		return errors.New("is no binary keyring")
	}
	return nil
}

func checkArmoredKeyring(data []byte) error {
	if !bytes.HasPrefix(data, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")) {
		return errors.New("is no armored keyring")
	}
	return checkArmor(data)
}

// policy accepts any one key of a ring.
func (v *verifier) policy(ring keys.Keyring) keys.Policy {
	return keys.Policy{Signers: ring.Fingerprints(), Threshold: 1, Now: v.now}
}

// pointedBy is signedBy for a pointer: one that a retired key signed is noted.
func (v *verifier) pointedBy(file string, verified *keys.Verified) {
	v.signedBy(verified)
	for _, s := range verified.Signatures() {
		if v.o.Retired.Find(s.Signer) != nil {
			v.note(file, fmt.Errorf("is signed by the retired key %s: publish again", s.Signer), ClientMachine)
		}
	}
}

// signedBy records whose signatures were good.
func (v *verifier) signedBy(verified *keys.Verified) {
	for _, s := range verified.Signatures() {
		if f := s.Signer.String(); !slices.Contains(v.verdict.Signers, f) {
			v.verdict.Signers = append(v.verdict.Signers, f)
		}
	}
}

// countSignatures returns the armor blocks and the packets in the first of
// them.
func countSignatures(armored []byte) (blocks, packets int, err error) {
	blocks = bytes.Count(armored, []byte("-----BEGIN PGP SIGNATURE-----"))
	end := []byte("-----END PGP SIGNATURE-----\n")
	first, _, _ := bytes.Cut(armored, end)
	raw, err := keys.ParseArmor(keys.ArmorSignature, append(bytes.Clone(first), end...))
	if err != nil {
		return blocks, 0, err
	}
	for r := packet.NewOpaqueReader(bytes.NewReader(raw)); packets < 100; packets++ {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return blocks, packets, err
		}
	}
	return blocks, packets, nil
}

// checkArmor asks for the checksum at the end of an armor block, without
// which GnuPG 2.2 refuses some lengths, and for the final newline.
func checkArmor(armored []byte) error {
	lines := bytes.Split(armored, []byte("\n"))
	if n := len(lines); n < 4 || len(lines[n-1]) != 0 || len(lines[n-3]) != 5 || lines[n-3][0] != '=' {
		return errors.New("armor without checksum or final newline")
	}
	return nil
}
