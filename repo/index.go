package repo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	"holm.example/repo/apt"
	"holm.example/repo/yum"
)

// errMismatch: a file is not what a verified pointer names.
var errMismatch = errors.New("is not what the signed pointer names")

// openIndex reads the index that a verified Release names, as apt does: by its hash, and by
// its plain name if that is missing. byHash says which it was.
func openIndex(ctx context.Context, r Reader, dist string, release *apt.Release, name string) (plain []byte, byHash bool, err error) {
	open, ok := release.Find(name)
	packed, ok2 := release.Find(name + ".gz")
	if !ok || !ok2 {
		return nil, false, fmt.Errorf("%s %w: the Release does not list it", name, errMismatch)
	}
	where := join(dist, packed.ByHash())
	data, err := readFile(ctx, r, where, packed.Size)
	byHash = err == nil
	if errors.Is(err, fs.ErrNotExist) {
		where = join(dist, packed.Name)
		data, err = readFile(ctx, r, where, packed.Size)
	}
	if err != nil {
		return nil, false, err
	}
	if int64(len(data)) != packed.Size || sha256.Sum256(data) != packed.SHA256 {
		return nil, byHash, fmt.Errorf("%s %w", where, errMismatch)
	}
	if plain, err = apt.Decompress(data, open.Size); err != nil {
		return nil, byHash, fmt.Errorf("reading %s: %w", where, err)
	}
	if sha256.Sum256(plain) != open.SHA256 {
		return nil, byHash, fmt.Errorf("%s %w once unpacked", where, errMismatch)
	}
	return plain, byHash, nil
}

// openEntries reads the packages of a revision that a verified repomd.xml names.
func openEntries(ctx context.Context, r Reader, revision string, md *yum.Repodata) ([]yum.Entry, error) {
	var open [3][]byte
	for i, d := range md.Data {
		data, err := readFile(ctx, r, join(revision, d.Href), d.Size)
		if err != nil {
			return nil, err
		}
		if open[i], err = d.Open(data); err != nil {
			return nil, fmt.Errorf("reading %s: %w", join(revision, d.Href), err)
		}
	}
	entries, err := yum.ParseEntries(open[0], open[1], open[2])
	if err != nil {
		return nil, fmt.Errorf("reading the packages of %s: %w", revision, err)
	}
	return entries, nil
}
